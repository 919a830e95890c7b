"""A page opened to its rows and cells, on both sides, after its digests were found to differ.

Rows are read by an expression that both engines evaluate alike: every cell typed, texts and blobs in hexadecimal, so
that no transport can blur a difference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial

import apsw

from towpath.checks import Difference
from towpath.cloudflare.d1 import D1
from towpath.cloudflare.errors import D1Error
from towpath.sensitive import digest
from towpath.tables.canonical import PIECE_BYTES
from towpath.tables.keys import key_expression, key_literal, key_shown
from towpath.tables.literals import concat
from towpath.tables.relation import MOST_COLUMNS, Relation
from towpath.tables.schema import quoted

ROWS_AT_ONCE = 2_000  # rows a request when a page is opened; fewer when an answer is too long
SHOWN = 160  # characters of a value in a difference
_KINDS = {"i": "integer", "r": "real", "t": "text", "b": "blob"}


def cell(value: str) -> str:
    """SQL that yields one cell: a letter for its storage class, then its bytes or digits."""
    return (
        f"CASE typeof({value}) WHEN 'text' THEN 't' || hex({value}) WHEN 'blob' THEN 'b' || hex({value})"
        f" WHEN 'integer' THEN 'i' || {value} WHEN 'real' THEN 'r' || quote({value}) ELSE 'n' END"
    )


def rows_sql(relation: Relation, low: str | None, high: str | None) -> str:
    """SQL for the rows of a range: the key, the cells joined by `|`."""
    key = key_expression(relation)
    columns = {column: f"c{number}" for number, column in enumerate(relation.columns)}
    if len(columns) < MOST_COLUMNS:
        which = relation.named(columns, low, high, f"{key} AS k, ")
        return f"SELECT k, {joined(columns.values())} FROM ({which})"
    cells = joined(relation.value(column) for column in columns)
    return f"SELECT {key}, {cells} FROM {quoted(relation.name)}{relation.where(low, high)}{relation.order}"


def joined(values: Iterable[str]) -> str:
    """SQL for the cells of a row, joined by `|`."""
    parts: list[str] = []
    for value in values:
        parts += ["'|'"] if parts else []
        parts.append(cell(value))
    return concat(parts)


def source_rows(
    db: apsw.Connection, relation: Relation, low: str | None, high: str | None
) -> Iterator[tuple[str, str]]:
    """The rows that must be there: (key, cells)."""
    yield from db.execute(rows_sql(relation, low, high))


def target_rows(d1: D1, relation: Relation, low: str | None, high: str | None) -> Iterator[tuple[str, str]]:
    """The rows that are there, read in parts by key; a row too long for one answer cell by cell."""
    arriving = relation.arriving()
    limit = ROWS_AT_ONCE
    while True:
        try:
            found = d1.query(f"{rows_sql(arriving, low, high)} LIMIT {limit}").rows
        except D1Error as error:
            if not error.about_the_statement:
                raise
            if limit > 1:
                limit = max(1, limit // 16)
                continue
            found = _long_row(d1, arriving, low, high)
        yield from ((key, cells) for key, cells in found)
        if len(found) < limit:
            return
        low = key_literal(found[-1][0])


def _long_row(d1: D1, relation: Relation, low: str | None, high: str | None) -> list[list[str]]:
    """The first row of a range, its cells fetched in pieces."""
    first = f"FROM {quoted(relation.name)}{relation.where(low, high)}{relation.order} LIMIT 1"
    key = str(d1.query(f"SELECT {key_expression(relation)} {first}").rows[0][0])
    at = f"FROM {quoted(relation.name)} WHERE {relation.key_sql} = {key_literal(key)}"
    cells = []
    for column in relation.columns:
        value = relation.value(column)
        kind = str(d1.query(f"SELECT typeof({value}) {at}").rows[0][0])
        if kind in ("text", "blob"):
            cells.append(kind[0] + "".join(hex_pieces(d1, value, at)))
        else:
            cells.append(str(d1.query(f"SELECT {cell(value)} {at}").rows[0][0]))
    return [[key, "|".join(cells)]]


def hex_pieces(d1: D1, value: str, at: str) -> Iterator[str]:
    """The bytes of one value of one row in hexadecimal, in pieces that an answer can hold; `at` is FROM … WHERE …."""
    data = f"CAST({value} AS BLOB)"
    size = int(d1.query(f"SELECT coalesce(octet_length({data}), 0) {at}").rows[0][0])
    for start in range(1, size + 1, PIECE_BYTES):
        yield str(d1.query(f"SELECT hex(substr({data}, {start}, {PIECE_BYTES})) {at}").rows[0][0])


def unnamed_rows(d1: D1, relation: Relation) -> list[Difference]:
    """Rows of the target with NULL in the key by which the source names its rows: no range of keys holds them."""
    columns = {column.name: column for column in relation.table.columns}
    if relation.carries_rowid or relation.table.without_rowid or relation.table.rowid_alias:
        return []
    open_ends = [c for c in relation.table.primary_key if not columns[c].notnull]
    if not open_ends:
        return []
    null = " OR ".join(f"{quoted(relation.name)}.{quoted(c)} IS NULL" for c in open_ends)
    only_those = replace(relation.arriving(), parked=f"NOT ({null})")
    found = d1.query(f"{rows_sql(only_those, None, None)} LIMIT {ROWS_AT_ONCE}").rows
    return [_extra(relation, key, cells) for key, cells in found]


def differences(
    relation: Relation, expected: Iterable[tuple[str, str]], found: Iterable[tuple[str, str]]
) -> list[Difference]:
    """What differs between two readings of the same rows, named by key and column."""
    left = {key: normal(cells) for key, cells in expected}
    right = {key: normal(cells) for key, cells in found}
    out: list[Difference] = []
    if relation.is_multiset:
        left, right = _without_equal_rows(left, right)
    for key, cells in left.items():
        if key not in right:
            out.append(
                Difference(relation.name, key_shown(relation, key), "", "missing", row_shown(relation, cells), "no row")
            )
        elif right[key] != cells:
            out += _cells(relation, key, cells, right[key])
    for key, cells in right.items():
        if key not in left:
            out.append(_extra(relation, key, cells))
    return out


def _extra(relation: Relation, key: str, cells: str) -> Difference:
    return Difference(relation.name, key_shown(relation, key), "", "extra", "no row", row_shown(relation, cells))


def normal(cells: str) -> str:
    """The cells with every real as Python writes it: two versions of SQLite may print one double with other digits."""
    if "r" not in cells:
        return cells
    return "|".join(f"r{float(part[1:]) + 0.0!r}" if part[0] == "r" else part for part in cells.split("|"))


def _without_equal_rows(left: dict[str, str], right: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Drop rows that both sides hold, whatever their rowids: a table without a key is a multiset of rows."""
    same = {key for key, cells in left.items() if right.get(key) == cells}
    left = {key: cells for key, cells in left.items() if key not in same}
    right = {key: cells for key, cells in right.items() if key not in same}
    common = Counter(left.values()) & Counter(right.values())

    def rest(rows: dict[str, str]) -> dict[str, str]:
        budget = Counter(common)
        kept = {}
        for key, cells in rows.items():
            if budget[cells]:
                budget[cells] -= 1
            else:
                kept[key] = cells
        return kept

    return rest(left), rest(right)


def _cells(relation: Relation, key: str, expected: str, found: str) -> Iterator[Difference]:
    pairs = zip(relation.columns, expected.split("|"), found.split("|"), strict=True)
    for column, left, right in pairs:
        if left != right:
            start = next((i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), len(left)) // 2
            show = partial(shown, start=max(0, start - SHOWN // 4), hidden=relation.hides(column))
            yield Difference(relation.name, key_shown(relation, key), column, "changed", show(left), show(right))


def row_shown(relation: Relation, cells: str) -> str:
    """A whole row for people."""
    pairs = zip(relation.columns, cells.split("|"), strict=True)
    parts = (f"{column}={shown(cell, hidden=relation.hides(column))}" for column, cell in pairs)
    return ", ".join(parts)[: SHOWN * 2]


def shown(cell: str, start: int = 0, *, hidden: bool = False) -> str:
    """A cell for people: storage class and value; of a long one the part from byte `start` on, and its length.

    Of a `hidden` one no part: its digest.
    """
    kind, data = cell[0], cell[1:]
    if kind == "n":
        return "NULL"
    if hidden:
        return f"{_KINDS[kind]} {digest(data.encode() if kind in 'ir' else bytes.fromhex(data))}"
    if kind in "ir":
        return f"{_KINDS[kind]} {data}"
    value = bytes.fromhex(data)
    cut = len(value) > SHOWN
    part = value[start : start + SHOWN] if cut else value
    text = repr(part.decode("utf-8", "backslashreplace")) if kind == "t" else f"blob x'{part.hex()}'"
    return f"{'…' if start else ''}{text} (from byte {start} of {len(value)})" if cut else text
