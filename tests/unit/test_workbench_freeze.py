"""Whether somebody wrote to a PostgreSQL source since the freeze, asked of the server itself."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from helpers import postgresql as helper

from towpath.local.postgresql import Postgresql
from towpath.workbench import server_origin
from towpath.workbench.server_origin import ServerOrigin


@pytest.fixture
def origin(postgresql_server: Postgresql, postgresql_url: str) -> ServerOrigin:
    """A database with one table, as a phase holds it."""
    run = SimpleNamespace(secret=lambda _: postgresql_server.secret)
    bench: Any = SimpleNamespace(params=SimpleNamespace(source_database=postgresql_url), run=run)
    with psycopg.connect(postgresql_url, password=postgresql_server.password, autocommit=True) as connection:
        connection.execute("CREATE TABLE t (a int)")
    return ServerOrigin(bench)


def test_a_write_after_the_freeze_is_seen(
    origin: ServerOrigin, postgresql_server: Postgresql, postgresql_url: str
) -> None:
    since = origin.version()
    assert origin.unwritten(since)
    with psycopg.connect(postgresql_url, password=postgresql_server.password, autocommit=True) as connection:
        connection.execute("INSERT INTO t VALUES (1)")
        assert not origin.unwritten(since), "while the session that wrote is idle and has reported nothing yet"


def test_a_transaction_that_has_written_and_is_open_is_waited_for(
    origin: ServerOrigin, postgresql_server: Postgresql, postgresql_url: str
) -> None:
    """A younger one has ended, so that neither the highest number nor a counter tells when it commits."""
    before = origin.version()
    with psycopg.connect(postgresql_url, password=postgresql_server.password) as connection:
        connection.execute("INSERT INTO t VALUES (1)")
        with psycopg.connect(postgresql_url, password=postgresql_server.password) as other:
            other.execute("SELECT pg_current_xact_id()")
        assert origin.version() != origin.version(), "the source is never quiet"
        assert not origin.unwritten(before), "nor frozen"
        since = origin.version()
        connection.commit()
        assert not origin.unwritten(since)
    assert origin.version() == origin.version()


def test_who_only_reads_is_not_waited_for(
    origin: ServerOrigin, postgresql_server: Postgresql, postgresql_url: str
) -> None:
    with psycopg.connect(postgresql_url, password=postgresql_server.password) as connection:
        connection.execute("SELECT * FROM t")
        since = origin.version()
        assert origin.unwritten(since)


def test_a_transaction_of_the_servers_own_is_no_write(
    origin: ServerOrigin, postgresql_server: Postgresql, postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_origin, "COUNTERS_SECONDS", 0.0)
    since = origin.version()
    with psycopg.connect(postgresql_url, password=postgresql_server.password, autocommit=True) as connection:
        connection.execute("SELECT pg_current_xact_id()")  # takes a number, as ANALYZE does
    assert origin.version() != since
    assert origin.unwritten(since)


@pytest.mark.parametrize(
    ("sql", "is_write"),
    [
        ("INSERT INTO t VALUES (3)", True),
        ("UPDATE t SET a = a", True),
        ("DELETE FROM t", True),
        ("INSERT INTO parts VALUES (1)", True),
        ("TRUNCATE parts", True),
        ("CREATE TABLE made AS SELECT 1 AS a", True),
        ("DROP TABLE t", True),
        ("SELECT count(*) FROM t", False),
        ("ANALYZE t", False),
        ("VACUUM t", False),
    ],
)
def test_every_kind_of_write_is_seen_and_statistics_are_none(
    origin: ServerOrigin,
    postgresql_server: Postgresql,
    postgresql_url: str,
    monkeypatch: pytest.MonkeyPatch,
    sql: str,
    is_write: bool,
) -> None:
    """The session has ended, so it has reported, and nobody needs to be waited for."""
    monkeypatch.setattr(server_origin, "COUNTERS_SECONDS", 0.0)
    parts = "CREATE TABLE parts (a int) PARTITION BY LIST (a); CREATE TABLE part PARTITION OF parts DEFAULT"
    helper.run(postgresql_server, postgresql_url, f"{parts}; INSERT INTO t VALUES (1), (2)")
    since = origin.version()
    helper.run(postgresql_server, postgresql_url, sql)
    assert origin.unwritten(since) is not is_write
