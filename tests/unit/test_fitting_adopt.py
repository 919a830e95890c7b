"""Migrations of the new application: run as D1 would run them, refused with file and line, adopted as they are."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from helpers import markdown
from helpers.fires import fires

from towpath.checks import Verdict
from towpath.cloudflare import D1
from towpath.errors import BadInput
from towpath.fitting.adopt import adopted, read_migrations, statements
from towpath.tables.proof import prove

OURS = markdown.ROOT / "runbooks" / "personality-spark" / "worker" / "migrations"


def folder(path: Path, **files: str) -> Path:
    for name, text in files.items():
        (path / f"{name.replace('_', '-', 1)}.sql").write_text(text, encoding="utf-8")
    return path


def test_files_run_by_their_number(tmp_path: Path) -> None:
    (tmp_path / "10_more.sql").write_text("ALTER TABLE t ADD COLUMN b TEXT", encoding="utf-8")
    (tmp_path / "9_init.sql").write_text("CREATE TABLE IF NOT EXISTS t (a TEXT);", encoding="utf-8")
    (tmp_path / "README.md").write_text("not SQL", encoding="utf-8")
    made = read_migrations(tmp_path)
    assert [name for name, _ in made.files] == ["9_init.sql", "10_more.sql"]
    assert [c.name for c in made.schema.table("t").columns] == ["a", "b"]
    assert made.findings() == []


@pytest.mark.parametrize(
    ("sql", "line", "said"),
    [
        ("CREATE TABLE t (a);\n\n-- why\nATTACH 'x' AS y;", 4, "D1 refuses ATTACH"),
        ("BEGIN;\nCREATE TABLE t (a);\nCOMMIT;", 1, "D1 refuses BEGIN and COMMIT"),
        ("SAVEPOINT a;", 1, "D1 refuses SAVEPOINT"),
        ("\nPRAGMA journal_mode = WAL;", 2, "D1 refuses PRAGMA journal_mode"),
        ("CREATE TEMP TABLE t (a);", 1, "D1 refuses TEMP tables"),
        ("CREATE TABLE t (a CHECK (sqlite_version() > '3'));", 1, "D1 has no function sqlite_version"),
        (f"CREATE TABLE t ({', '.join(f'c{i}' for i in range(101))});", 1, "too many columns"),
        ("CREATE TABLE t (a);\nCREATE TABLE t (a);", 2, "already exists"),
        ("CREATE TABLE _cf_t (a);", 1, "not authorized"),
        ("CREATE TABLE t (a);\nCREATE TABLE u (b", 2, "incomplete input"),
        ("INSERT INTO nowhere VALUES (1)", 1, "no such table"),
        ("CREATE VIRTUAL TABLE v USING dbstat(main)", 1, "not authorized"),
    ],
)
def test_what_d1_refuses_is_named_by_file_and_line(sql: str, line: int, said: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        read_migrations(folder(tmp_path, x_1=sql))
    assert caught.value.code == "FT112"
    assert caught.value.object == f"x-1.sql, line {line}"
    assert said in caught.value.what


@pytest.mark.parametrize(
    ("sql", "where"),
    [
        ("CREATE TABLE t (a); CREATE VIEW v AS SELECT a FROM u", "view v"),
        ("CREATE TABLE t (a); CREATE TRIGGER w AFTER INSERT ON t BEGIN UPDATE u SET a = 1; END", "trigger w"),
    ],
)
def test_views_and_triggers_are_compiled_once(sql: str, where: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        read_migrations(folder(tmp_path, x_1=sql))
    assert (caught.value.code, caught.value.object) == ("FT112", where)


def test_a_folder_without_migrations_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(BadInput, match=r"correct migrations in mapping\.yaml"):
            read_migrations(path)
    (tmp_path / "1.sql").write_bytes(b"CREATE TABLE t (a DEFAULT '\xff')")
    with pytest.raises(BadInput, match="not UTF-8 at byte 27"):
        read_migrations(tmp_path)


@fires("FT112")
def test_a_migration_that_d1_refuses(tmp_path: Path) -> Iterable[str]:
    with pytest.raises(BadInput) as caught:
        read_migrations(folder(tmp_path, x_1="CREATE TABLE t (a); CREATE VIEW v AS SELECT a FROM u"))
    return [caught.value.code]


@fires("FT113")
def test_rows_in_migrations_are_a_finding(tmp_path: Path) -> Iterable[str]:
    made = read_migrations(folder(tmp_path, x_1="CREATE TABLE t (a); INSERT INTO t VALUES (1), (2);"))
    assert [(f.code, f.object, f.count) for f in made.findings()] == [("FT113", "t", 2)]
    assert made.schema.sequences == {}
    return {finding.code for finding in made.findings()}


def test_statements_keep_triggers_whole_and_know_their_lines() -> None:
    text = "-- a\nCREATE TABLE t (a); -- ;\n\nCREATE TRIGGER x AFTER INSERT ON t BEGIN\n  SELECT 1;\nEND;\n;\nSELECT 1"
    assert [(line, sql.strip()[:14]) for line, sql in statements(text)] == [
        (2, "-- a\nCREATE TA"),
        (4, "-- ;\n\nCREATE T"),
        (8, "SELECT 1"),
    ]


FULL = """CREATE TABLE parent (id INTEGER PRIMARY KEY AUTOINCREMENT, /* a key */ code TEXT); -- told
CREATE UNIQUE INDEX code ON parent(code);
CREATE TABLE child (id TEXT PRIMARY KEY, code TEXT REFERENCES parent(code) ON DELETE CASCADE) STRICT, WITHOUT ROWID;
CREATE INDEX by_code ON child(code) WHERE code IS NOT NULL;
CREATE VIEW both AS SELECT * FROM parent JOIN child USING (code);
CREATE TRIGGER told AFTER DELETE ON child BEGIN DELETE FROM parent WHERE code = old.code; END;
CREATE VIRTUAL TABLE words USING fts5(code, content='parent', content_rowid='id');
"""


def test_an_adopted_schema_is_the_authors_own_and_is_proved(tmp_path: Path) -> None:
    schema = read_migrations(folder(tmp_path, x_1=FULL)).schema
    made = adopted(schema)
    assert made.table("child").sql == FULL.splitlines()[2].rstrip(";")
    assert made.table("parent").sql == "CREATE TABLE parent (id INTEGER PRIMARY KEY AUTOINCREMENT,  code TEXT)"
    assert [s.name for s in made.keys] == ["code"]
    assert [s.name for s in made.indexes] == ["by_code"]
    assert [s.name for s in made.virtual] == ["words", "words"]
    assert {a.name for a in made.accounting} == {o.name for o in schema.objects}
    assert [check for check in prove(made, schema) if check.verdict is not Verdict.PASS] == []


def test_our_own_migrations_run_in_d1(d1: D1) -> None:
    schema = read_migrations(OURS).schema
    made = adopted(schema)
    for sql in (*made.table_statements, *made.after_statements):
        d1.query(sql)
    there = {name for (name,) in d1.query("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')").rows}
    assert {table.name for table in schema.moving} | {view.name for view in schema.views} <= there
