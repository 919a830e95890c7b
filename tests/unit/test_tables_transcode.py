"""A UTF-16 source is moved like any other, and its bytes are those of UTF-8."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from helpers.carry import carry, make_source, same_rows

from towpath.cloudflare import D1
from towpath.errors import BadInput
from towpath.tables import snapshot

SCHEMA = """
CREATE TABLE person (id TEXT PRIMARY KEY, name TEXT NOT NULL, note, photo BLOB, score REAL);
CREATE TABLE line (seq INTEGER PRIMARY KEY AUTOINCREMENT, person TEXT REFERENCES person,
    text TEXT CHECK (text <> 'no'));
CREATE TABLE keyless (a, b);
CREATE INDEX person_name ON person (name);
CREATE VIEW names AS SELECT name FROM person;
INSERT INTO person VALUES ('k', 'Zoë 漢字 😀', NULL, x'00ff', 0.1), ('ü', 'it''s', 9223372036854775807, x'', -1e308),
    ('', 'a' || char(10) || 'b', 'text', NULL, 9e999);
INSERT INTO line (person, text) SELECT id, name || hex(photo) FROM person;
DELETE FROM line WHERE seq = 3;
INSERT INTO keyless VALUES ('é', 1), ('é', 1), (NULL, 'x');
"""


@pytest.mark.parametrize("encoding", ["UTF-16le", "UTF-16be"])
def test_a_utf16_source_arrives_whole(d1: D1, tmp_path: Path, encoding: str) -> None:
    with closing(make_source(tmp_path / "s.sqlite", f"PRAGMA encoding = '{encoding}'")) as db:
        db.execute(SCHEMA)
        assert db.pragma("encoding") == encoding
        carried = carry(tmp_path / "s.sqlite", tmp_path / "run", d1)
        assert carried.exporter.db.pragma("encoding") == "UTF-8"
        assert carried.compare().equal
        for table in carried.exporter.schema.moving:
            assert same_rows(carried.exporter.db, d1, table)
            rows = f'SELECT * FROM "{table.name}" ORDER BY rowid'
            assert list(db.execute(rows)) == list(carried.exporter.db.execute(rows))
        seq = "SELECT seq FROM sqlite_sequence WHERE name = 'line'"
        assert [[db.execute(seq).get]] == d1.query(seq).rows == [[3]]


def test_virtual_tables_of_a_utf16_source_are_refused(tmp_path: Path) -> None:
    with closing(make_source(tmp_path / "s.sqlite", "PRAGMA encoding = 'UTF-16'")) as db:
        db.execute("CREATE VIRTUAL TABLE words USING fts5 (word)")
        with pytest.raises(BadInput, match=r"words.*virtual tables"):
            snapshot.take(db, tmp_path / "run")
    assert not list((tmp_path / "run").iterdir())
