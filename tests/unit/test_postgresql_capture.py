"""The captured copy: every row of one moment, or an error that names the table; nothing half done stays behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import apsw
import psycopg
import pytest
from helpers.postgresql import run

from towpath.errors import BadInput, CannotFinish
from towpath.local.postgresql import Postgresql
from towpath.postgresql import capture as module
from towpath.postgresql import reading
from towpath.postgresql.capture import Captured, capture, catalog_unchanged, open_capture
from towpath.postgresql.catalog import Table
from towpath.postgresql.snapshot import Snapshot
from towpath.secrets import Secret
from towpath.tables.schema import reflect

TABLES = """
CREATE SCHEMA stats;
CREATE TABLE users (id serial PRIMARY KEY, name text);
CREATE TABLE stats.daily (day date, who uuid, n numeric, PRIMARY KEY (day, who));
CREATE TABLE nothing ();
INSERT INTO users (name) SELECT 'it''s ' || g FROM generate_series(1, 5000) g;
INSERT INTO stats.daily SELECT date '2024-01-01' + g, md5(g::text)::uuid, 1.10 FROM generate_series(1, 3) g;
INSERT INTO nothing SELECT FROM generate_series(1, 3);
"""


@pytest.fixture
def snapshot(postgresql_server: Postgresql, postgresql_url: str) -> Iterator[Snapshot]:
    run(postgresql_server, postgresql_url, TABLES)
    with Snapshot(postgresql_url, postgresql_server.secret) as made:
        yield made


def captured(server: Postgresql, url: str, path: Path, **options: int) -> Captured:
    with Snapshot(url, server.secret) as snapshot:
        return capture(snapshot, snapshot.read_catalog(), path / "capture.sqlite", **options)


def read(done: Captured, sql: str) -> list[tuple[object, ...]]:
    with closing(open_capture(done.path)) as db:
        return list(db.execute(sql))


@pytest.mark.parametrize("readers", [1, 2])
def test_every_row_is_there_under_its_flat_name(snapshot: Snapshot, tmp_path: Path, readers: int) -> None:
    seen: list[int] = []
    done = capture(snapshot, snapshot.read_catalog(), tmp_path / "in" / "capture.sqlite", seen.append, readers=readers)
    assert {t.source: (t.name, t.rows) for t in done.tables} == {
        "public.nothing": ("nothing", 3),
        "public.users": ("users", 5000),
        "stats.daily": ("stats_daily", 3),
    }
    assert done.rows == sum(seen) == 5006
    assert read(done, "SELECT count(*), min(id), max(id), count(DISTINCT name) FROM users") == [(5000, 1, 5000, 5000)]
    assert read(done, "SELECT day, n FROM stats_daily ORDER BY 1 LIMIT 1") == [("2024-01-02", "1.10")]
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["capture.sqlite"]
    with closing(open_capture(done.path)) as db:
        schema = reflect(db)
        assert {table.name: table.primary_key for table in schema.tables} == {
            "users": ("id",),
            "stats_daily": ("day", "who"),
            "nothing": (),
        }
        assert {c.affinity for table in schema.tables for c in table.columns if not c.key} == {"BLOB"}
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_what_the_file_says_of_itself(snapshot: Snapshot, tmp_path: Path) -> None:
    catalog = snapshot.read_catalog()
    done = capture(snapshot, catalog, tmp_path / "capture.sqlite")
    facts = dict(read(done, "SELECT name, value FROM _towpath_source"))
    assert (facts["catalog"], facts["taken_at"]) == (catalog.digest, done.taken_at)
    assert facts["taken_at"][4::3].startswith("-")
    assert read(done, "SELECT * FROM _towpath_table WHERE source = 'stats.daily'") == [
        ("stats.daily", "stats_daily", 3, "")
    ]
    assert read(done, "SELECT name, base, form FROM _towpath_column WHERE source = 'stats.daily' ORDER BY number") == [
        ("day", "date", "date"),
        ("who", "uuid", "uuid"),
        ("n", "numeric", "decimal"),
    ]
    assert read(done, "SELECT name, owned_by, next_value FROM _towpath_sequence") == [
        ("public.users_id_seq", "public.users.id", 5001)
    ]


def test_rows_written_after_the_moment_are_not_in_it(
    snapshot: Snapshot, postgresql_server: Postgresql, postgresql_url: str, tmp_path: Path
) -> None:
    run(postgresql_server, postgresql_url, "INSERT INTO users (name) VALUES ('late'); DELETE FROM stats.daily")
    done = capture(snapshot, snapshot.read_catalog(), tmp_path / "capture.sqlite")
    assert {t.source: t.rows for t in done.tables}["stats.daily"] == 3
    assert read(done, "SELECT count(*) FROM users WHERE name = 'late'") == [(0,)]
    with closing(snapshot.reader()) as reader:
        assert reader.execute("SELECT count(*) FROM stats.daily").fetchone() == (3,)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("DROP TABLE stats.daily", "stats.daily is gone"),
        ("ALTER TABLE users ADD COLUMN more int", "public.users was altered"),
        ("ALTER TABLE users ALTER COLUMN id TYPE bigint", "public.users was altered"),
        ("CREATE TABLE more (a int)", "public.more is new"),
        ("CREATE VIEW more AS SELECT 1", "something beside its tables"),
    ],
)
def test_a_schema_that_changed_since_the_inventory_is_refused(
    postgresql_server: Postgresql, postgresql_url: str, tmp_path: Path, change: str, what: str
) -> None:
    run(postgresql_server, postgresql_url, TABLES)
    with Snapshot(postgresql_url, postgresql_server.secret) as inventory:
        catalog = inventory.read_catalog()
        catalog_unchanged(inventory, catalog)
    run(postgresql_server, postgresql_url, change)
    expected = f"the schema is not what the inventory saw: {what}"
    with Snapshot(postgresql_url, postgresql_server.secret) as later, pytest.raises(BadInput, match=expected):
        capture(later, catalog, tmp_path / "capture.sqlite")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("TRUNCATE stats.daily", r"stats\.daily: it was truncated or rewritten"),
        (
            "ALTER TABLE stats.daily ALTER COLUMN n TYPE text",
            "altered while it was read|daily was altered|truncated or rewritten",
        ),
        ("DROP TABLE stats.daily", "altered while it was read|stats.daily: changed since the inventory"),
    ],
)
def test_a_table_that_loses_its_rows_after_the_moment_is_refused(
    snapshot: Snapshot, postgresql_server: Postgresql, postgresql_url: str, tmp_path: Path, change: str, what: str
) -> None:
    catalog = snapshot.read_catalog()
    run(postgresql_server, postgresql_url, change)
    with pytest.raises((BadInput, CannotFinish), match=what):
        capture(snapshot, catalog, tmp_path / "capture.sqlite")
    assert list(tmp_path.iterdir()) == []


def test_a_partition_of_a_partition_that_is_emptied_is_refused(
    postgresql_server: Postgresql, postgresql_url: str, tmp_path: Path
) -> None:
    tables = """CREATE TABLE a (n int) PARTITION BY RANGE (n);
        CREATE TABLE b PARTITION OF a DEFAULT PARTITION BY RANGE (n); CREATE TABLE c PARTITION OF b DEFAULT;
        INSERT INTO a VALUES (1)"""
    run(postgresql_server, postgresql_url, tables)
    with Snapshot(postgresql_url, postgresql_server.secret) as snapshot:
        catalog = snapshot.read_catalog()
        run(postgresql_server, postgresql_url, "TRUNCATE c")
        with pytest.raises(CannotFinish, match=r"public\.c: it was truncated or rewritten"):
            capture(snapshot, catalog, tmp_path / "capture.sqlite")


def test_a_held_table_takes_rows_and_cannot_be_truncated(
    snapshot: Snapshot, postgresql_server: Postgresql, postgresql_url: str, tmp_path: Path
) -> None:
    catalog = snapshot.read_catalog()
    snapshot.hold([catalog.table("stats.daily")])
    with pytest.raises(psycopg.errors.LockNotAvailable):
        run(postgresql_server, postgresql_url, "SET lock_timeout = '20ms'; TRUNCATE stats.daily")
    run(postgresql_server, postgresql_url, "DELETE FROM stats.daily")
    capture(snapshot, catalog, tmp_path / "capture.sqlite")


def test_a_table_without_permission_is_named_and_the_others_are_there(
    postgresql_server: Postgresql, postgresql_url: str, tmp_path: Path
) -> None:
    reader = "r" + postgresql_url.rsplit("_", 1)[1]
    run(postgresql_server, postgresql_url, TABLES)
    grants = (
        f"CREATE ROLE {reader} LOGIN PASSWORD 'reading-is-all'; GRANT SELECT ON users, nothing TO {reader};"
        f"CREATE TABLE guarded (a int); ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;"
        f"GRANT SELECT ON guarded TO {reader}"
    )
    run(postgresql_server, postgresql_url, grants)
    (tmp_path / "password").write_text("reading-is-all", encoding="utf-8")
    url = postgresql_url.replace("//postgres@", f"//{reader}@")
    try:
        with Snapshot(url, Secret("file:password", tmp_path)) as snapshot:
            done = capture(snapshot, snapshot.read_catalog(), tmp_path / "capture.sqlite")
    finally:
        run(postgresql_server, postgresql_url, f"DROP OWNED BY {reader}; DROP ROLE {reader}")
    failed = {table.source: table.error for table in done.failed}
    assert failed.keys() == {"stats.daily", "public.guarded"}
    assert failed["stats.daily"].startswith("stats.daily: permission denied: ")
    assert "row security hides rows" in failed["public.guarded"]
    assert {t.source: t.rows for t in done.tables if not t.error} == {"public.users": 5000, "public.nothing": 3}
    assert read(done, "SELECT count(*) FROM users") == [(5000,)]
    assert read(done, "SELECT name FROM sqlite_schema WHERE name = 'stats_daily'") == []


def test_long_values_are_captured(postgresql_server: Postgresql, postgresql_url: str, tmp_path: Path) -> None:
    rows = """CREATE TABLE big (id int PRIMARY KEY, body text, data bytea);
        INSERT INTO big VALUES (1, repeat('''ä', 600000), NULL), (2, '', decode(repeat('00ff', 5000000), 'hex')),
          (3, NULL, '')"""
    run(postgresql_server, postgresql_url, rows)
    done = captured(postgresql_server, postgresql_url, tmp_path)
    assert read(done, "SELECT id, octet_length(body), octet_length(data), typeof(data) FROM big") == [
        (1, 1_800_000, None, "null"),
        (2, 0, 10_000_000, "blob"),
        (3, None, 0, "blob"),
    ]
    assert read(done, "SELECT body = replace(hex(zeroblob(300000)), '0', '''ä') FROM big WHERE id = 1") == [(1,)]


def test_partitions_and_children_are_counted_once(
    postgresql_server: Postgresql, postgresql_url: str, tmp_path: Path
) -> None:
    rows = """CREATE TABLE events (at date, n int) PARTITION BY RANGE (at);
        CREATE TABLE e1 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
        CREATE TABLE e2 (n int, at date); ALTER TABLE events ATTACH PARTITION e2 DEFAULT;
        CREATE TABLE parent (a int); CREATE TABLE child (b int) INHERITS (parent);
        INSERT INTO events VALUES ('2024-05-05', 1), ('2026-05-05', 2);
        INSERT INTO parent VALUES (1); INSERT INTO child VALUES (2, 3)"""
    run(postgresql_server, postgresql_url, rows)
    done = captured(postgresql_server, postgresql_url, tmp_path)
    assert {t.name: t.rows for t in done.tables} == {"events": 2, "parent": 1, "child": 1}
    assert read(done, "SELECT * FROM events ORDER BY n") == [("2024-05-05", 1), ("2026-05-05", 2)]
    assert read(done, "SELECT * FROM child") == [(2, 3)]


VALUES = {
    "timestamptz 'infinity'": "infinity",
    "timestamptz '0044-03-15 12:00+00 BC'": "0044-03-15 12:00:00+00 BC",
    "timestamptz '10000-01-01 00:00+00'": "10000-01-01 00:00:00+00",
    "timestamptz '9999-12-31 23:59:59.999999+00'": "9999-12-31T23:59:59.999999Z",
    "timestamptz '0001-01-01 00:00+00'": "0001-01-01T00:00:00.000000Z",
    "timestamp '-infinity'": "-infinity",
    "date 'infinity'": "infinity",
    "date '0044-03-15 BC'": "0044-03-15 BC",
    "time '24:00'": "24:00:00",
    "timetz '09:00:00.5+05:30'": "09:00:00.5+05:30",
    "interval '1 year 2 mons -3 days 04:05:06.7'": "P1Y2M-3DT4H5M6.7S",
    "interval 'infinity'": "infinity",
    "numeric 'NaN'": "NaN",
    "numeric '-Infinity'": "-Infinity",
    "float8 'NaN'": "NaN",
    "float8 'Infinity'": float("inf"),
    "float4 '0.1'": 0.1,
    "float4 '-Infinity'": float("-inf"),
    "float8 '1e15'": 1e15,
    "float8 '999999999999999'": 999999999999999.0,
    "float8 '4.9e-324'": 5e-324,
    "float4 '1e6'": 1e6,
    "float4 '999999'": 999999.0,
    "bigint '-9223372036854775808'": -(2**63),
    "oid '4294967295'": 4294967295,
    "money '12345.60'": "12345.60",
    "bit '0101'": "0101",
    "inet '10.0.0.1/8'": "10.0.0.1/8",
    "int4range '[1,5)'": "[1,5)",
    "tsvector 'it''s'": "'it''s'",
    'json \'{"a":1,  "a":1.10}\'': '{"a":1,  "a":1.10}',
    "jsonb '{\"b\": 12345678901234567890.10}'": '{"b": 12345678901234567890.10}',
    "ARRAY[[1,2],[3,NULL]]": "[[1,2],[3,null]]",
    "ARRAY[timestamptz '2024-01-01 00:00+00']": '["2024-01-01T00:00:00+00:00"]',
    "ARRAY['a'::char(3)]": '["a"]',
    "'x'::\"char\"": "x",
    "ROW(1, 'it''s')": "(1,it's)",
}


def test_values_at_the_edges(postgresql_server: Postgresql, postgresql_url: str, tmp_path: Path) -> None:
    typed = [sql.replace("ROW(1, 'it''s')", "ROW(1, 'it''s')::pair") for sql in VALUES]
    columns = ", ".join(f"{sql} AS c{number}" for number, sql in enumerate(typed))
    run(
        postgresql_server,
        postgresql_url,
        f"CREATE TYPE pair AS (a int, b text); CREATE TABLE edges AS SELECT {columns}",
    )
    done = captured(postgresql_server, postgresql_url, tmp_path)
    (found,) = read(done, "SELECT * FROM edges")
    assert dict(zip(VALUES, map(repr, found), strict=True)) == {sql: repr(value) for sql, value in VALUES.items()}


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        ('CREATE TABLE a (x int); CREATE TABLE "A" (x int)', "PG102 .* both become"),
        ('CREATE TABLE a (); CREATE TABLE "A" (); CREATE TABLE b (); CREATE TABLE "B" ()', "become a; public.b: .* b"),
        ("CREATE VIEW v AS SELECT 1", "zero tables"),
        ("CREATE SCHEMA s; CREATE TABLE s.t (x int); CREATE TABLE s_t (x int)", "PG102 .* both become"),
        ('CREATE TABLE t (x int, "X" int)', "PG103 .*columns that differ only in capitals"),
        ("CREATE TABLE sqlite_things (x int)", "PG104 .*belongs to SQLite, Cloudflare or Towpath"),
    ],
)
def test_names_that_one_file_cannot_hold(
    postgresql_server: Postgresql, postgresql_url: str, tmp_path: Path, sql: str, what: str
) -> None:
    run(postgresql_server, postgresql_url, sql)
    with pytest.raises(BadInput, match=what):
        captured(postgresql_server, postgresql_url, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_goes_away_leaves_nothing(snapshot: Snapshot, tmp_path: Path) -> None:
    catalog = snapshot.read_catalog()

    def cut(_: int) -> None:
        snapshot.connection.close()
        raise CannotFinish("cut", next="again")

    with pytest.raises(CannotFinish):
        capture(snapshot, catalog, tmp_path / "capture.sqlite", cut)
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_is_cut_is_told(
    snapshot: Snapshot, postgresql_server: Postgresql, postgresql_url: str, tmp_path: Path
) -> None:
    catalog = snapshot.read_catalog()
    cut: list[int] = []

    def report(done: int) -> None:
        if not cut:
            cut.append(done)
            run(
                postgresql_server,
                postgresql_url,
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'towpath'"
                " AND datname = current_database()",
            )

    run(postgresql_server, postgresql_url, "SELECT 1")
    with pytest.raises(CannotFinish, match="the server went away"):
        capture(snapshot, catalog, tmp_path / "capture.sqlite", report)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told(snapshot: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = module._new_file

    def small(path: Path) -> apsw.Connection:
        db = whole(path)
        db.execute("PRAGMA max_page_count = 4").fetchall()
        return db

    monkeypatch.setattr(module, "_new_file", small)
    with pytest.raises(CannotFinish, match="the disk is full"):
        capture(snapshot, snapshot.read_catalog(), tmp_path / "capture.sqlite")
    assert list(tmp_path.iterdir()) == []


def test_rows_lost_on_their_way_are_told(snapshot: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = reading._batches

    def losing(connection: psycopg.Connection, table: Table) -> Iterator[tuple[list[bytes], int]]:
        for tuples, size in whole(connection, table):
            yield tuples[1:], size

    monkeypatch.setattr(reading, "_batches", losing)
    with pytest.raises(CannotFinish, match=r"PostgreSQL counts [\d,]+ rows, sent [\d,]+, the file holds"):
        capture(snapshot, snapshot.read_catalog(), tmp_path / "capture.sqlite")
    assert list(tmp_path.iterdir()) == []
