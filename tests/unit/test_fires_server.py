"""One tiny database for each change that the conversion from PostgreSQL tells: exactly this code, beside it none."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from helpers.fires import fires, not_passed
from helpers.postgresql import run

from towpath.errors import TowpathError
from towpath.local.postgresql import Postgresql
from towpath.postgresql.catalog import Catalog
from towpath.postgresql.connection import connect
from towpath.postgresql.convert import convert
from towpath.postgresql.declared import declared
from towpath.postgresql.findings import find
from towpath.postgresql.proving import prove
from towpath.postgresql.reflect import read_catalog

K = "id int PRIMARY KEY"
CHANGES: dict[str, str] = {
    "PG301": f"CREATE TABLE t ({K}, a boolean)",
    "PG302": f"CREATE TABLE t ({K}, a numeric)",
    "PG303": f"CREATE TABLE t ({K}, a char(3))",
    "PG304": f"CREATE TABLE t ({K}, a date)",
    "PG305": f"CREATE TABLE t ({K}, a uuid)",
    "PG306": f"CREATE TABLE t ({K}, a jsonb)",
    "PG307": f"CREATE TABLE t ({K}, a int[])",
    "PG308": f"CREATE TABLE t ({K}, a inet)",
    "PG309": f"CREATE TYPE mood AS ENUM ('sad', 'happy'); CREATE TABLE t ({K}, a mood)",
    "PG310": f"CREATE TABLE t ({K}, a varchar(3))",
    "PG311": "CREATE TABLE t (id serial PRIMARY KEY)",
    "PG312": f"CREATE TABLE t ({K}, a serial)",
    "PG313": f"CREATE TABLE t ({K}, a text DEFAULT ('x' || 'y'))",
    "PG314": f"CREATE TABLE t ({K}, a text DEFAULT version())",
    "PG315": f"CREATE TABLE t ({K}, a int CHECK (a::bigint > 1))",
    "PG316": f"CREATE TABLE t ({K}, a text CHECK (a ~ '^x'))",
    "PG317": f"CREATE TABLE t ({K}, a text, b text GENERATED ALWAYS AS (reverse(a)) STORED)",
    "PG318": f"CREATE TABLE t ({K}, a int4); CREATE INDEX i ON t USING brin (a)",
    "PG319": f"CREATE TABLE t ({K}, a int); CREATE INDEX i ON t (a NULLS FIRST)",
    "PG320": f"CREATE TABLE t ({K}, a text); CREATE VIEW v AS SELECT reverse(a) FROM t",
    "PG321": f"CREATE TABLE p (a int, b int, UNIQUE (a, b)); "
    f"CREATE TABLE t ({K}, a int, b int, FOREIGN KEY (a, b) REFERENCES p (a, b) MATCH FULL)",
    "PG322": f"CREATE TABLE t ({K}, a int, EXCLUDE USING btree (a WITH =))",
    "PG323": f"CREATE TABLE t ({K}); COMMENT ON TABLE t IS 'people'",
    "PG326": f"CREATE TABLE t ({K}, a text); CREATE VIEW v AS SELECT a::varchar AS b FROM t",
}
BESIDE = {"PG303": {"PG310"}}  # char(n) has a length too


def catalog(server: Postgresql, url: str, sql: str) -> Catalog:
    run(server, url, sql)
    with closing(connect(url, server.secret)) as connection:
        return read_catalog(connection)


@pytest.mark.parametrize("code", CHANGES)
def test_exactly_this_change_is_told(postgresql_server: Postgresql, postgresql_url: str, code: str) -> None:
    made = convert(catalog(postgresql_server, postgresql_url, CHANGES[code]))
    assert {finding.code for finding in made.findings()} == {code} | BESIDE.get(code, set())


def another(made: Any, **changes: Any) -> Any:
    return replace(made, tables=(replace(made.tables[0], **changes),))


@fires("PG327")
def test_what_d1_cannot_have(postgresql_server: Postgresql, postgresql_url: str) -> Iterable[str]:
    made = convert(catalog(postgresql_server, postgresql_url, f"CREATE TABLE t ({K}, a text CHECK (a ~ '^x'))"))
    (found,) = made.left_behind()
    assert (found.object, found.count, found.samples) == ("table constraint", 1, ("t_a_check on public.t",))
    return [found.code]


@fires("PG324")
def test_a_statement_that_d1_refuses(postgresql_server: Postgresql, postgresql_url: str) -> Iterable[str]:
    held = catalog(postgresql_server, postgresql_url, f"CREATE TABLE t ({K})")
    return not_passed(prove(another(convert(held), sql="CREATE TABLE t (a DEFAULT (md5(1)))"), held))


@fires("PG325")
def test_an_object_without_an_account(postgresql_server: Postgresql, postgresql_url: str) -> Iterable[str]:
    held = catalog(postgresql_server, postgresql_url, f"CREATE TABLE t ({K})")
    made = convert(held)
    return not_passed(prove(replace(made, accounts=made.accounts[1:]), held))


def found(server: Postgresql, url: str, sql: str) -> set[str]:
    held = catalog(server, url, sql)
    with closing(connect(url, server.secret)) as connection:
        return {finding.code for finding in find(held, connection)}


@fires("PG121")
def test_large_objects(postgresql_server: Postgresql, postgresql_url: str) -> Iterable[str]:
    return found(postgresql_server, postgresql_url, "SELECT lo_create(0)")


@fires("PG125")
def test_an_index_that_is_not_valid(postgresql_server: Postgresql, postgresql_url: str) -> Iterable[str]:
    run(postgresql_server, postgresql_url, f"CREATE TABLE t ({K}, u int); INSERT INTO t VALUES (1, 1), (2, 1)")
    with pytest.raises(Exception, match="could not create unique index"):
        run(postgresql_server, postgresql_url, "CREATE UNIQUE INDEX CONCURRENTLY twice ON t (u)")
    return found(postgresql_server, postgresql_url, "SELECT 1")


@fires("PG106")
def test_a_table_that_may_not_be_read(postgresql_server: Postgresql, postgresql_url: str) -> Iterable[str]:
    held = catalog(postgresql_server, postgresql_url, f"CREATE TABLE t ({K})")
    return {f.code for f in declared(replace(held, tables=tuple(replace(t, readable=False) for t in held.tables)))}


@fires("PG119")
def test_a_replica(postgresql_server: Postgresql, postgresql_url: str) -> Iterable[str]:
    # a fake: the server of the tests is no replica
    held = catalog(postgresql_server, postgresql_url, "SELECT 1")
    return {finding.code for finding in declared(replace(held, is_replica=True, replay_delay_seconds=1.0))}


@fires("PG101")
def test_a_database_that_does_not_know_its_characters(
    postgresql_server: Postgresql, postgresql_url: str
) -> Iterable[str]:
    name = postgresql_url.rsplit("/", 1)[1] + "_ascii"
    create = f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0"
    run(postgresql_server, postgresql_url, create)
    try:
        with pytest.raises(TowpathError) as caught:
            connect(postgresql_server.url(name), postgresql_server.secret)
        return [caught.value.code]
    finally:
        run(postgresql_server, postgresql_url, f"DROP DATABASE {name}")
