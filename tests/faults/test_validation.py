"""What the proof sees and what it cannot: each row of docs/validation.md, done to a real target.

The page's first column is the name of a case here, its last the codes that fail; both lists must be equal.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw
import pytest
from helpers import markdown
from helpers.carry import Carried, after_statements, carry, make_source, table_statements
from helpers.markdown import ROOT

from towpath.checks import Check, Decision, Verdict
from towpath.cloudflare.d1 import D1
from towpath.objects import Bucket, Manifest, entries, target_closure, upload, walk, write
from towpath.objects import compare as compare_objects
from towpath.tables.acceptance import constraints, received, schema_present, sequences
from towpath.tables.reproved import reproved

PAGE = ROOT / "docs" / "validation.md"
SOURCE = """
CREATE TABLE parent (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, note TEXT, twice INTEGER AS (id * 2));
CREATE TABLE child (id TEXT PRIMARY KEY NOT NULL, parent_id INTEGER REFERENCES parent (id), amount REAL, code,
    data BLOB, big INTEGER);
CREATE TABLE metric (name TEXT, value);
CREATE TABLE quiet (id INTEGER PRIMARY KEY);
CREATE TABLE strict (id INTEGER PRIMARY KEY, label TEXT NOT NULL, price REAL CHECK (price > 0),
    doubled REAL AS (price * 2) STORED);
CREATE UNIQUE INDEX strict_label ON strict (label COLLATE NOCASE);
CREATE INDEX child_parent ON child (parent_id);
CREATE VIEW names AS SELECT name || ' – ' AS shown FROM parent;
CREATE VIEW labels AS SELECT label FROM strict;
CREATE VIRTUAL TABLE words USING fts5 (body);
CREATE TRIGGER grown AFTER INSERT ON child BEGIN UPDATE parent SET note = 'grew' WHERE id = new.parent_id; END;
INSERT INTO parent (name, note) VALUES ('Ann', 'café'), ('Bob', NULL), ('Cy', '');
INSERT INTO child VALUES ('a', 1, 0.1, '5', x'00ff', 9007199254740993), ('b', 1, 1e300, 'x', x'61', 2),
    ('c', NULL, NULL, 'ab', NULL, 3);
UPDATE parent SET note = 'café' WHERE id = 1;
INSERT INTO metric VALUES ('twin', 1), ('twin', 1), ('other', 2.5);
DELETE FROM parent WHERE id = 3;
INSERT INTO strict (id, label, price) VALUES (1, 'pen', 1.5), (2, 'ink', 2.5);
INSERT INTO words (rowid, body) VALUES (1, 'Ann'), (2, 'Bob');
"""
FILL = [Decision("TB116", "words", "fill", "the application searches in it")]
NFD = "cafe\u0301"


@dataclass(frozen=True)
class Fault:
    """Something that is done to the target by SQL, and the codes that must fail because of it."""

    sql: tuple[str, ...]
    codes: tuple[str, ...]


def rows(*sql: str) -> Fault:
    return Fault(sql, ("TB411", "TB412"))


def cells(*sql: str) -> Fault:
    return Fault(sql, ("TB412",))


def objects(*sql: str) -> Fault:
    return Fault(sql, ("TB413",))


def anew(clause: str, by: str) -> tuple[str, ...]:
    """Make the table `strict` again with another clause, its rows and its index kept."""
    made = next(sql for sql in SOURCE.split(";\n") if sql.startswith("CREATE TABLE strict"))
    index = next(sql for sql in SOURCE.split(";\n") if sql.startswith("CREATE UNIQUE INDEX"))
    return (
        "CREATE TABLE kept AS SELECT id, label, price FROM strict",
        "DROP TABLE strict",
        made.replace(clause, by),
        "INSERT INTO strict (id, label, price) SELECT * FROM kept",
        "DROP TABLE kept",
        index,
    )


TARGET: dict[str, Fault] = {
    "row missing": rows("DELETE FROM child WHERE id = 'b'"),
    "row too many": rows("INSERT INTO quiet VALUES (1)"),
    "one row missing, another too many": cells("UPDATE child SET id = 'z' WHERE id = 'b'"),
    "one of two equal rows missing": rows("DELETE FROM metric WHERE rowid = 1"),
    "one character": cells("UPDATE parent SET name = 'Bub' WHERE id = 2"),
    "upper and lower case": cells("UPDATE parent SET name = 'ann' WHERE id = 1"),
    "a space at the end": cells("UPDATE parent SET name = 'Ann ' WHERE id = 1"),
    "another Unicode form": cells(f"UPDATE parent SET note = '{NFD}' WHERE id = 1"),
    "a NUL at the end": cells("UPDATE parent SET name = name || char(0) WHERE id = 1"),
    "empty text for NULL": cells("UPDATE parent SET note = '' WHERE id = 2"),
    "number for the same text": cells("UPDATE child SET code = 5 WHERE id = 'a'"),
    "text for the same blob": cells("UPDATE child SET data = 'a' WHERE id = 'b'"),
    "the last bit of a real": cells("UPDATE child SET amount = 0.10000000000000002 WHERE id = 'a'"),
    "an integer rounded by JSON": cells("UPDATE child SET big = 9007199254740992 WHERE id = 'a'"),
    "two columns exchanged": cells("UPDATE child SET code = big, big = code WHERE id = 'b'"),
    "two rows exchanged": cells(
        "UPDATE child SET amount = CASE id WHEN 'a' THEN 1e300 ELSE 0.1 END WHERE id IN ('a', 'b')"
    ),
    "a border between two cells moved": cells("UPDATE metric SET name = 'twin1', value = '' WHERE rowid = 1"),
    "a reference emptied": cells("UPDATE child SET parent_id = NULL WHERE id = 'a'"),
    "row missing in an FTS5 or R*Tree table that owns its content": rows("DELETE FROM words WHERE rowid = 1"),
    "one character in an FTS5 or R*Tree table that owns its content": cells(
        "UPDATE words SET body = 'Bub' WHERE rowid = 2"
    ),
    "another rowid in an FTS5 table": cells("UPDATE words SET rowid = 3 WHERE rowid = 2"),
    "index missing": objects("DROP INDEX child_parent"),
    "index over another column": objects("DROP INDEX child_parent", "CREATE INDEX child_parent ON child (amount)"),
    "view changed": objects("DROP VIEW names", "CREATE VIEW names AS SELECT name AS shown FROM parent"),
    "trigger missing": objects("DROP TRIGGER grown"),
    "table too many": Fault(("CREATE TABLE stranger (a)",), ("TB414",)),
    "next id given out before": Fault(("UPDATE sqlite_sequence SET seq = 2 WHERE name = 'parent'",), ("TB405",)),
    "NULL, after NOT NULL was taken away": Fault(
        (*anew("label TEXT NOT NULL", "label TEXT"), "UPDATE strict SET label = NULL WHERE id = 1"),
        ("TB412", "TB413", "TB415"),
    ),
    "a value that a CHECK refuses, while it was switched off": Fault(
        (
            "PRAGMA ignore_check_constraints = on",
            "UPDATE strict SET price = -1 WHERE id = 1",
            "PRAGMA ignore_check_constraints = off",
        ),
        ("TB407", "TB412", "TB416"),
    ),
    "a value twice, after its unique index was dropped": Fault(
        ("DROP INDEX strict_label", "UPDATE strict SET label = 'PEN' WHERE id = 2"), ("TB412", "TB413", "TB417")
    ),
    "a generated column of another expression": Fault((*anew("price * 2", "price + price * 3"),), ("TB413", "TB418")),
    "a view that gives an error for its rows": Fault(
        ("DROP VIEW labels", "CREATE VIEW labels AS SELECT json_extract(label, '$') AS label FROM strict"),
        ("TB413", "TB419"),
    ),
    "receipt missing": Fault(
        ("DELETE FROM _towpath_receipt WHERE id = (SELECT max(id) FROM _towpath_receipt WHERE rows > 0)",), ("TB402",)
    ),
    "space inside a text of a view, trigger or default": Fault(
        ("DROP VIEW names", "CREATE VIEW names AS SELECT name || '  –  ' AS shown FROM parent"), ("TB413",)
    ),
}
UNSEEN: dict[str, Fault] = {
    "other rowids in a table without a key": Fault(("UPDATE metric SET rowid = rowid + 100",), ()),
    "Towpath's own tables": Fault(("UPDATE _towpath_owner SET value = 'x' WHERE name = 'run'",), ()),
}
OUTSIDE: dict[str, Callable[[apsw.Connection], object]] = {
    "a reference without its parent": lambda db: db.execute("DELETE FROM parent WHERE id = 1"),
    "a row that breaks a constraint": lambda db: db.execute(
        "PRAGMA writable_schema = on; UPDATE sqlite_schema SET sql = replace(sql, 'note TEXT', 'note TEXT NOT NULL');"
        "PRAGMA writable_schema = reset"
    ),
}
OUTSIDE_CODES = {"a reference without its parent": ("TB406",), "a row that breaks a constraint": ("TB407",)}


class FakeD1:
    """A fake: answers `query` from a SQLite file, for damage that no statement can do to a real D1."""

    def __init__(self, db: apsw.Connection) -> None:
        self.db = db

    def query(self, sql: str) -> Any:
        """Rows, as the real one gives them."""

        class Answer:
            rows = [list(row) for row in self.db.execute(sql)]

        return Answer


def carried(folder: Path, d1: D1) -> Carried:
    with closing(make_source(folder / "source.sqlite", SOURCE)):
        pass
    return carry(folder / "source.sqlite", folder / "run", d1, FILL)


def proof(made: Carried) -> list[Check]:
    """What 04-import and 05-validate ask about the rows and around them."""
    statements = [*table_statements(made.exporter), *after_statements(made.exporter)]
    return [
        *received(made.d1, made.manifest),
        *made.compare().checks,
        *constraints(made.d1, [t.name for t in made.exporter.schema.moving]),
        *sequences(made.d1, made.manifest),
        *schema_present(made.d1, statements),
        *reproved(made.d1, made.manifest, made.exporter.db, made.exporter.relations, statements),
    ]


def failed(checks: list[Check]) -> tuple[str, ...]:
    return tuple(sorted({check.code for check in checks if check.verdict is Verdict.FAIL}))


def test_an_untouched_target_passes_every_check(tmp_path: Path, d1: D1) -> None:
    checks = proof(carried(tmp_path, d1))
    assert {check.code for check in checks} == {
        *("TB402", "TB405", "TB406", "TB407", *(f"TB{number}" for number in range(411, 420))),
    }
    assert failed(checks) == ()
    assert {check.object for check in checks if check.code == "TB412"} == {
        "parent",
        "child",
        "metric",
        "quiet",
        "strict",
        "words",
    }


@pytest.mark.parametrize("name", [*TARGET, *UNSEEN])
def test_what_was_done_to_the_target_is_found(name: str, tmp_path: Path, d1: D1) -> None:
    fault = {**TARGET, **UNSEEN}[name]
    made = carried(tmp_path, d1)
    d1.batch([*fault.sql])
    assert failed(proof(made)) == fault.codes


@pytest.mark.parametrize("name", OUTSIDE)
def test_damage_that_no_statement_can_do(name: str, tmp_path: Path) -> None:
    with closing(make_source(tmp_path / "target.sqlite", SOURCE)) as db:
        fake: Any = FakeD1(db)
        tables = ["parent", "child", "metric", "quiet"]
        assert failed(constraints(fake, tables)) == ()
        OUTSIDE[name](db)
        assert failed(constraints(fake, tables)) == OUTSIDE_CODES[name]


# -- files

FILES = {"attachments/a": b"aaa", "attachments/b": b"bbb"}
BUCKET: dict[str, tuple[Callable[[Any, str], object], tuple[str, ...]]] = {
    "object missing": (lambda s3, b: s3.delete_object(Bucket=b, Key="attachments/b"), ("OB401", "OB402", "OB501")),
    "object too many": (
        lambda s3, b: s3.put_object(Bucket=b, Key="attachments/c", Body=b"c"),
        ("OB401", "OB403", "OB502"),
    ),
    "one byte of an object": (lambda s3, b: _put(s3, b, b"aXa", "application/octet-stream"), ("OB404",)),
    "content type of an object": (lambda s3, b: _put(s3, b, b"aaa", "text/html"), ("OB405",)),
    "object outside of the folders that moved": (
        lambda s3, b: s3.put_object(Bucket=b, Key="elsewhere/c", Body=b"c"),
        (),
    ),
}


def _put(s3: Any, bucket: str, body: bytes, kind: str) -> None:
    s3.put_object(Bucket=bucket, Key="attachments/a", Body=body, ContentType=kind, CacheControl="private, no-cache")


def objects_proof(manifest: Manifest, s3: Any, bucket: str) -> list[Check]:
    """What 05-validate asks about the files: every byte, and the closure with the rows."""
    keys = (found.key for found in Bucket(s3, bucket).list(manifest.prefixes))
    references = [(f"attachments {key}", key) for key in FILES]
    return [*compare_objects(manifest, s3, bucket).checks, *target_closure(references, keys, (), bucket)]


@pytest.mark.parametrize("name", BUCKET)
def test_what_was_done_to_the_bucket_is_found(name: str, tmp_path: Path, r2_client: Any, bucket: str) -> None:
    for key, content in FILES.items():
        path = tmp_path / "files" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    inventory = walk(tmp_path / "files", ["attachments"])
    manifest = write(tmp_path / "objects.jsonl", entries(inventory), inventory.prefixes)
    upload(manifest, tmp_path / "files", r2_client, bucket)
    assert failed(objects_proof(manifest, r2_client, bucket)) == ()
    harm, codes = BUCKET[name]
    harm(r2_client, bucket)
    found = failed(objects_proof(manifest, r2_client, bucket))
    assert found == codes


# -- the page


def test_the_page_lists_exactly_these_faults_with_their_codes() -> None:
    listed = {row[0]: tuple(markdown.code(row[1])) for row in markdown.rows(markdown.text(PAGE), "what was done")}
    done = {name: fault.codes for name, fault in {**TARGET, **UNSEEN}.items()}
    done |= OUTSIDE_CODES | {name: codes for name, (_, codes) in BUCKET.items()}
    assert listed == done
