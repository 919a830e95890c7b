"""Keys as text: whatever a key holds, ranges of keys hold every row once, on both sides."""

from __future__ import annotations

import secrets
from contextlib import closing, suppress
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import apsw
import pytest
from helpers.carry import carry, make_source, same_rows
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from towpath.cloudflare import D1, Client
from towpath.errors import BadInput
from towpath.tables import encode, export, opened
from towpath.tables.keys import key_literal, key_shown
from towpath.tables.overlay import Overlay, relations
from towpath.tables.relation import Relation, keys
from towpath.tables.schema import reflect


class Text(bytes):
    """Bytes stored as TEXT, whatever they are."""


HOSTILE: list[Any] = [
    "", " ", "a", "A", "a ", "a\0", "a\0b", "\0", "'", "''", "';--", '"', "a.b", ".", ",", "(1, 2)", "x'00'", "NULL",
    "ä", "a\u0308", "\ufffd", "漢", "😀", "\U0010ffff", "\n", "\r\n", "5", "5.0", "05", "1e2", "%", "*", "[a]",
    Text(b"\xff"), Text(b"a\xf0\x9f\x98"), Text(b"\xed\xa0\x80"), Text(b"'\xc3("), Text(b"\xff\0'"), Text(b"\xff\xff"),
    b"", b"\0", b"\xff", b"'", b"a", b"\0\0",
    0, 1, -1, 5, 2**53, 2**53 + 1, 2**63 - 1, -(2**63),
    0.5, -0.5, 5e-324, 1.7976931348623157e308, 9007199254740993.0, float("inf"), -float("inf"), 0.1, 1 / 3, 1e22,
]  # fmt: skip
VALUES = st.sampled_from(HOSTILE) | st.text(max_size=6).filter(lambda t: t.isprintable()) | st.binary(max_size=4)
VALUES |= st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False)
TYPES = ["", "TEXT", "INTEGER", "REAL", "NUMERIC", "BLOB"]
COLLATIONS = ["BINARY", "NOCASE", "RTRIM"]


def fill(db: apsw.Connection, rows: list[tuple[Any, ...]]) -> None:
    """Insert rows, one that breaks a constraint left out."""
    for row in rows:
        values = ", ".join("CAST(? AS TEXT)" if isinstance(v, Text) else "?" for v in row)
        bound = tuple(bytes(v) if isinstance(v, Text) else v for v in row)
        with suppress(apsw.MismatchError):  # an INTEGER PRIMARY KEY takes nothing else
            db.execute(f"INSERT OR IGNORE INTO t VALUES ({values})", bound)


def relation_of(db: apsw.Connection) -> Relation:
    schema = reflect(db)
    return relations(Overlay(schema, (), keys(db, schema)))["t"]


def assert_ranges_hold_every_row_once(db: apsw.Connection, cuts: list[int]) -> None:
    relation = relation_of(db)
    rows = list(encode.rows(db, relation))
    names = [row.key for row in rows]
    assert len(set(names)) == len(names) == db.execute("SELECT count(*) FROM t").get
    assert all(key.isascii() and key_shown(relation, key) for key in names)
    ends = sorted({cut % (len(names) + 1) for cut in cuts} - {0, len(names)})
    bounds = [None, *(key_literal(names[end - 1]) for end in ends), None]
    found = [[key for key, _ in opened.source_rows(db, relation, low, high)] for low, high in pairwise(bounds)]
    assert [key for part in found for key in part] == names
    assert [len(part) for part in found] == [b - a for a, b in pairwise([0, *ends, len(names)])]
    for row in rows:  # and each row is found by its key, and by no other
        at = f"SELECT count(*) FROM t WHERE {relation.key_sql} = {key_literal(row.key)}"
        assert db.execute(at).get == 1, key_shown(relation, row.key)


@pytest.mark.parametrize("collation", COLLATIONS)
@pytest.mark.parametrize("declared", TYPES)
@pytest.mark.parametrize("tail", ["", " WITHOUT ROWID"])
def test_hostile_keys(declared: str, collation: str, tail: str) -> None:
    with closing(apsw.Connection(":memory:")) as db:
        db.execute(f"CREATE TABLE t (k {declared} NOT NULL PRIMARY KEY COLLATE {collation}, v){tail}")
        fill(db, [(value, n) for n, value in enumerate(HOSTILE)])
        assert_ranges_hold_every_row_once(db, list(range(len(HOSTILE) + 1)))


@given(
    types=st.lists(st.tuples(st.sampled_from(TYPES), st.sampled_from(COLLATIONS)), min_size=1, max_size=3),
    tail=st.sampled_from(["", " WITHOUT ROWID"]),
    keyed=st.booleans(),
    data=st.data(),
)
@settings(deadline=None, max_examples=150)
def test_any_key_pages_without_loss(types: list[tuple[str, str]], tail: str, keyed: bool, data: st.DataObject) -> None:
    columns = ", ".join(f"k{n} {declared} COLLATE {c} NOT NULL" for n, (declared, c) in enumerate(types))
    key = f", PRIMARY KEY ({', '.join(f'k{n}' for n in range(len(types)))})" if keyed or tail else ""
    with closing(apsw.Connection(":memory:")) as db:
        db.execute(f"CREATE TABLE t ({columns}, v{key}){tail}")
        rows = data.draw(st.lists(st.tuples(*[VALUES] * len(types), st.none()), min_size=1, max_size=20))
        fill(db, rows)
        assert_ranges_hold_every_row_once(db, data.draw(st.lists(st.integers(0, 50), max_size=6)))


@given(
    types=st.lists(st.tuples(st.sampled_from(TYPES), st.sampled_from(COLLATIONS)), min_size=1, max_size=2),
    rows=st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=25),
)
@settings(
    deadline=None, max_examples=15, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
def test_a_page_for_every_row_is_proved_on_the_target(
    client: Client, types: list[tuple[str, str]], rows: list[tuple[Any, Any]]
) -> None:
    with TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "CHUNK_BYTES", 1)
        columns = ", ".join(f"k{n} {declared} COLLATE {c} NOT NULL" for n, (declared, c) in enumerate(types))
        names = ", ".join(f"k{n}" for n in range(len(types)))
        with closing(make_source(Path(name, "s.sqlite"), f"CREATE TABLE t ({columns}, PRIMARY KEY ({names}))")) as db:
            fill(db, [row[: len(types)] for row in rows])
            carried = carry(Path(name, "s.sqlite"), Path(name, "run"), D1(client, f"k{secrets.token_hex(8)}"))
            assert len(carried.manifest.table("t").pages) == max(1, carried.manifest.rows)
            assert same_rows(db, carried.d1, carried.exporter.schema.moving[0])
            found = carried.compare()
            assert found.equal, found.differences


def test_the_longest_key_that_names_a_row_is_proved_and_its_row_deleted(d1: D1, tmp_path: Path) -> None:
    """Two such keys bound a page, many of them do not fit in one statement of a delta."""
    with closing(make_source(tmp_path / "s.sqlite", "CREATE TABLE t (k PRIMARY KEY NOT NULL, v)")) as db:
        db.executemany("INSERT INTO t VALUES (?, ?)", ((bytes([n]) * 15_000, n) for n in range(70)))
        state = carry(tmp_path / "s.sqlite", tmp_path / "0", d1)
        assert len(state.manifest.table("t").pages) > 2
        assert state.compare().equal
        db.execute("DELETE FROM t WHERE v % 2; UPDATE t SET v = 'new' WHERE v % 3 = 0")
        state = state.cutover(tmp_path / "1")
        assert state.compare().equal
        assert same_rows(db, d1, state.exporter.schema.moving[0])


@pytest.mark.parametrize(
    ("columns", "values"),
    [("a", ("?",)), ("a, b", ("?", "zeroblob(1200000)")), ("a, b", ("?", "hex(zeroblob(600000))"))],
)
def test_a_row_over_the_limit_is_refused_at_export(tmp_path: Path, columns: str, values: tuple[str, ...]) -> None:
    """It may have grown after the inventory looked; the local runtime would take it, D1 would not."""
    with closing(make_source(tmp_path / "s.sqlite", f"CREATE TABLE t (id TEXT PRIMARY KEY NOT NULL, {columns})")) as db:
        size = 2_000_000 - len("k") - (1_200_000 if len(values) > 1 else 0)
        db.execute(f"INSERT INTO t VALUES ('k', {', '.join(values)})", ("x" * size,))
        relation = relation_of(db)
        assert len(list(encode.rows(db, relation))) == 1
        db.execute("UPDATE t SET a = a || 'é'")
        with pytest.raises(BadInput) as caught:
            list(encode.rows(db, relation))
    assert caught.value.code == "TB102"
    assert caught.value.object == "t 'k'"
    assert "2,000,002 bytes" in caught.value.line
    assert "\n" not in caught.value.line


def test_a_table_of_long_names_fits_into_its_statements(d1: D1, tmp_path: Path) -> None:
    """100 columns whose names fill INSERT, ON CONFLICT and the statements of the proof."""
    names = [f"{'column_with_a_long_name_' * 2}{n:02}" for n in range(99)]
    columns = ", ".join(f'"{name}" TEXT' for name in names)
    with closing(make_source(tmp_path / "s.sqlite", f"CREATE TABLE t (id INTEGER PRIMARY KEY, {columns})")) as db:
        for size in (800, 860, 890, 904, 910, 950, 1000):  # around what one statement holds beside these names
            db.execute(f"INSERT INTO t VALUES (NULL, {', '.join(['?'] * 99)})", ["x" * size] * 99)
        state = carry(tmp_path / "s.sqlite", tmp_path / "0", d1)
        assert state.compare().equal
        db.execute(f"UPDATE t SET {names[0]} = 'changed'")
        state = state.cutover(tmp_path / "1")
        assert state.compare().equal
        assert same_rows(db, d1, state.exporter.schema.moving[0])
        d1.batch([f"UPDATE t SET {names[98]} = 'y' WHERE id = 4"])
        assert [(d.key, d.column, d.kind) for d in state.compare().differences] == [("4", names[98], "changed")]
