"""One fault on the target, and exactly this fault is named: table, key, column, both values."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import apsw
import pytest
from helpers.carry import Carried, carry, make_source, prepare

from towpath.checks import Comparison, Verdict, worst
from towpath.cloudflare import D1, Client
from towpath.errors import BadInput
from towpath.tables import compare, export, opened
from towpath.tables.manifest import read_chunk
from towpath.tables.overlay import Overlay, relations
from towpath.tables.relation import keys
from towpath.tables.schema import quoted, reflect
from towpath.tables.statements import item

SCRIPT = """
CREATE TABLE t (id INTEGER PRIMARY KEY, a, b);
INSERT INTO t VALUES
    (10, 'text', 1), (20, 9007199254740993, 2), (30, 0.1, 3), (40, 5, 4), (50, '5', 5), (60, 5.0, 6), (70, NULL, 7),
    (80, '', 8), (90, x'', 9), (100, x'00ff', 10), (110, CAST(x'610062' AS TEXT), 11), (120, 'end ', 12),
    (130, 'é', 13), (140, 'Straße', 14), (150, '\ufffd', 15), (160, CAST(x'61f09f98' AS TEXT), 16),
    (170, 9e999, 17), (180, 'same', 'same'), (190, 'left', 'right'), (200, 'it''s "x|y"', 20), (210, 0.0, 21),
    (220, 'True', 22), (230, '[1, 2]', 23), (240, 100, 24);
CREATE TABLE named (name TEXT PRIMARY KEY, v);
INSERT INTO named VALUES ('a', 1), ('b', 2), ('c', 3), ('d', 4);
CREATE TABLE paged (name TEXT PRIMARY KEY, v);
INSERT INTO paged VALUES ('a', hex(zeroblob(40))), ('b', 2), ('c', hex(zeroblob(40))), ('d', hex(zeroblob(40)));
CREATE TABLE pair (x TEXT NOT NULL, y INTEGER NOT NULL, v, PRIMARY KEY (x, y)) WITHOUT ROWID;
INSERT INTO pair VALUES ('p', 1, 'v'), ('p', 2, 'v'), ('q', 1, 'v');
CREATE TABLE loose (a, b);
INSERT INTO loose VALUES ('x', 1), ('x', 1), ('x', 1), ('y', NULL), (NULL, NULL), ('z', 0.5), ('x', 2);
CREATE TABLE empty (id INTEGER PRIMARY KEY, a);
"""


@pytest.fixture(scope="module")
def once(client: Client, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Carried]:
    """The source, carried once for all tests."""
    folder = tmp_path_factory.mktemp("compare")
    make_source(folder / "s.sqlite", SCRIPT).close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "CHUNK_BYTES", 60)  # a page for every few rows
        made = carry(folder / "s.sqlite", folder / "run", D1(client, f"compare-{secrets.token_hex(8)}"))
    assert len(made.manifest.table("t").pages) > 5
    assert made.compare().equal
    yield made
    made.exporter.close()


@pytest.fixture
def carried(once: Carried) -> Iterator[Carried]:
    """The same target for each test, made whole again after it."""
    yield once
    tables = once.exporter.schema.moving
    again = [item(s.encode()) for t in tables for s in (f"DROP TABLE IF EXISTS {quoted(t.name)}", t.sql)]
    again += [read_chunk(once.folder, chunk) for chunk in once.manifest.chunks]
    once.d1.send(b'{"batch":[' + b",".join(again) + b"]}")


def told(found: Comparison) -> list[tuple[str, str, str, str, str, str]]:
    return [(d.object, d.key, d.column, d.kind, d.expected, d.found) for d in found.differences]


def assert_fails_exactly(found: Comparison, tables: set[str]) -> None:
    assert not found.equal
    failed = {c.object for c in found.checks if c.verdict is Verdict.FAIL}
    assert failed == tables


CHANGES = [
    ("text", 10, "'texT'", "'text'", "'texT'"),
    ("one more character", 10, "'text.'", "'text'", "'text.'"),
    ("case of a letter beyond ASCII", 130, "'É'", "'é'", "'É'"),
    ("NFC to NFD", 130, "'e\u0301'", "'é'", "'e\u0301'"),
    ("ß to ss", 140, "'Strasse'", "'Straße'", "'Strasse'"),
    ("a space at the end", 120, "'end'", "'end '", "'end'"),
    ("a space at the end", 10, "'text '", "'text'", "'text '"),
    ("cut at NUL", 110, "'a'", "'a\\x00b'", "'a'"),
    ("NUL gone", 110, "'ab'", "'a\\x00b'", "'ab'"),
    ("beyond 2^53, one less", 20, "9007199254740992", "integer 9007199254740993", "integer 9007199254740992"),
    ("beyond 2^53, one more", 20, "9007199254740994", "integer 9007199254740993", "integer 9007199254740994"),
    ("beyond 2^53, as JSON rounds it", 20, "9007199254740993.0", "integer 9007199254740993", "real 9007199254740992.0"),
    ("last bit", 30, "0.10000000000000002", "real 0.1", "real 0.10000000000000002"),
    ("real to integer", 60, "5", "real 5.0", "integer 5"),
    ("integer to real", 40, "5.0", "integer 5", "real 5.0"),
    ("integer to text", 40, "'5'", "integer 5", "'5'"),
    ("text to integer", 50, "5", "'5'", "integer 5"),
    ("text to blob", 50, "x'35'", "'5'", "blob x'35'"),
    ("real to text", 60, "'5.0'", "real 5.0", "'5.0'"),
    ("infinity to the largest", 170, "1.7976931348623157e308", "real inf", "real 1.7976931348623157e+308"),
    ("infinity to its opposite", 170, "-9e999", "real inf", "real -inf"),
    ("infinity to NULL, as JSON shows it", 170, "NULL", "real inf", "NULL"),
    ("zero to integer", 210, "0", "real 0.0", "integer 0"),
    ("NULL to ''", 70, "''", "NULL", "''"),
    ("NULL to x''", 70, "x''", "NULL", "blob x''"),
    ("NULL to 'NULL'", 70, "'NULL'", "NULL", "'NULL'"),
    ("NULL to 0", 70, "0", "NULL", "integer 0"),
    ("'' to NULL", 80, "NULL", "''", "NULL"),
    ("'' to x''", 80, "x''", "''", "blob x''"),
    ("x'' to NULL", 90, "NULL", "blob x''", "NULL"),
    ("x'' to ''", 90, "''", "blob x''", "''"),
    ("a bit of a blob", 100, "x'01ff'", "blob x'00ff'", "blob x'01ff'"),
    ("a byte fewer of a blob", 100, "x'00'", "blob x'00ff'", "blob x'00'"),
    ("blob to its hexadecimal", 100, "'00FF'", "blob x'00ff'", "'00FF'"),
    ("U+FFFD to what JSON shows as it", 150, "CAST(x'ff' AS TEXT)", "'\ufffd'", "'\\\\xff'"),
    ("bad UTF-8 to what JSON shows for it", 160, "'a\ufffd'", "'a\\\\xf0\\\\x9f\\\\x98'", "'a\ufffd'"),
    (
        "bad UTF-8, another byte",
        160,
        "CAST(x'61f09f99' AS TEXT)",
        "'a\\\\xf0\\\\x9f\\\\x98'",
        "'a\\\\xf0\\\\x9f\\\\x99'",
    ),
    ("quotes and separators", 200, "'it''s \"x\"y|'", "'it\\'s \"x|y\"'", "'it\\'s \"x\"y|'"),
    ("boolean word", 220, "1", "'True'", "integer 1"),
    ("JSON spacing", 230, "'[1,2]'", "'[1, 2]'", "'[1,2]'"),
    ("sign", 240, "-100", "integer 100", "integer -100"),
    ("a digit", 240, "1000", "integer 100", "integer 1000"),
]


@pytest.mark.parametrize(
    ("id", "value", "expected", "there"), [change[1:] for change in CHANGES], ids=[change[0] for change in CHANGES]
)
def test_a_changed_cell(carried: Carried, id: int, value: str, expected: str, there: str) -> None:
    carried.d1.batch([f"UPDATE t SET a = {value} WHERE id = {id}"])
    found = carried.compare()
    assert told(found) == [("t", str(id), "a", "changed", expected, there)]
    assert_fails_exactly(found, {"t"})
    (check,) = [c for c in found.checks if c.verdict is Verdict.FAIL]
    assert (check.code, check.found, check.keys) == ("TB412", "1 cells changed", (str(id),))


def test_minus_zero_is_zero_as_sqlite_keeps_it(carried: Carried) -> None:
    carried.d1.batch(["UPDATE t SET a = -0.0 WHERE id = 210"])
    assert carried.compare().equal


@pytest.mark.parametrize("id", [10, 120, 240])
def test_a_missing_row(carried: Carried, id: int) -> None:
    carried.d1.batch([f"DELETE FROM t WHERE id = {id}"])
    found = carried.compare()
    assert [(d.object, d.key, d.kind, d.found) for d in found.differences] == [("t", str(id), "missing", "no row")]
    assert_fails_exactly(found, {"t"})
    assert {c.code for c in found.checks if c.verdict is Verdict.FAIL} == {"TB411", "TB412"}


@pytest.mark.parametrize("id", [-(2**63), 1, 15, 241, 2**63 - 1])
def test_an_extra_row_before_between_and_after(carried: Carried, id: int) -> None:
    carried.d1.batch([f"INSERT INTO t VALUES ({id}, 'new', NULL)"])
    found = carried.compare()
    assert told(found) == [("t", str(id), "", "extra", "no row", f"id=integer {id}, a='new', b=NULL")]
    assert_fails_exactly(found, {"t"})


def test_an_extra_row_where_none_should_be(carried: Carried) -> None:
    carried.d1.batch(["INSERT INTO empty VALUES (1, 2)"])
    assert told(carried.compare()) == [("empty", "1", "", "extra", "no row", "id=integer 1, a=integer 2")]


def test_swapped_columns(carried: Carried) -> None:
    carried.d1.batch(["UPDATE t SET a = b, b = a WHERE id = 190"])
    assert told(carried.compare()) == [
        ("t", "190", "a", "changed", "'left'", "'right'"),
        ("t", "190", "b", "changed", "'right'", "'left'"),
    ]


def test_columns_swapped_that_hold_the_same_are_no_difference(carried: Carried) -> None:
    carried.d1.batch(["UPDATE t SET a = b, b = a WHERE id = 180"])
    assert carried.compare().equal


def test_a_border_moved_between_two_columns(carried: Carried) -> None:
    carried.d1.batch(["UPDATE t SET a = 'lef', b = 'tright' WHERE id = 190"])
    assert {(d.column, d.found) for d in carried.compare().differences} == {("a", "'lef'"), ("b", "'tright'")}


def test_swapped_rows(carried: Carried) -> None:
    carried.d1.batch(["UPDATE t SET id = -1 WHERE id = 10", "UPDATE t SET id = 10 WHERE id = 240"])
    carried.d1.batch(["UPDATE t SET id = 240 WHERE id = -1"])
    assert {(d.key, d.column, d.kind) for d in carried.compare().differences} == {
        ("10", "a", "changed"), ("10", "b", "changed"), ("240", "a", "changed"), ("240", "b", "changed"),
    }  # fmt: skip


def test_a_changed_key_is_a_row_gone_and_a_row_come(carried: Carried) -> None:
    carried.d1.batch(["UPDATE pair SET x = 'P' WHERE x = 'p' AND y = 2"])
    assert {(d.key, d.kind) for d in carried.compare().differences} == {("'P', 2", "extra"), ("'p', 2", "missing")}


@pytest.mark.parametrize(("table", "pages"), [("named", 1), ("paged", 4)])
def test_a_row_with_null_for_a_key_is_named(carried: Carried, table: str, pages: int) -> None:
    assert len(carried.manifest.table(table).pages) == pages
    carried.d1.batch([f"DELETE FROM {table} WHERE name = 'b'", f"INSERT INTO {table} VALUES (NULL, 'hidden')"])
    found = carried.compare()
    assert sorted(told(found)) == [
        (table, "'b'", "", "missing", "name='b', v=integer 2", "no row"),
        (table, "NULL", "", "extra", "no row", "name=NULL, v='hidden'"),
    ]
    assert_fails_exactly(found, {table})


@pytest.mark.parametrize(
    ("statement", "wanted"),
    [
        ("DELETE FROM loose WHERE rowid = 2", [("missing", "a='x', b=integer 1", "no row")]),
        ("INSERT INTO loose VALUES ('x', 1)", [("extra", "no row", "a='x', b=integer 1")]),
        ("INSERT INTO loose VALUES (NULL, NULL)", [("extra", "no row", "a=NULL, b=NULL")]),
        ("UPDATE loose SET b = 2 WHERE rowid = 1", [("changed", "integer 1", "integer 2")]),
        ("UPDATE loose SET b = 0.5000000000000001 WHERE b = 0.5", [("changed", "real 0.5", "real 0.5000000000000001")]),
        ("UPDATE loose SET rowid = 900 WHERE rowid = 1", []),
        ("UPDATE loose SET a = '' WHERE a IS NULL", [("changed", "NULL", "''")]),
    ],
)
def test_a_table_without_a_key_is_a_multiset(
    carried: Carried, statement: str, wanted: list[tuple[str, str, str]]
) -> None:
    carried.d1.batch([statement])
    found = carried.compare()
    assert [(d.kind, d.expected, d.found) for d in found.differences] == wanted
    assert found.equal == (not wanted)


def test_faults_in_several_tables_are_each_told(carried: Carried) -> None:
    carried.d1.batch(["DELETE FROM t WHERE id = 10", "UPDATE pair SET v = NULL", "DELETE FROM loose"])
    found = carried.compare()
    assert_fails_exactly(found, {"t", "pair", "loose"})
    assert len(found.differences) == 1 + 3 + 7
    assert worst(found.checks) is Verdict.FAIL


def test_what_was_compared_is_counted(carried: Carried) -> None:
    found = carried.compare()
    assert found.compared == {
        "tables": 6, "rows": 42, "cells": 24 * 3 + 4 * 2 + 4 * 2 + 3 * 3 + 7 * 2,
        "pages": sum(len(entry.pages) for entry in carried.manifest.tables),
    }  # fmt: skip
    assert [c.code for c in found.checks] == ["TB411", "TB412"] * 6


def test_a_missing_table_is_no_difference_but_no_answer(carried: Carried) -> None:
    carried.d1.batch(["DROP TABLE pair"])
    with pytest.raises(Exception, match="no such table: pair"):
        carried.compare()


def test_a_page_digest_that_no_cell_explains_is_never_a_pass(carried: Carried) -> None:
    entry = carried.manifest.table("t")
    pages = (replace(entry.pages[0], text="0" * 64), *entry.pages[1:])
    tables = tuple(replace(e, pages=pages) if e.name == "t" else e for e in carried.manifest.tables)
    found = compare.compare(
        carried.d1, replace(carried.manifest, tables=tables), carried.exporter.db, carried.exporter.relations
    )
    assert_fails_exactly(found, {"t"})
    assert "although no cell does" in next(c.found for c in found.checks if c.verdict is Verdict.FAIL)


def test_differences_beyond_what_is_kept_are_counted(carried: Carried, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "KEPT", 5)
    carried.d1.batch(["DELETE FROM t"])
    found = carried.compare()
    assert [d.key for d in found.differences] == ["10", "20", "30", "40", "50"]
    check = next(c for c in found.checks if c.code == "TB412" and c.object == "t")
    assert check.found == "24 rows missing, the first 5 are kept"


# -- values so long that no page, or no answer, can hold them


@pytest.mark.parametrize("value", ["hex(zeroblob(4000000))", "zeroblob(8000000)"])
def test_a_value_so_long_that_its_page_cannot_be_built(carried: Carried, value: str) -> None:
    """The engine answers with an error for the page, and for the row: it is read cell by cell."""
    carried.d1.batch([f"UPDATE t SET a = {value} WHERE id = 120", "UPDATE t SET b = 'too' WHERE id = 120"])
    found = carried.compare()
    assert [(d.key, d.column, d.kind, d.expected) for d in found.differences] == [
        ("120", "a", "changed", "'end '"),
        ("120", "b", "changed", "integer 12"),
    ]
    assert "of 8000000)" in found.differences[0].found


def test_many_rows_grown_so_that_their_page_cannot_be_built(d1: D1, tmp_path: Path) -> None:
    script = "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT); WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL"
    make_source(
        tmp_path / "s.sqlite", f"{script} SELECT i + 1 FROM n WHERE i < 90) INSERT INTO t SELECT i, i FROM n"
    ).close()
    made = carry(tmp_path / "s.sqlite", tmp_path / "run", d1)
    d1.batch(["UPDATE t SET a = hex(zeroblob(100000)) WHERE id <> 45"])
    assert [d.key for d in made.compare().differences] == [str(n) for n in range(1, 91) if n != 45]


@pytest.mark.parametrize("at", [0, 950_000, 1_899_999])
def test_one_byte_in_a_long_value_is_shown_where_it_is(d1: D1, tmp_path: Path, at: int) -> None:
    with closing(make_source(tmp_path / "s.sqlite", "CREATE TABLE t (id INTEGER PRIMARY KEY, a, r REAL)")) as db:
        db.execute("INSERT INTO t VALUES (1, ?, 0.1), (2, 'short', 2)", ("x" * 1_900_000,))
    made = carry(tmp_path / "s.sqlite", tmp_path / "run", d1)
    assert "cells" in {page.form for page in made.manifest.table("t").pages}
    assert made.compare().equal
    d1.batch([f"UPDATE t SET a = substr(a, 1, {at}) || 'Y' || substr(a, {at + 2}) WHERE id = 1"])
    (difference,) = made.compare().differences
    assert (difference.key, difference.column) == ("1", "a")
    assert "Y" in difference.found
    assert "Y" not in difference.expected
    assert len(difference.found) < 400
    d1.batch(["UPDATE t SET a = replace(a, 'Y', 'x'), r = 0.2 WHERE id = 1"])
    (difference,) = made.compare().differences
    assert (difference.column, difference.expected, difference.found) == ("r", "real 0.1", "real 0.2")


def test_a_table_of_100_columns(d1: D1, tmp_path: Path) -> None:
    columns = ", ".join(f"c{n} REAL" if n % 2 else f"c{n}" for n in range(99))
    values = ", ".join(f"{n} / 7.0" if n % 2 else f"'{n}'" for n in range(99))
    script = f"CREATE TABLE t (id INTEGER PRIMARY KEY, {columns}); INSERT INTO t VALUES (1, {values}), (2, {values})"
    loose = script.replace("id INTEGER PRIMARY KEY, c0, ", "id, ").replace(" t ", " loose ").replace("'0', ", "")
    make_source(tmp_path / "s.sqlite", f"{script}; {loose}").close()
    made = carry(tmp_path / "s.sqlite", tmp_path / "run", d1)
    assert [len(entry.columns) for entry in made.manifest.tables] == [100, 99]
    assert made.compare().equal
    for table in ("t", "loose"):
        d1.batch([f"UPDATE {table} SET c97 = c97 * 1.0000000000000002, c98 = 98 WHERE id = 2"])
        found = [d for d in made.compare().differences if d.object == table]
        assert [(d.key, d.column) for d in found] == [("2", "c97"), ("2", "c98")]


def test_100_columns_without_a_key_are_refused_at_export(tmp_path: Path) -> None:
    columns = ", ".join(f"c{n}" for n in range(100))
    make_source(tmp_path / "s.sqlite", f"CREATE TABLE loose ({columns})").close()
    with pytest.raises(BadInput, match="loose: the table has no usable key and 100 columns"):
        prepare(tmp_path / "s.sqlite", tmp_path / "run")


def test_digits_of_another_version_of_sqlite_are_no_difference() -> None:
    with closing(apsw.Connection(":memory:")) as db:
        db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, r REAL); CREATE TABLE loose (r)")
        schema = reflect(db)
        made = relations(Overlay(schema, (), keys(db, schema)))
        left, right = "i1|r0.1|t61", "i1|r0.10000000000000001|t61"
        assert not opened.differences(made["t"], [("31", left[:-4])], [("31", right[:-4])])
        assert not opened.differences(made["loose"], [("31", "r1e22")], [("32", "r1.0e+22")])
        assert opened.differences(made["t"], [("31", "i1|r0.1")], [("31", "i1|r0.10000000000000002")])
