"""Virtual tables that own their content: their rows arrive, are proved, and follow the source."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import apsw
import pytest
from helpers.carry import Carried, carry, make_source

from towpath.checks import Decision, Verdict
from towpath.cloudflare import D1
from towpath.errors import BadInput
from towpath.tables.manifest import read_chunk, statements
from towpath.tables.schema import reflect
from towpath.tables.virtual import after_statements, filled, ranking

FILL = [Decision("TB116", name, "fill", "the application searches in it") for name in ("words", "boxes", "whole")]
SCRIPT = """
CREATE TABLE note (id INTEGER PRIMARY KEY, body TEXT);
CREATE VIRTUAL TABLE words USING fts5 (title, body, tag UNINDEXED, tokenize = 'porter');
CREATE VIRTUAL TABLE boxes USING rtree (number, left, right, +label TEXT);
CREATE VIRTUAL TABLE whole USING rtree_i32 (number, low, high);
CREATE TRIGGER noted AFTER INSERT ON note BEGIN INSERT INTO words (rowid, body) VALUES (new.id, new.body); END;
INSERT INTO note VALUES (1, 'sailing boats');
INSERT INTO words (rowid, title, body, tag) VALUES (-5, 'it''s', 'ropes', 5), (900, NULL, x'00ff', 2.5);
INSERT INTO boxes VALUES (1, 0.1, 0.2, 'a'), (7, -1e30, 16777217, NULL), (8, 1, 2, 'it''s');
INSERT INTO whole VALUES (1, -2147483648, 2147483647);
"""
LONG = ("nul\0inside", "mast " * 30_000, "sea " * 300_000)
READ = {
    "words": "SELECT rowid, hex(title), hex(body), typeof(tag), tag FROM words ORDER BY rowid",
    "boxes": "SELECT number, quote(left), quote(right), label FROM boxes ORDER BY number",
    "whole": "SELECT number, low, high FROM whole ORDER BY number",
}


@dataclass
class Voyage:
    """A source, and a target that follows it."""

    db: apsw.Connection
    folder: Path
    state: Carried

    def follow(self, *sql: str) -> list[str]:
        """Change the source and carry the delta over; returns the statements that were sent."""
        for statement in sql:
            self.db.execute(statement)
        self.state = self.state.cutover(self.folder / "next", FILL)
        folder, chunks = self.state.folder, self.state.manifest.chunks
        return [sql for chunk in chunks for sql, _ in statements(read_chunk(folder, chunk))]

    def equal(self) -> bool:
        """By a reading of its own, and by the product's comparison."""
        assert self.state.compare().equal, self.state.compare().differences
        return all(
            [list(row) for row in self.db.execute(sql)] == self.state.d1.query(sql).rows for sql in READ.values()
        )

    def found(self, sql: str) -> list[int]:
        return [int(row[0]) for row in self.state.d1.query(sql).rows]


@pytest.fixture
def voyage(d1: D1, tmp_path: Path) -> Iterator[Voyage]:
    with closing(make_source(tmp_path / "s.sqlite", SCRIPT)) as db:
        db.execute("INSERT INTO words (rowid, body) VALUES (901, ?), (902, ?), (903, ?)", LONG)
        made = Voyage(db, tmp_path, carry(tmp_path / "s.sqlite", tmp_path / "0", d1, FILL))
        yield made
        made.state.exporter.close()


def test_rows_arrive_under_their_rowid_and_are_found(voyage: Voyage) -> None:
    assert voyage.equal()
    assert voyage.found("SELECT rowid FROM words WHERE words MATCH 'sail'") == [1]
    assert voyage.found("SELECT rowid FROM words WHERE words MATCH 'masts'") == [902]
    assert voyage.found("SELECT number FROM boxes WHERE left < 1.5 AND right > 1.5 ORDER BY number") == [7, 8]
    held = {check.object: check.expected for check in voyage.state.compare().checks if check.code == "TB411"}
    assert held == {"note": "1 rows", "words": "6 rows", "boxes": "3 rows", "whole": "1 rows"}


@pytest.mark.parametrize(
    ("sql", "table", "key", "kind"),
    [
        ("UPDATE words SET body = 'rope' WHERE rowid = -5", "words", "-5", "changed"),
        ("DELETE FROM words WHERE rowid = 900", "words", "900", "missing"),
        ("INSERT INTO words (rowid, body) VALUES (17, 'more')", "words", "17", "extra"),
        ("UPDATE boxes SET label = 'b' WHERE number = 1", "boxes", "1", "changed"),
        ("UPDATE boxes SET right = 0.3 WHERE number = 1", "boxes", "1", "changed"),
        ("DELETE FROM whole", "whole", "1", "missing"),
    ],
)
def test_a_difference_is_named_by_table_and_rowid(voyage: Voyage, sql: str, table: str, key: str, kind: str) -> None:
    voyage.state.d1.batch([sql])
    found = voyage.state.compare()
    assert [(d.object, d.key, d.kind) for d in found.differences] == [(table, key, kind)]
    failed = {(check.code, check.object) for check in found.checks if check.verdict is Verdict.FAIL}
    assert ("TB412", table) in failed
    assert {name for _, name in failed} == {table}


@pytest.mark.parametrize("rowid", [900, 903])
def test_a_row_under_another_rowid_is_another_row(voyage: Voyage, rowid: int) -> None:
    """Unlike in a table without a key: an application finds its own rows by the rowid of FTS5."""
    voyage.state.d1.batch([f"UPDATE words SET rowid = 2000 WHERE rowid = {rowid}"])
    assert {(d.key, d.kind) for d in voyage.state.compare().differences} == {(f"{rowid}", "missing"), ("2000", "extra")}


def test_changes_follow_row_by_row(voyage: Voyage) -> None:
    sent = voyage.follow(
        "UPDATE words SET body = 'anchors' WHERE rowid = -5",
        "DELETE FROM words WHERE rowid = 900",
        "INSERT INTO note VALUES (2, 'a second note')",  # its trigger writes into words
        "UPDATE boxes SET right = 9 WHERE number = 8",
        "DELETE FROM boxes WHERE number = 7",
        "INSERT INTO boxes VALUES (9, 5, 6, 'new')",
        "INSERT INTO whole VALUES (2, 0, 1)",
    )
    assert voyage.equal()
    assert voyage.found("SELECT rowid FROM words WHERE words MATCH 'anchor OR second' ORDER BY rowid") == [-5, 2]
    assert not any("mast" in sql for sql in sent), "a row that did not change is not sent again"


def test_a_change_of_nothing_but_a_virtual_table_follows(voyage: Voyage) -> None:
    sent = voyage.follow("UPDATE words SET title = 'new' WHERE rowid = 1")
    assert voyage.equal()
    assert [sql.split()[0] for sql in sent] == ["DELETE", "INSERT"]


def test_the_order_of_results_is_told_again(d1: D1, tmp_path: Path) -> None:
    script = """CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b TEXT);
        INSERT INTO t VALUES (1, 'x', ''), (2, '', 'x');
        CREATE VIRTUAL TABLE words USING fts5 (a, b); INSERT INTO words (rowid, a, b) SELECT * FROM t;
        CREATE VIRTUAL TABLE over USING fts5 (a, b, content=t, content_rowid=id);
        INSERT INTO over (over) VALUES ('rebuild');
        INSERT INTO words (words, rank) VALUES ('rank', 'bm25(1.0, 9.0)');
        INSERT INTO over (over, rank) VALUES ('rank', 'bm25(1.0, 9.0)')"""
    with closing(make_source(tmp_path / "s.sqlite", script)) as db:
        made = carry(tmp_path / "s.sqlite", tmp_path / "0", d1, FILL)
        schema = made.exporter.schema
        over = schema.table("over")
        d1.batch([over.sql, *after_statements(over), *ranking(made.exporter.db, schema, ["words", "over"])])
        for name in ("words", "over"):
            sql = f"SELECT rowid FROM {name} WHERE {name} MATCH 'x' ORDER BY rank"
            assert d1.query(sql).rows == [list(row) for row in db.execute(sql)] == [[2], [1]]
        assert ranking(made.exporter.db, schema, []) == []
        made.exporter.close()


def test_one_that_is_dropped_is_not_read(d1: D1, tmp_path: Path) -> None:
    with closing(make_source(tmp_path / "s.sqlite", SCRIPT)):
        made = carry(tmp_path / "s.sqlite", tmp_path / "0", d1, FILL[:1])
    assert [entry.name for entry in made.manifest.tables] == ["note", "words"]
    made.exporter.close()


def test_a_pattern_fills_only_those_that_own_their_content(tmp_path: Path) -> None:
    script = """CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT); CREATE VIRTUAL TABLE own USING fts5 (a);
        CREATE VIRTUAL TABLE over USING fts5 (a, content=t, content_rowid=id);
        CREATE VIRTUAL TABLE vocabulary USING fts5vocab (own, row);
        CREATE VIRTUAL TABLE old USING fts4 (a); CREATE VIRTUAL TABLE empty USING fts5 (a, content='')"""
    with closing(make_source(tmp_path / "s.sqlite", script)) as db:
        assert list(filled(reflect(db), [Decision("TB116", "*", "fill", "all of them")])) == ["own"]
        assert list(filled(reflect(db), [Decision("TB116", "*", "drop", "none of them")])) == []


def test_a_hundred_columns_have_no_room_for_the_rowid(d1: D1, tmp_path: Path) -> None:
    columns = ", ".join(f"c{number}" for number in range(100))
    with (
        closing(make_source(tmp_path / "s.sqlite", f"CREATE VIRTUAL TABLE words USING fts5 ({columns})")),
        pytest.raises(BadInput, match=r"words: an FTS5 table of 100 columns.*decide drop"),
    ):
        carry(tmp_path / "s.sqlite", tmp_path / "0", d1, FILL)
