"""A connection to PostgreSQL: read only, the same texts everywhere, and every refusal in one line."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from helpers.postgresql import run

from towpath.errors import BadInput, CannotFinish, TowpathError, WrongUse
from towpath.local.postgresql import Postgresql
from towpath.local.servers import free_port
from towpath.postgresql.connection import SETTINGS, connect, told
from towpath.secrets import Secret


@pytest.fixture
def opened(postgresql_server: Postgresql, postgresql_url: str) -> Iterator[psycopg.Connection]:
    with closing(connect(postgresql_url, postgresql_server.secret)) as made:
        yield made


def test_settings_are_pinned_whatever_the_database_says(postgresql_server: Postgresql, postgresql_url: str) -> None:
    name = postgresql_url.rsplit("/", 1)[1]
    for setting in ("datestyle TO 'German'", "intervalstyle TO 'postgres'", "timezone TO 'Asia/Tokyo'"):
        run(postgresql_server, postgresql_url, f"ALTER DATABASE {name} SET {setting}")
    for setting in ("bytea_output TO 'escape'", "extra_float_digits TO '-15'", "client_encoding TO 'LATIN1'"):
        run(postgresql_server, postgresql_url, f"ALTER DATABASE {name} SET {setting}")
    with closing(connect(postgresql_url, postgresql_server.secret)) as opened:
        for setting, value in SETTINGS.items():
            shown = "1min" if setting == "lock_timeout" else value
            assert opened.execute("SELECT current_setting(%s)", (setting,)).fetchone() == (shown,), setting
        row = opened.execute("SELECT timestamptz '2024-01-01 09:00+09'::text, interval '1 mon -1 day'::text").fetchone()
        assert row == ("2024-01-01 00:00:00+00", "P1M-1D")


def test_it_reads_one_moment_and_writes_nothing(
    postgresql_server: Postgresql, postgresql_url: str, opened: psycopg.Connection
) -> None:
    run(postgresql_server, postgresql_url, "CREATE TABLE t (a int)")
    assert opened.execute("SELECT count(*) FROM public.t").fetchone() == (0,)
    run(postgresql_server, postgresql_url, "INSERT INTO t VALUES (1)")
    assert opened.execute("SELECT count(*) FROM public.t").fetchone() == (0,)
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        opened.execute("INSERT INTO public.t VALUES (2)")
    opened.rollback()
    assert opened.execute("SELECT count(*) FROM public.t").fetchone() == (1,)


def refusal(url: str, password: Secret | None) -> TowpathError:
    with pytest.raises(TowpathError) as caught:
        connect(url, password)
    assert "\n" not in caught.value.line
    return caught.value


def test_a_server_that_is_not_there(postgresql_server: Postgresql) -> None:
    port = free_port()
    found = refusal(f"postgresql://postgres@127.0.0.1:{port}/shop", postgresql_server.secret)
    assert isinstance(found, CannotFinish)
    assert found.line == (
        f"127.0.0.1:{port}/shop: the server is unreachable. "
        "Next: look that the server is up, and that source_database names its host and port"
    )


def test_a_host_that_nobody_knows(postgresql_server: Postgresql) -> None:
    found = refusal("postgresql://postgres@nowhere.invalid/shop", postgresql_server.secret)
    assert found.what == "the server is unreachable: nobody knows its name"


def test_a_wrong_password_is_not_echoed(postgresql_url: str, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("correct-horse-battery", encoding="utf-8")
    found = refusal(postgresql_url, Secret("file:password", tmp_path))
    assert found.what == "the server refuses the user or the password"
    assert "correct-horse" not in found.line
    assert refusal(postgresql_url, None).what == "the server refuses the user or the password"


def test_a_database_that_is_not_there(postgresql_server: Postgresql) -> None:
    found = refusal(postgresql_server.url("nowhere"), postgresql_server.secret)
    assert found.what == "the server has no database of this name"


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("postgresql://me:correct-horse@127.0.0.1/shop", "the URL holds a password"),
        ("postgresql://me@127.0.0.1/shop?password=correct-horse", "the URL holds a password"),
        ("mysql://me@127.0.0.1/shop", "is not the URL of a PostgreSQL database"),
        ("postgresql://127.0.0.1", "is not the URL of a PostgreSQL database"),
        ("postgresql://me@127.0.0.1:port/shop", "is not the URL of a PostgreSQL database"),
    ],
)
def test_a_url_that_is_none(url: str, what: str) -> None:
    found = refusal(url, None)
    assert isinstance(found, WrongUse)
    assert found.what == what
    assert "correct-horse" not in found.line


def test_a_database_that_does_not_know_its_characters(postgresql_server: Postgresql, postgresql_url: str) -> None:
    name = postgresql_url.rsplit("/", 1)[1] + "_ascii"
    create = f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0"
    run(postgresql_server, postgresql_url, create)
    try:
        found = refusal(postgresql_server.url(name), postgresql_server.secret)
        assert isinstance(found, BadInput)
        assert found.code == "PG101"
        assert "SQL_ASCII" in found.line
    finally:
        run(postgresql_server, postgresql_url, f"DROP DATABASE {name}")


def test_a_statement_over_its_time(postgresql_server: Postgresql, postgresql_url: str) -> None:
    slow = "SELECT count(*) FROM generate_series(1, 1000000000)"
    expected = r"public\.big: the statement took longer than its time-out"
    opened = connect(postgresql_url, postgresql_server.secret, statement_timeout_seconds=0.05)
    with closing(opened), pytest.raises(CannotFinish, match=expected), told("public.big"):
        opened.execute(slow)


@pytest.mark.parametrize(
    ("sql", "kind", "what"),
    [
        ("SELECT * FROM public.gone", BadInput, "changed since the inventory"),
        ("SELECT pg_terminate_backend(pg_backend_pid())", CannotFinish, "the server went away"),
        ("SELECT pg_cancel_backend(pg_backend_pid())", CannotFinish, "somebody cancelled the query"),
        ("SELECT 1/0", CannotFinish, "the server refuses a query: division by zero"),
    ],
)
def test_what_a_query_meets_with_is_told(opened: psycopg.Connection, sql: str, kind: type, what: str) -> None:
    with pytest.raises(kind, match=re.escape(what)), told("public.t"):
        opened.execute(sql.encode())


def test_row_security_is_an_error_and_not_a_table_with_fewer_rows(
    postgresql_server: Postgresql, postgresql_url: str, tmp_path: Path
) -> None:
    reader = f"reader_{os.getpid()}_{free_port()}"
    setup = (
        f"CREATE ROLE {reader} LOGIN PASSWORD 'reading-is-all'; CREATE TABLE notes (a int); CREATE TABLE kept (a int);"
        f"CREATE TABLE secret (a int); ALTER TABLE notes ENABLE ROW LEVEL SECURITY;"
        f"GRANT SELECT ON notes, kept TO {reader}"
    )
    run(postgresql_server, postgresql_url, setup)
    (tmp_path / "password").write_text("reading-is-all", encoding="utf-8")
    try:
        url = postgresql_url.replace("//postgres@", f"//{reader}@")
        with closing(connect(url, Secret("file:password", tmp_path))) as opened:
            assert opened.execute("SELECT count(*) FROM public.kept").fetchone() == (0,)
            with pytest.raises(BadInput, match="row security hides rows"), told("public.notes"):
                opened.execute("SELECT count(*) FROM public.notes")
            opened.rollback()
            with pytest.raises(BadInput, match=r"public\.secret: permission denied"), told("public.secret"):
                opened.execute("SELECT count(*) FROM public.secret")
    finally:
        run(postgresql_server, postgresql_url, f"DROP OWNED BY {reader}; DROP ROLE {reader}")


@pytest.mark.parametrize("variable", ["PGHOSTADDR", "PGSERVICE"])
def test_the_environment_does_not_lead_elsewhere(
    postgresql_server: Postgresql, postgresql_url: str, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """libpq prefers them to the host of a URL: the record would name one server, and hold the rows of another."""
    monkeypatch.setenv(variable, "127.0.0.1")
    error = refusal(postgresql_url, postgresql_server.secret)
    assert isinstance(error, WrongUse)
    assert error.object == variable
    assert f"unset {variable}" in error.next
