"""A whole fit on a real PostgreSQL: shaped, exported, proved; and a fault in each place that the proof must see."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from helpers.fires import fires, not_passed
from helpers.fitting import Passage, change, passage, rows, rule

from towpath.checks import Verdict
from towpath.errors import CannotFinish
from towpath.fitting import sqlite
from towpath.fitting.language import Node
from towpath.fitting.spec import ColumnRule, Constant, Fit, Join, Lookup, Rewrite
from towpath.local.postgresql import Postgresql

SOURCE = """
CREATE TYPE mood AS ENUM ('glad', 'sad');
CREATE DOMAIN code AS text CHECK (VALUE <> '');
CREATE SCHEMA stats;
CREATE TABLE plans (code text PRIMARY KEY, title text NOT NULL);
INSERT INTO plans VALUES ('f', 'free'), ('p', 'plus');
CREATE TABLE users (
  id uuid PRIMARY KEY, email text, username varchar(20), plan text, mood mood, born date, active boolean NOT NULL,
  score float8, ratio float4, avatar bytea, tags text[], settings jsonb, raw json, created timestamptz NOT NULL,
  seen timestamp, password text, padded char(4), took interval, archived boolean NOT NULL DEFAULT false
);
INSERT INTO users SELECT
  ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid,
  CASE WHEN n % 7 = 0 THEN NULL ELSE 'User' || (n % 90) || '@Example.org' END,
  CASE WHEN n % 5 = 0 THEN NULL ELSE 'Zoë''s ' || n END,
  CASE n % 3 WHEN 0 THEN 'f' WHEN 1 THEN 'p' END,
  CASE n % 2 WHEN 0 THEN 'glad'::mood ELSE 'sad' END,
  date '1970-01-01' + n, n % 2 = 0,
  CASE n % 50 WHEN 0 THEN 'NaN'::float8 WHEN 1 THEN 'Infinity' WHEN 2 THEN -0.0 ELSE n / 7.0 END, n / 3.0,
  decode(lpad(to_hex(n), 4, '0'), 'hex'), ARRAY['a', n::text, NULL],
  jsonb_build_object('theme', 'dark', 'n', n, 'u', 'https://cdn.old/static/' || n || '.png'),
  ('{"a": {"b": 1.10, "c":' || n || '},  "url":"https://cdn.old/static/x"}')::json,
  timestamptz '2024-01-01 00:00:00+02' + n * interval '1 day 0.123456 second',
  timestamp '2024-01-01' + n * interval '1 hour', 'secret', 'ab', n * interval '1 hour', n > 290
FROM generate_series(1, 300) n;
CREATE TABLE settings (user_id uuid PRIMARY KEY, theme text, volume int);
INSERT INTO settings SELECT id, 'dark', 7 FROM users WHERE id::text LIKE '%5';
CREATE TABLE purchases (id serial PRIMARY KEY, user_id uuid, amount numeric(10, 2), at timestamptz);
INSERT INTO purchases (user_id, amount, at) SELECT id, 12.5 + row_number() OVER (), '2024-05-05 05:05:05Z' FROM users;
SELECT setval('purchases_id_seq', 900);
CREATE TABLE badges (user_id uuid, badge text, level int, PRIMARY KEY (user_id, badge));
INSERT INTO badges SELECT id, b, 1 FROM users, unnest(ARRAY['Z', 'a', 'ä', '''']) b;
CREATE TABLE log (batch text, line int);
INSERT INTO log SELECT 'b', n / 2 FROM generate_series(1, 100) n;
CREATE TABLE stats.daily (day date PRIMARY KEY, n bigint);
INSERT INTO stats.daily VALUES ('2024-01-01', 9007199254740993);
CREATE TABLE audit (id int);
"""
TARGET = """
CREATE TABLE users (
  id TEXT PRIMARY KEY, email TEXT, handle TEXT UNIQUE COLLATE NOCASE, locale TEXT NOT NULL, plan TEXT,
  mood TEXT CHECK (mood IN ('glad', 'sad')), born TEXT, active INTEGER NOT NULL, score REAL, ratio REAL, avatar BLOB,
  avatar_hex TEXT, tags TEXT, settings TEXT, raw TEXT, b TEXT, created_at INTEGER NOT NULL, created_iso TEXT,
  seen TEXT, padded TEXT, took TEXT, theme TEXT, number INTEGER, level INTEGER NOT NULL DEFAULT 3,
  double INTEGER GENERATED ALWAYS AS (level * 2) STORED
);
CREATE TABLE purchases (id INTEGER PRIMARY KEY AUTOINCREMENT, user_id TEXT REFERENCES users(id), cents INTEGER NOT NULL,
  amount TEXT, at TEXT);
CREATE TABLE badges (user_id TEXT, badge TEXT, level INTEGER, PRIMARY KEY (user_id, badge)) WITHOUT ROWID;
CREATE TABLE log (batch TEXT, line INTEGER);
CREATE TABLE daily (day TEXT PRIMARY KEY, n INTEGER) STRICT;
CREATE TABLE people (email TEXT PRIMARY KEY COLLATE NOCASE, n INTEGER);
CREATE TABLE jobs (id TEXT PRIMARY KEY);
CREATE INDEX by_created ON users(created_at);
CREATE VIEW rich AS SELECT * FROM users;
CREATE TRIGGER refuse BEFORE INSERT ON users BEGIN SELECT RAISE(ABORT, 'no row by hand'); END;
"""
DROPPED = {"password": "the new side asks for another", "archived": "only rows that are not archived go"}
REWRITE = Rewrite("https://cdn.old/static/", "https://media.new/")
HANDLE = """CASE WHEN occurrence(lower(username), id) = 1 THEN lower(trim(username))
  ELSE lower(username) || '-' || occurrence(lower(username), id) END"""


def c(source: str | None = None, form: str = "default", **more: object) -> ColumnRule:
    return ColumnRule(source=source, form=form, **more)  # type: ignore[arg-type]


USERS = rule(
    "public.users",
    "users",
    {
        "id": "id",
        "email": c(expression="lower(email)"),
        "handle": c(expression=HANDLE),
        "locale": c(constant=Constant("en")),
        "plan": c(lookup=Lookup("public.plans", "code", "plan", "title"), default="none"),
        "mood": "mood",
        "born": "born",
        "active": "active",
        "score": "score",
        "ratio": "ratio",
        "avatar": "avatar",
        "avatar_hex": c("avatar", "hex"),
        "tags": "tags",
        "settings": c("settings", rewrite=REWRITE),
        "raw": c("raw", rewrite=REWRITE),
        "b": c(expression="json_value(raw, '$.a.b') || substr(email, 2, 3)"),
        "created_at": c("created", "unix_seconds"),
        "created_iso": "created",
        "seen": c("seen", "sqlite_datetime"),
        "padded": "padded",
        "took": "took",
        "theme": c("settings.theme", default="light"),
        "number": c(expression="occurrence(1, id)"),
    },
    rows="NOT archived",
    drop={**DROPPED, "settings.volume": "nobody used it"},
    join=Join("public.settings", "user_id", "id"),
)
RULES = Fit(
    (
        USERS,
        rule(
            "public.purchases",
            "purchases",
            {"id": "id", "user_id": "user_id", "cents": c("amount", "cents"), "amount": "amount", "at": c("at")},
            rows="id <= 290",
        ),
        rule("public.badges", "badges", {"user_id": "user_id", "badge": "badge", "level": "level"}),
        rule("public.log", "log", {"batch": "batch", "line": "line"}),
        rule("stats.daily", "daily", {"day": "day", "n": "n"}),
        rule(
            "public.users",
            "people",
            {"email": "email", "n": c(constant=Constant(1))},
            rows="email IS NOT NULL AND occurrence(email, id) = 1",
        ),
    ),
    left={"public.audit": "nobody reads it", "public.plans": "its titles go with the users"},
    empty=("jobs",),
)


@pytest.fixture
def small(postgresql_server: Postgresql, postgresql_url: str, tmp_path: Path) -> Iterator[Passage]:
    with passage(postgresql_server, postgresql_url, tmp_path, SOURCE, TARGET, RULES) as made:
        yield made


def test_what_is_shaped_is_what_postgresql_says(small: Passage) -> None:
    assert small.violations() == ()
    shaped = small.shape()
    assert shaped.rows == {
        "users": 290, "purchases": 290, "badges": 1200, "log": 100, "daily": 1, "people": 90, "jobs": 0,
    }  # fmt: skip
    assert shaped.parked == {"public.users": 10, "public.purchases": 10}
    assert {check.verdict for check in shaped.checks} == {Verdict.PASS}
    assert shaped.sequences == {"purchases": 900}
    assert rows(shaped.path, "SELECT count(*) FROM sqlite_schema WHERE type IN ('view', 'trigger')") == [(2,)]
    comparison = small.prove()
    assert comparison.equal, [check for check in comparison.checks if check.verdict is not Verdict.PASS]
    assert comparison.differences == ()
    assert {check.object for check in comparison.checks if check.code == "FT402"} == set(shaped.rows)
    assert comparison.compared["rows"] == sum(shaped.rows.values())


def test_a_fault_in_the_loaders_compiler_is_seen(
    postgresql_server: Postgresql, postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = sqlite._Writer.write

    def wrong(self: sqlite._Writer, node: Node) -> str:
        return plain(self, node).replace("lower(", "upper(").replace("2, 3", "2, 2")

    monkeypatch.setattr(sqlite._Writer, "write", wrong)
    with passage(postgresql_server, postgresql_url, tmp_path, SOURCE, TARGET, RULES) as made:
        made.shape()
        comparison = made.prove()
    assert not comparison.equal
    assert {(d.object, d.column) for d in comparison.differences} == {
        ("users", "email"), ("users", "handle"), ("users", "b"),
    }  # fmt: skip
    one = next(d for d in comparison.differences if d.column == "email")
    assert (one.kind, one.key, one.expected, one.found) == (
        "changed", "'00000000-0000-4000-8000-000000000001'", "'user1@example.org'", "'USER1@EXAMPLE.ORG'",
    )  # fmt: skip


def test_one_changed_byte_in_the_capture_is_seen(small: Passage) -> None:
    change(small.captured, "UPDATE badges SET badge = 'b' WHERE badge = 'a' AND user_id LIKE '%0042'")
    small.shape()
    comparison = small.prove()
    key = "'00000000-0000-4000-8000-000000000042'"
    assert [(d.object, d.key, d.kind) for d in comparison.differences] == [
        ("badges", f"{key}, 'a'", "missing"),
        ("badges", f"{key}, 'b'", "extra"),
    ]
    assert [check.object for check in comparison.checks if check.verdict is Verdict.FAIL] == ["badges"]


@pytest.mark.parametrize(
    ("sql", "table", "column", "expected"),
    [
        ("UPDATE users SET settings = replace(settings, 'dark', 'dork') WHERE id LIKE '%7'", "users", "settings", 29),
        ("UPDATE users SET score = 1.5 WHERE id LIKE '%0009'", "users", "score", 1),
        ("UPDATE users SET avatar = x'00' WHERE id LIKE '%0009'", "users", "avatar", 1),
        ("UPDATE purchases SET amount = '13.5' WHERE id = 1", "purchases", "amount", 1),
        ("UPDATE log SET line = 99 WHERE rowid = 3", "log", "", 2),
        ("DELETE FROM log WHERE rowid = 3", "log", "", 1),
        ("UPDATE stats_daily SET n = 9007199254740992", "daily", "n", 1),
        ("UPDATE users SET email = 'x' WHERE id LIKE '%0001'", "people", "", 1),
    ],
)
def test_a_changed_value_in_the_capture_is_named(
    small: Passage, sql: str, table: str, column: str, expected: int
) -> None:
    change(small.captured, sql)
    small.shape()
    mine = [d for d in small.prove().differences if d.object == table and d.column == column]
    assert len(mine) == expected


def test_a_fault_in_the_mapping_is_seen(small: Passage) -> None:
    small.shape()
    users = small.fitted.table("users")
    values = tuple(
        replace(value, postgres=value.postgres.replace("dark", "light").replace("'en'", "'de'"))
        for value in users.parts[0].values
    )
    other = replace(users, parts=(replace(users.parts[0], values=values),))
    tables = tuple(other if table is users else table for table in small.fitted.tables)
    comparison = small.prove(replace(small.fitted, tables=tables))
    assert {(d.object, d.column) for d in comparison.differences} == {("users", "locale")}
    assert len(comparison.differences) == 290


@fires("FT402")
def test_a_value_of_the_shaped_file_that_is_not_the_sources(small: Passage) -> Iterable[str]:
    change(small.shape().path, "DROP TRIGGER refuse; UPDATE purchases SET cents = cents + 1 WHERE id = 17")
    return not_passed(small.prove().checks)


@fires("FT403")
def test_a_sequence_of_the_shaped_file_that_is_behind(small: Passage) -> Iterable[str]:
    change(small.shape().path, "UPDATE sqlite_sequence SET seq = 899")
    return not_passed(small.prove().checks)


def test_rows_that_the_shaped_file_lost_or_made_up_are_named(small: Passage) -> None:
    path = small.shape().path
    change(
        path,
        "DROP TRIGGER refuse; DELETE FROM purchases WHERE id = 17; INSERT INTO purchases (id, cents) VALUES (950, 1);"
        "UPDATE sqlite_sequence SET seq = 899",
    )
    comparison = small.prove()
    assert [(d.key, d.kind) for d in comparison.differences] == [("17", "missing"), ("950", "extra")]
    assert {c.code for c in comparison.checks if c.verdict is Verdict.FAIL} == {"FT402", "FT403"}


def test_a_table_that_was_not_exported_is_told(small: Passage) -> None:
    small.shape()
    plans = replace(small.fitted.table("log"), table=replace(small.fitted.table("log").table, name="other"))
    comparison = small.prove(replace(small.fitted, tables=(*small.fitted.tables, plans)))
    assert [(c.object, c.found) for c in comparison.checks if c.verdict is Verdict.FAIL] == [
        ("other", "it was not exported")
    ]


@pytest.mark.parametrize("wrong", [False, True])
def test_pages_made_by_postgresql_and_rows_one_by_one_say_the_same(
    small: Passage, wrong: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if wrong:
        change(small.captured, "UPDATE users SET score = 1.5, raw = '3' WHERE id LIKE '%9'")
    small.shape()
    whole = small.prove()
    monkeypatch.setattr("towpath.fitting.whole.whole_pages", lambda *_: None)
    single = small.prove()
    assert (whole.checks, whole.differences, whole.compared) == (single.checks, single.differences, single.compared)
    assert whole.equal != wrong


def test_pages_that_were_not_opened_are_counted(small: Passage, monkeypatch: pytest.MonkeyPatch) -> None:
    change(small.captured, "UPDATE users SET score = 1.5 WHERE id LIKE '%9'")
    small.shape()
    monkeypatch.setattr("towpath.fitting.proof.OPENED", 0)
    comparison = small.prove()
    failed = [check for check in comparison.checks if check.verdict is Verdict.FAIL]
    assert [(check.object, check.found) for check in failed] == [("users", "1 more pages differ and were not opened")]


def test_a_server_that_goes_away_is_no_pass(small: Passage, postgresql_server: Postgresql, postgresql_url: str) -> None:
    small.shape()
    with psycopg.connect(postgresql_url, password=postgresql_server.password, autocommit=True) as db:
        others = "pid <> pg_backend_pid() AND datname = current_database()"
        db.execute(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE {others}")
    with pytest.raises(CannotFinish):
        small.prove()


def test_a_number_too_large_for_postgresql_ends_the_proof(
    postgresql_server: Postgresql, postgresql_url: str, tmp_path: Path
) -> None:
    source = "CREATE TABLE t (id bigint PRIMARY KEY); INSERT INTO t VALUES (1), (9223372036854775807)"
    target = "CREATE TABLE t (id INTEGER PRIMARY KEY, n NUMERIC)"
    rules = Fit((rule("public.t", "t", {"id": "id", "n": c(expression="id + 1")}),))
    with passage(postgresql_server, postgresql_url, tmp_path, source, target, rules) as made:
        made.shape()
        with pytest.raises(CannotFinish, match="bigint out of range"):
            made.prove()
