"""The way back into the file: what stays as it was, what stands in the way, and what a cut leaves."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import apsw
import pytest
from helpers.carry import Carried, carry, make_source, prepare

from towpath.checks import Decision
from towpath.cloudflare.d1 import D1, Rows
from towpath.cloudflare.errors import D1Error
from towpath.errors import BadInput, CannotFinish
from towpath.tables import differing
from towpath.tables.back import carry_back, target_sequences, value_of
from towpath.tables.changes import find_changes
from towpath.tables.compare import compare
from towpath.tables.export import Exporter
from towpath.tables.opened import normal
from towpath.tables.written import against_source, find_written

SCHEMA = """
CREATE TABLE person (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT);
CREATE TABLE task (id INTEGER PRIMARY KEY, person_id INTEGER REFERENCES person (id), title TEXT,
    length INTEGER AS (octet_length(title)) STORED);
CREATE TABLE label (word TEXT PRIMARY KEY NOT NULL, note);
CREATE TABLE log (what TEXT);
CREATE TRIGGER task_changed AFTER UPDATE ON task BEGIN INSERT INTO log VALUES ('task ' || new.id); END;
INSERT INTO person VALUES (1, 'Ann'), (2, 'Bob');
INSERT INTO task VALUES (1, 1, 'one'), (2, 99, 'nobody''s'), (3, 98, 'nobody''s either');
INSERT INTO label VALUES ('a', 1), ('b', 2.5), ('c', NULL);
"""
EMPTIED = [Decision("TB203", "task.person_id", "null", "the people are gone")]
PARKED = [Decision("TB203", "task.person_id", "park", "the people are gone")]


def moved(folder: Path, d1: D1, decisions: list[Decision], script: str = SCHEMA) -> Carried:
    """A source that was carried to the target."""
    make_source(folder / "s.sqlite", script).close()
    return carry(folder / "s.sqlite", folder / "0", d1, decisions)


def snapshot(state: Carried, folder: Path, decisions: list[Decision]) -> Exporter:
    """The source as it is now."""
    return prepare(state.source, folder, decisions)[0]


def back(state: Carried, folder: Path, decisions: list[Decision]) -> int:
    """All of the way back; proved."""
    now = snapshot(state, folder / "now", decisions)
    written = find_written(state.d1, state.manifest, state.exporter)
    todo, conflicts = against_source(state.manifest, state.exporter, now, written)
    assert not conflicts
    done = carry_back(state.source, now, todo, target_sequences(state.d1, now.schema))
    after, made = prepare(state.source, folder / f"after-{done}", decisions)
    found = compare(state.d1, made, after.db, after.relations)
    assert found.equal, found.differences
    return done


def rows(state: Carried, sql: str) -> list[tuple[object, ...]]:
    """What the source holds."""
    with closing(apsw.Connection(str(state.source))) as db:
        return [tuple(row) for row in db.execute(sql)]


def test_only_what_changed_is_written_and_an_emptied_reference_stays_in_the_source(tmp_path: Path, d1: D1) -> None:
    state = moved(tmp_path, d1, EMPTIED)
    d1.batch(["UPDATE task SET title = 'new' WHERE id = 2", "INSERT INTO person (name) VALUES ('Cy')"])
    d1.batch(["UPDATE task SET person_id = 3 WHERE id = 3", "DELETE FROM task WHERE id = 1"])
    d1.batch(["DELETE FROM log"])  # the target's own trigger fired; the source's must not
    assert back(state, tmp_path, EMPTIED) == 4
    assert rows(state, "SELECT * FROM task") == [(2, 99, "new", 3), (3, 3, "nobody's either", 15)]
    assert rows(state, "SELECT * FROM log") == []
    assert rows(state, "SELECT * FROM sqlite_sequence") == [("person", 3)]
    assert back(state, tmp_path / "again", EMPTIED) == 0, "it is there already"


def test_a_row_that_stayed_behind_keeps_its_key(tmp_path: Path, d1: D1) -> None:
    state = moved(tmp_path, d1, PARKED)
    d1.batch(["INSERT INTO task (id, title) VALUES (2, 'another'), (4, 'new')"])
    now = snapshot(state, tmp_path / "now", PARKED)
    found = against_source(state.manifest, state.exporter, now, find_written(d1, state.manifest, state.exporter))[1]
    assert [(one.table, one.key, one.why) for one in found] == [("task", "2", "a row that stayed behind has this key")]


def test_a_source_that_was_written_to_is_a_conflict(tmp_path: Path, d1: D1) -> None:
    state = moved(tmp_path, d1, EMPTIED)
    with closing(apsw.Connection(str(state.source))) as db:
        db.execute("UPDATE person SET name = 'Anna' WHERE id = 1")
    now = snapshot(state, tmp_path / "now", EMPTIED)
    found = against_source(state.manifest, state.exporter, now, find_written(d1, state.manifest, state.exporter))[1]
    assert [(one.table, one.key, one.why) for one in found] == [
        ("person", "1", "the source was written to after the cutover")
    ]


def test_a_source_that_is_written_to_between_look_and_carry_is_left_as_it_is(tmp_path: Path, d1: D1) -> None:
    state = moved(tmp_path, d1, EMPTIED)
    d1.batch(["UPDATE person SET name = 'there' WHERE id = 1"])
    with closing(apsw.Connection(str(state.source))) as watching:
        since = watching.pragma("data_version")
        now = snapshot(state, tmp_path / "now", EMPTIED)
        todo, _ = against_source(state.manifest, state.exporter, now, find_written(d1, state.manifest, state.exporter))
        with closing(apsw.Connection(str(state.source))) as writer:
            writer.execute("UPDATE person SET name = 'mine' WHERE id = 1")
        with pytest.raises(CannotFinish, match=r"s\.sqlite: somebody wrote to the source meanwhile") as told:
            carry_back(state.source, now, todo, {}, unwritten=lambda: watching.pragma("data_version") == since)
    assert told.value.code == "CU201"
    assert rows(state, "SELECT name FROM person WHERE id = 1") == [("mine",)]


@pytest.mark.parametrize(("left", "count"), [("WHERE id = 3", 2), ("", 0)])
def test_a_table_that_was_empty_goes_on_after_the_last_id_of_the_target(
    tmp_path: Path, d1: D1, left: str, count: int
) -> None:
    state = moved(tmp_path, d1, EMPTIED, SCHEMA + "CREATE TABLE note (id INTEGER PRIMARY KEY AUTOINCREMENT, n TEXT);")
    d1.batch(["INSERT INTO note (n) VALUES ('a'), ('b'), ('c')", f"DELETE FROM note {left}"])
    assert back(state, tmp_path, EMPTIED) == count
    assert rows(state, "SELECT seq FROM sqlite_sequence WHERE name = 'note'") == [(3,)]


def test_a_row_keeps_its_rowid(tmp_path: Path, d1: D1) -> None:
    state = moved(tmp_path, d1, EMPTIED)
    before = rows(state, "SELECT rowid, word FROM label")
    d1.batch(["INSERT INTO label VALUES ('d', 4)"])
    d1.batch(["UPDATE label SET note = x'00ff' WHERE word = 'a'", "UPDATE label SET note = '5' WHERE word = 'c'"])
    assert back(state, tmp_path, EMPTIED) == 3
    assert rows(state, "SELECT rowid, word FROM label ORDER BY word") == [*before, (4, "d")]
    assert rows(state, "SELECT note FROM label ORDER BY word") == [(b"\x00\xff",), (2.5,), ("5",), (4,)]


def test_unique_values_change_places(tmp_path: Path, d1: D1) -> None:
    script = SCHEMA + "CREATE UNIQUE INDEX one_name ON person (name);"
    state = moved(tmp_path, d1, EMPTIED, script)
    d1.batch([f"UPDATE person SET name = '{name}' WHERE id = {id}" for id, name in ((1, "x"), (2, "Ann"), (1, "Bob"))])
    assert back(state, tmp_path, EMPTIED) == 2
    assert rows(state, "SELECT id, name FROM person") == [(1, "Bob"), (2, "Ann")]


def test_text_that_is_no_text_and_text_with_nul(tmp_path: Path, d1: D1) -> None:
    state = moved(tmp_path, d1, EMPTIED)
    d1.batch(["UPDATE label SET note = CAST(x'ff41' AS TEXT) WHERE word = 'a'"])
    d1.batch(["UPDATE label SET note = 'a' || char(0) || 'b' WHERE word = 'b'"])
    d1.batch(["INSERT INTO label VALUES ('d', 9e999), ('e', 9007199254740993), ('', '')"])
    assert back(state, tmp_path, EMPTIED) == 5
    seen = "SELECT word, typeof(note), hex(note) FROM label WHERE word IN ('a', 'b') ORDER BY word"
    assert rows(state, seen) == [("a", "text", "FF41"), ("b", "text", "610062")]


def test_utf_16_files(tmp_path: Path, d1: D1) -> None:
    state = moved(tmp_path, d1, EMPTIED, "PRAGMA encoding = 'UTF-16le';" + SCHEMA)
    d1.batch(["UPDATE label SET note = 'é€😀' WHERE word = 'a'", "INSERT INTO label VALUES ('ü', 'ß')"])
    assert back(state, tmp_path, EMPTIED) == 2
    assert rows(state, "PRAGMA encoding") == [("UTF-16le",)]
    assert rows(state, "SELECT note FROM label WHERE word IN ('a', 'ü') ORDER BY 1") == [("ß",), ("é€😀",)]


def test_a_file_that_somebody_holds_is_left_as_it_was(tmp_path: Path, d1: D1, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("towpath.tables.back.BUSY_MILLISECONDS", 1)
    state = moved(tmp_path, d1, EMPTIED)
    d1.batch(["DELETE FROM label"])
    now = snapshot(state, tmp_path / "now", EMPTIED)
    written = find_written(d1, state.manifest, state.exporter)
    with closing(apsw.Connection(str(state.source))) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(CannotFinish, match=r"s\.sqlite: the rows could not be carried back: .*locked"):
            carry_back(state.source, now, written, {})
    assert rows(state, "SELECT count(*) FROM label") == [(3,)]


def test_a_row_that_does_not_fit_leaves_the_file_as_it_was(tmp_path: Path, d1: D1) -> None:
    state = moved(tmp_path, d1, EMPTIED, SCHEMA + "CREATE UNIQUE INDEX one_note ON label (note);")
    d1.batch(["DROP INDEX one_note", "UPDATE label SET note = 1", "DELETE FROM task", "DELETE FROM person"])
    now = snapshot(state, tmp_path / "now", EMPTIED)
    with pytest.raises(CannotFinish, match="UNIQUE constraint failed"):
        carry_back(state.source, now, find_written(d1, state.manifest, state.exporter), {})
    assert rows(state, "SELECT note FROM label ORDER BY word") == [(1,), (2.5,), (None,)]
    assert rows(state, "SELECT count(*) FROM person") == [(2,)]
    assert rows(state, "SELECT name FROM sqlite_schema WHERE type = 'trigger'") == [("task_changed",)]


def test_rows_that_no_key_can_name(tmp_path: Path, d1: D1) -> None:
    script = "CREATE TABLE t (word TEXT PRIMARY KEY, n);" + "".join(
        f"INSERT INTO t VALUES ('{n:04}', '{'x' * 100_000}');" for n in range(20)
    )
    state = moved(tmp_path, d1, [], script)
    d1.batch(["INSERT INTO t VALUES (NULL, 1)"])
    with pytest.raises(BadInput, match="rows with NULL in their key cannot be carried back"):
        find_written(d1, state.manifest, state.exporter)


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("n", None),
        ("i-9223372036854775808", -(2**63)),
        ("r-9.0e+999", float("-inf")),
        ("t", ""),
        ("b", b""),
        ("t6100", "a\0"),
    ],
)
def test_cells_as_values(cell: str, value: object) -> None:
    assert value_of(cell) == (value, True)


WIDE = ", ".join(f"c{n} DEFAULT {n}.25" for n in range(99))
MANY = f"""
CREATE TABLE t (id INTEGER PRIMARY KEY, word TEXT, n REAL);
CREATE TABLE pair (a TEXT NOT NULL, b INTEGER NOT NULL, v, PRIMARY KEY (a, b)) WITHOUT ROWID;
CREATE TABLE loose (v);
CREATE TABLE wide (id INTEGER PRIMARY KEY, {WIDE});
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60)
INSERT INTO t SELECT i, 'word ' || i, i / 7.0 FROM n;
INSERT INTO pair SELECT word, id, n FROM t;
INSERT INTO loose SELECT id FROM t;
INSERT INTO wide (id) SELECT id FROM t;
"""
LATER = (
    *(f"UPDATE {name} SET rowid = rowid + 100 WHERE rowid % 20 = 0" for name in ("t", "loose", "wide")),
    "UPDATE t SET word = CAST(x'f09f98' AS TEXT) WHERE id = 7",
    "UPDATE pair SET v = CAST(x'ff' AS TEXT) WHERE b = 10",  # in an answer it takes three bytes
    "UPDATE t SET n = -n WHERE id = 8",
    "UPDATE t SET word = hex(zeroblob(400000)) WHERE id = 9",
    "INSERT INTO t SELECT id + 1000, hex(zeroblob(300000)), 9e999 FROM t WHERE id < 4",
    "UPDATE pair SET b = -b, v = x'00' WHERE b % 9 = 0",
    "UPDATE wide SET c98 = 'x' WHERE id = 30",
    "DELETE FROM t WHERE id BETWEEN 20 AND 30",
    "DELETE FROM loose WHERE v > 50",
)


@pytest.mark.parametrize("at_once", [1, 7, 4_000])
def test_rows_are_found_in_answers_of_any_size(
    tmp_path: Path, d1: D1, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """Through the same changes on both sides: what find_written says of the target, find_changes says of the file."""
    monkeypatch.setattr(differing, "ROWS_AT_ONCE", at_once)
    monkeypatch.setattr(differing, "CELLS_AT_ONCE", at_once)
    state = moved(tmp_path, d1, [], MANY)
    for statement in LATER:
        d1.batch([statement])
    written = find_written(d1, state.manifest, state.exporter)
    assert {name: change.count for name, change in written.items()} == {"t": 22, "pair": 13, "loose": 14, "wide": 7}
    assert back(state, tmp_path, []) == 56
    now = snapshot(state, tmp_path / "then", [])
    found = find_changes(state.manifest, state.exporter, now)
    for name, change in found.items():
        assert change.deleted == written[name].deleted
        news = (change.inserted, written[name].inserted)
        left, right = ({key: normal(cells) for key, cells in one.items()} for one in news)
        assert left == right
        assert change.updated.keys() == written[name].updated.keys()


@pytest.mark.parametrize("refused", [" LIMIT 4000", " IN ("], ids=["texts", "cells"])
def test_an_answer_that_would_be_too_long_is_asked_for_in_parts(
    tmp_path: Path, d1: D1, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    state = moved(tmp_path, d1, [], MANY)
    d1.batch(["UPDATE t SET word = 'x' WHERE id = 5", "DELETE FROM t WHERE id = 6"])
    expected = find_written(d1, state.manifest, state.exporter)["t"]
    met = list[str]()
    query = D1.query

    def too_long(self: D1, sql: str, *params: str) -> Rows:
        if refused in sql:
            met.append(sql)
            raise D1Error("string or blob too big: SQLITE_TOOBIG", status=400, code="7500")
        return query(self, sql, *params)

    monkeypatch.setattr(D1, "query", too_long)
    assert find_written(d1, state.manifest, state.exporter)["t"] == expected
    assert met
    assert (len(expected.updated), len(expected.deleted), len(expected.inserted)) == (1, 1, 0)
