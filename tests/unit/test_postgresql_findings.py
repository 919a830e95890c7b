"""Each rule about a PostgreSQL source fires for the smallest database that it is about, and for no other."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import pytest
from helpers.postgresql import run

from towpath.checks import Finding
from towpath.local.postgresql import Postgresql
from towpath.postgresql.connection import connect
from towpath.postgresql.declared import declared
from towpath.postgresql.findings import find
from towpath.postgresql.reflect import read_catalog
from towpath.postgresql.rules import RULES

KEY = "id int PRIMARY KEY"
CITEXT = """CREATE TYPE citext;
CREATE FUNCTION citextin(cstring) RETURNS citext LANGUAGE internal IMMUTABLE STRICT AS 'textin';
CREATE FUNCTION citextout(citext) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout';
CREATE TYPE citext (INPUT = citextin, OUTPUT = citextout, LIKE = text);
"""
TRIGGER = "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
ORPHAN = f"CREATE TABLE p ({KEY}); CREATE TABLE c ({KEY}, p int); INSERT INTO c VALUES (1, 9), (2, NULL);"
LONG = "repeat('x', 1000001)"
FIXTURES: dict[str, tuple[str, list[str]]] = {  # code -> statements, the objects it names
    "PG102": (f'CREATE TABLE t ({KEY}); CREATE TABLE "T" ({KEY})', ["public.t"]),
    "PG103": (f'CREATE TABLE t ({KEY}, "ID" int)', ["public.t"]),
    "PG104": (f"CREATE TABLE _cf_t ({KEY})", ["public._cf_t"]),
    "PG105": (f"CREATE TABLE t ({KEY}, {', '.join(f'c{n} int' for n in range(100))})", ["public.t"]),
    "PG107": (f"CREATE TABLE t ({KEY}); ALTER TABLE t ENABLE ROW LEVEL SECURITY", ["public.t"]),
    "PG108": (
        f"{TRIGGER} CREATE TABLE t ({KEY}); CREATE TRIGGER g BEFORE UPDATE ON t EXECUTE FUNCTION f()",
        ["public.t.g"],
    ),
    "PG109": ("CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql AS 'SELECT 1'", ["public.f(a integer)"]),
    "PG110": ("CREATE MATERIALIZED VIEW v AS SELECT 1 AS a", ["public.v"]),
    "PG111": (f"CREATE TABLE t ({KEY}, r int4range, EXCLUDE USING gist (r WITH &&))", ["public.t.t_r_excl"]),
    "PG112": (f"CREATE TABLE t ({KEY}, u int UNIQUE DEFERRABLE)", ["public.t.t_u_key"]),
    "PG113": (f"CREATE TABLE t ({KEY}); ALTER TABLE t ADD CONSTRAINT k CHECK (id > 0) NOT VALID", ["public.t.k"]),
    "PG114": (f"CREATE UNLOGGED TABLE t ({KEY})", ["public.t"]),
    "PG115": (f"CREATE TABLE p (a int); CREATE TABLE t ({KEY}) INHERITS (p)", ["public.t"]),
    "PG116": (
        """CREATE COLLATION folded (PROVIDER = builtin, LOCALE = 'C.UTF-8');
        CREATE TABLE t (id text COLLATE folded PRIMARY KEY, b text COLLATE "C")""",
        ["public.t.id"],
    ),
    "PG117": (f"{CITEXT} CREATE TABLE t ({KEY}, name citext)", ["public.t.name"]),
    "PG118": ("CREATE EXTENSION vector", ["vector"]),
    "PG120": (
        "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w;CREATE FOREIGN TABLE t (a int) SERVER s",
        ["public.t"],
    ),
    "PG122": ("CREATE TABLE t (a int PRIMARY KEY) PARTITION BY HASH (a)", ["public.t"]),
    "PG123": (f"CREATE TABLE t ({KEY}); CREATE RULE r AS ON DELETE TO t DO INSTEAD NOTHING", ["r on public.t"]),
    "PG124": ("CREATE TABLE t (a int)", ["public.t"]),
    "PG126": (f"CREATE SCHEMA s; CREATE TABLE s.t ({KEY})", ["s.t"]),
    "PG127": (f"CREATE TABLE t ({KEY}, u int, UNIQUE NULLS NOT DISTINCT (u))", ["public.t.t_u_key"]),
    "PG128": ("CREATE TYPE pair AS (a int)", ["type"]),
    "PG129": (f"CREATE TABLE alembic_version ({KEY})", ["public.alembic_version"]),
    "PG201": (f"CREATE TABLE t ({KEY}, n float8, d numeric); INSERT INTO t VALUES (1, 'NaN', 1)", ["public.t.n"]),
    "PG202": (
        f"CREATE TABLE t ({KEY}, n float4, d numeric); INSERT INTO t VALUES (1, '-inf', 1), (2, 1, 'inf')",
        ["public.t.n", "public.t.d"],
    ),
    "PG203": (
        f"""CREATE TABLE t ({KEY}, a date, b timestamptz, c timestamp);
        INSERT INTO t VALUES (1, '0044-03-15 BC', 'infinity', '10000-01-01'), (2, '9999-12-31', now(), now())""",
        ["public.t.a", "public.t.b", "public.t.c"],
    ),
    "PG204": (
        f"""CREATE TABLE t ({KEY}, a numeric, b money);
        INSERT INTO t VALUES (1, 1234567890.123456, 1), (2, 0.00000000000000000001, 2), (3, -1234.5678, 3)""",
        ["public.t.a"],
    ),
    "PG205": (
        f"CREATE TABLE t ({KEY}, a int[]); INSERT INTO t VALUES (1, '[0:1]={{1,2}}'), (2, '{{{{3}}}}')",
        ["public.t.a"],
    ),
    "PG206": (
        f"""CREATE TABLE t ({KEY}, a jsonb);
        INSERT INTO t VALUES (1, '[12345678901234567]'), (2, '["12345678901234567", "\\"12345678901234567"]')""",
        ["public.t.a"],
    ),
    "PG207": (f"CREATE TABLE t ({KEY}, a bigint); INSERT INTO t VALUES (1, 9007199254740993), (2, 1)", ["public.t.a"]),
    "PG208": (
        f"{ORPHAN} ALTER TABLE c ADD CONSTRAINT k FOREIGN KEY (p) REFERENCES p NOT VALID",
        ["public.c.k"],
    ),
    "PG209": (
        f"CREATE TABLE t ({KEY}, a text, b bytea); INSERT INTO t VALUES (1, {LONG}, {LONG}::bytea), (2, {LONG}, NULL)",
        ["public.t"],
    ),
    "PG210": ("CREATE TABLE t (id serial PRIMARY KEY); INSERT INTO t VALUES (5)", ["public.t_id_seq"]),
    "PG211": (
        "CREATE TABLE t (id serial PRIMARY KEY); INSERT INTO t VALUES (5); SELECT setval('t_id_seq', 9)",
        ["public.t_id_seq"],
    ),
    "PG212": (f"CREATE TABLE t ({KEY}, a real, b float8); INSERT INTO t VALUES (1, '-0', 0)", ["public.t.a"]),
    "PG213": (
        f"""CREATE TYPE pair AS (a jsonb, b int[]); CREATE DOMAIN list AS int[];
        CREATE TABLE t ({KEY}, a json[], b jsonb[], c pair[], d list[]);
        INSERT INTO t VALUES (1, '{{"null"}}', '{{{{1}}}}', ARRAY[ROW('null', '{{}}')::pair], '{{{{"{{1}}"}}}}'),
          (2, '{{NULL,"[null]"}}', '{{"[1]"}}', ARRAY[ROW('1', '{{{{1}}}}')::pair, NULL], '{{"{{1}}"}}')""",
        ["public.t.a", "public.t.b", "public.t.c", "public.t.d"],
    ),
}
ALSO = {  # codes that come along with another
    "PG108": {"PG109"},
    "PG113": {"PG113"},
    "PG115": {"PG124"},
    "PG116": {"PG128"},
    "PG117": {"PG109", "PG128"},
    "PG120": {"PG128"},
    "PG208": {"PG113"},
    "PG213": {"PG128"},
}


def found(server: Postgresql, url: str) -> list[Finding]:
    with closing(connect(url, server.secret)) as connection:
        return find(read_catalog(connection), connection)


@pytest.mark.parametrize("code", FIXTURES)
def test_the_rule_fires(postgresql_server: Postgresql, postgresql_url: str, code: str) -> None:
    statements, objects = FIXTURES[code]
    run(postgresql_server, postgresql_url, statements)
    findings = found(postgresql_server, postgresql_url)
    assert {finding.code for finding in findings} - ALSO.get(code, set()) <= {code}
    assert [finding.object for finding in findings if finding.code == code] == objects
    assert all(finding.count > 0 and finding.message for finding in findings)


def test_keys_are_named_and_values_are_not(postgresql_server: Postgresql, postgresql_url: str) -> None:
    rows = """CREATE TABLE t (a int, b text, n float8, PRIMARY KEY (a, b));
        INSERT INTO t VALUES (7, 'x', 'NaN'), (8, 'y', 1); CREATE TABLE u (n float8); INSERT INTO u VALUES ('NaN')"""
    run(postgresql_server, postgresql_url, rows)
    keyed, keyless = (f for f in found(postgresql_server, postgresql_url) if f.code == "PG201")
    assert (keyed.count, keyed.samples) == (1, ("7, x",))
    assert keyless.samples == ("public.u row (0,1)",)


def test_an_index_that_is_not_valid(postgresql_server: Postgresql, postgresql_url: str) -> None:
    run(postgresql_server, postgresql_url, f"CREATE TABLE t ({KEY}, u int); INSERT INTO t VALUES (1, 1), (2, 1)")
    with pytest.raises(Exception, match="could not create unique index"):
        run(postgresql_server, postgresql_url, "CREATE UNIQUE INDEX CONCURRENTLY twice ON t (u)")
    assert [f.object for f in found(postgresql_server, postgresql_url) if f.code == "PG125"] == ["public.t.twice"]


def test_large_objects_are_counted(postgresql_server: Postgresql, postgresql_url: str) -> None:
    run(postgresql_server, postgresql_url, "SELECT lo_create(0), lo_create(0)")
    assert [(f.code, f.count) for f in found(postgresql_server, postgresql_url)] == [("PG121", 2)]


def test_a_replica_and_a_collation_of_the_database(postgresql_server: Postgresql, postgresql_url: str) -> None:
    # a fake: the server of the tests is no replica, and has no other collation
    with closing(connect(postgresql_url, postgresql_server.secret)) as connection:
        catalog = read_catalog(connection)
    other = replace(catalog, is_replica=True, replay_delay_seconds=12.3, collation="de_DE.UTF-8")
    assert declared(catalog) == []
    assert [(f.code, f.message) for f in declared(other)] == [
        ("PG119", "a replica, 12 s behind"),
        ("PG116", "texts are ordered by de_DE.UTF-8"),
    ]


def test_a_table_that_cannot_be_read_is_named_and_the_others_are_measured(
    postgresql_server: Postgresql, postgresql_url: str
) -> None:
    rows = """CREATE TABLE a (id int PRIMARY KEY, n float8); CREATE TABLE b (id int PRIMARY KEY, n float8);
        INSERT INTO a VALUES (1, 'NaN'); INSERT INTO b VALUES (1, 'NaN')"""
    run(postgresql_server, postgresql_url, rows)
    with closing(connect(postgresql_url, postgresql_server.secret)) as connection:
        catalog = read_catalog(connection)
        run(postgresql_server, postgresql_url, "DROP TABLE a")
        findings = find(catalog, connection)
    assert [(f.code, f.object) for f in findings] == [("PG106", "public.a"), ("PG201", "public.b.n")]
    unreadable = replace(catalog, tables=tuple(replace(table, readable=False) for table in catalog.tables))
    assert [f.code for f in declared(unreadable)] == ["PG106", "PG106"]


def test_every_rule_about_declarations_and_values_has_a_fixture() -> None:
    elsewhere = {"PG101", "PG106", "PG119", "PG121", "PG125"}
    assert {code for code in RULES if code < "PG3"} == FIXTURES.keys() | elsewhere
