"""Rows that name files: which rows are asked for, and which paths their values name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing

import apsw
import pytest

from towpath.cloudflare import D1
from towpath.errors import WrongUse
from towpath.tables.schema import reflect
from towpath.workbench import references
from towpath.workbench.references import Column

URL = "https://media.example.com/"
ROWS = (  # a value, and the paths that it names
    (f"{URL}shares/a.png", ["shares/a.png"]),
    (f"see {URL}shares/a.png, and <img src='{URL}b.png'>", ["shares/a.png,", "b.png"]),
    (f"{URL}a.png?width=3 {URL}b.png#top", ["a.png", "b.png"]),
    (json.dumps({"card": f"{URL}a.png", "more": [[f"{URL}b.png", 1], None]}), ["a.png", "b.png"]),
    (json.dumps({f"{URL}key.png": True}), ["key.png"]),
    (f'{{"a": "{URL}1.png", "a": "{URL}2.png"}}', ["1.png", "2.png"]),
    (json.dumps([f"{URL}é/\N{CAT FACE}.png"]), ["é/\N{CAT FACE}.png"]),
    (json.dumps([f"{URL}shares/a.png"]).replace("/", "\\/"), ["shares/a.png"]),
    (json.dumps(f"{URL}a.png"), ["a.png"]),
    (f'{{"cut off": "{URL}a.png', ["a.png"]),
    ("[" * 100_000 + f'"{URL}a.png"', ["a.png"]),
    (URL, []),
    ("https://elsewhere.example.com/a.png", []),
    ("{}", []),
    (None, []),
)


@pytest.fixture
def db() -> Iterator[apsw.Connection]:
    with closing(apsw.Connection(":memory:")) as made:
        made.execute("CREATE TABLE cards (id TEXT PRIMARY KEY, path TEXT, body TEXT) WITHOUT ROWID")
        for number, (value, _) in enumerate(ROWS):
            made.execute("INSERT INTO cards VALUES (?, ?, ?)", (f"{number:02}", value and f"file {number}", value))
        made.execute("CREATE TABLE pairs (a, b, path, PRIMARY KEY (a, b))")
        yield made


@pytest.mark.parametrize(("value", "paths"), ROWS)
def test_the_paths_of_a_value(value: str | None, paths: list[str]) -> None:
    assert list(Column("cards", "body", URL).paths(value)) == paths


def test_rows_that_name_nothing_are_not_asked_for(db: apsw.Connection) -> None:
    columns = [Column("cards", "path"), Column("cards", "body", URL)]
    found = list(references.rows(db, reflect(db), columns))
    whole = [(f"cards {n:02}", f"file {n}") for n, (value, _) in enumerate(ROWS) if value is not None]
    assert found == whole + [(f"cards {n:02}", path) for n, (_, paths) in enumerate(ROWS) for path in paths]
    asked = {row for (row,) in db.execute(f"SELECT id FROM cards WHERE {columns[1].condition}")}
    assert asked == {f"{n:02}" for n, (value, _) in enumerate(ROWS) if value and URL in value.replace("\\", "")}


def test_the_target_gives_the_same_page_by_page(db: apsw.Connection, d1: D1, monkeypatch: pytest.MonkeyPatch) -> None:
    d1.batch(["CREATE TABLE cards (id TEXT PRIMARY KEY, path TEXT, body TEXT) WITHOUT ROWID"])
    for row in db.execute("SELECT quote(id), quote(path), quote(body) FROM cards WHERE length(body) < 10000"):
        d1.batch([f"INSERT INTO cards VALUES ({', '.join(row)})"])
    db.execute("DELETE FROM cards WHERE length(body) >= 10000")
    columns = [Column("cards", "body", URL), Column("cards", "path")]
    wanted = list(references.rows(db, reflect(db), columns))
    for page in (1, 3, 1000):
        monkeypatch.setattr(references, "ROWS_AT_ONCE", page)
        assert list(references.target_rows(d1, reflect(db), columns)) == wanted


@pytest.mark.parametrize(
    ("table", "what"), [("nothing", "no such table"), ("pairs", "needs a primary key of one column")]
)
def test_a_table_that_cannot_name_its_rows_is_refused(db: apsw.Connection, table: str, what: str) -> None:
    with pytest.raises(WrongUse, match=what):
        list(references.rows(db, reflect(db), [Column(table, "path")]))
