"""Which rows of a page differ: told by their canonical texts, so that only those are read cell by cell.

A page whose digest changed mostly holds thousands of rows that did not.  Their cells in hexadecimal, which nothing can
blur, cost five times what their texts cost; so the texts say which rows are the same.  A page of form `hex` is not for
this: it holds U+FFFD, which in JSON may stand for any bytes that are no text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from itertools import accumulate

import apsw

from towpath.cloudflare.d1 import D1
from towpath.cloudflare.errors import D1Error
from towpath.tables import canonical, opened
from towpath.tables.keys import key_expression, key_literal
from towpath.tables.literals import concat
from towpath.tables.relation import MOST_COLUMNS, Relation
from towpath.tables.schema import quoted
from towpath.tables.statements import by_key

ROWS_AT_ONCE = 4_000  # texts in one answer
CELLS_AT_ONCE = 500  # rows read cell by cell in one answer
CELLS_BYTES = 500_000  # of their texts: in hexadecimal they are twice as long

Text = tuple[str, bytes, str]  # key, canonical text, reals
Piece = list[Text] | None  # None: one answer cannot say it


class TooLongError(Exception):
    """One answer cannot say a range of rows."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the target that is to be read cell by cell."""

    low: str | None  # the key before it, as SQL
    key: str
    size: int  # bytes of its text


def texts_sql(relation: Relation, reals: Sequence[str], low: str | None, high: str | None) -> str:
    """SQL for the rows of a range in key order: key `k`, canonical text `x`, digits of the reals `y`."""
    key = key_expression(relation)
    names = {column: f"c{number}" for number, column in enumerate(relation.columns)}
    if len(names) < MOST_COLUMNS:
        values, rows = names, f"({relation.named(names, low, high, f'{key} AS k, ')})"
        key = "k"
    else:
        values = {column: relation.value(column) for column in names}
        rows = f"{quoted(relation.name)}{relation.where(low, high)}{relation.order}"
    text = concat([canonical.cell(value) for value in values.values()])
    numbers = concat([canonical.real(values[column]) for column in reals] or ["''"])
    return f"SELECT {key} AS k, {text} AS x, {numbers} AS y FROM {rows}"


def source_texts(
    db: apsw.Connection, relation: Relation, reals: Sequence[str], low: str | None, high: str | None
) -> Iterator[Text]:
    """The rows of a range as the source has them, decisions laid over."""
    yield from db.execute(f"SELECT k, CAST(x AS BLOB), y FROM ({texts_sql(relation, reals, low, high)})")


def source_cells(db: apsw.Connection, relation: Relation, keys: Iterable[str]) -> dict[str, str]:
    """The rows of these keys cell by cell, as `towpath.tables.opened` writes them."""
    return {key: cells for sql, _ in _by_key(relation, list(keys)) for key, cells in db.execute(sql)}


@dataclass(frozen=True, slots=True)
class Target:
    """Rows of one table of the target, read ahead by `pool`."""

    d1: D1
    relation: Relation  # as the target holds them
    reals: tuple[str, ...]
    pool: Executor

    def ask(self, low: str | None, high: str | None) -> Future[Piece]:
        """Begin to read the texts of a range."""
        return self.pool.submit(self._piece, low, high)

    def texts(self, asked: Future[Piece], high: str | None) -> Iterator[Text]:
        """The texts of the range that was asked for; raises TooLongError where one answer cannot hold them."""
        while True:
            piece = asked.result()
            if piece is None:
                raise TooLongError
            more = len(piece) == ROWS_AT_ONCE
            if more:
                asked = self.ask(key_literal(piece[-1][0]), high)
            yield from piece
            if not more:
                return

    def cells(self, rows: Iterable[Row]) -> dict[str, str]:
        """These rows cell by cell."""
        asked = [self.pool.submit(self._cells, group) for group in _groups(rows)]
        return {key: cells for future in asked for key, cells in future.result().items()}

    def _piece(self, low: str | None, high: str | None) -> Piece:
        """All in one row: D1 hands over few long values faster than many short ones."""
        rows = f"{texts_sql(self.relation, self.reals, low, high)} LIMIT {ROWS_AT_ONCE}"
        parts = (("k", ","), ("octet_length(x)", ","), ("x", ""), ("y", ";"))
        joined = ", ".join(f"coalesce(group_concat({what}, '{sign}'), '')" for what, sign in parts)
        try:
            keys, sizes, texts, numbers = self.d1.query(f"SELECT {joined} FROM ({rows})").rows[0]
        except D1Error as error:
            if not error.about_the_statement:
                raise
            return None
        if not keys:
            return []
        data = texts.encode("utf-8")
        ends = list(accumulate(map(int, sizes.split(","))))
        if ends[-1] != len(data):  # bytes that are no text were replaced on the way: nobody knows where a row ends
            return None
        cut = (data[start:end] for start, end in zip([0, *ends], ends, strict=False))
        return list(zip(keys.split(","), cut, numbers.split(";"), strict=True))

    def _cells(self, rows: Sequence[Row]) -> dict[str, str]:
        out: dict[str, str] = {}
        try:
            for sql, _ in _by_key(self.relation, [row.key for row in rows]):
                out.update((key, cells) for key, cells in self.d1.query(sql).rows)
        except D1Error as error:
            if not error.about_the_statement:
                raise
            for row in rows:  # too long for one answer: one by one, which knows what to do with a long one
                out.update(opened.target_rows(self.d1, self.relation, row.low, key_literal(row.key)))
        return out


def same(left: tuple[bytes, str], right: tuple[bytes, str]) -> bool:
    """True if two engines say the same row: each may print a double with digits of its own."""
    if left[0] != right[0]:
        return False
    return left[1] == right[1] or canonical.reals_digest(left[1]) == canonical.reals_digest(right[1])


def _by_key(relation: Relation, keys: list[str]) -> Iterator[tuple[str, int]]:
    cells = opened.joined(relation.value(column) for column in relation.columns)
    return by_key(f"SELECT {key_expression(relation)}, {cells} FROM {quoted(relation.name)}", relation, keys)


def _groups(rows: Iterable[Row]) -> Iterator[list[Row]]:
    group: list[Row] = []
    size = 0
    for row in rows:
        if group and (len(group) == CELLS_AT_ONCE or size + row.size > CELLS_BYTES):
            yield group
            group, size = [], 0
        group.append(row)
        size += row.size
    if group:
        yield group
