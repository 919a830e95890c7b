"""Rows as SQL literals, built by the source's own engine.

The expression turns a whole row into `(…,…)` inside SQLite, so that no value passes through a Python object on its
way.  Three kinds of value cannot stand in a literal as they are, and are found on the finished bytes, not row by row:
text holding NUL (a literal ends there), text that is not UTF-8 (JSON cannot carry it), and values too long for one
statement (100,000 bytes: Cloudflare's D1 limits page, and measured in the local runtime).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice, starmap
from typing import NamedTuple

import apsw

from towpath.errors import BadInput
from towpath.tables.keys import key_expression, key_literal, key_shown
from towpath.tables.literals import exact_literal, row_expression, value_literal
from towpath.tables.relation import Relation
from towpath.tables.schema import quoted

STATEMENT_BYTES = 98_000  # of 100,000: the rest is air for a remote splitter's own counting
LITERAL_BYTES = STATEMENT_BYTES - 8_000  # the longest tuple that shares a statement with its INSERT … VALUES
ROW_BYTES = 2_000_000  # Cloudflare's D1 limits page; the local runtime takes more
ROWS_AT_ONCE = 64
PARAMETER_BYTES = 900_000  # one bound text; hexadecimal doubles a blob, and 2,000,000 is the limit of any value


class Row(NamedTuple):
    """One encoded row: its literal tuple, or a tuple with `?` and the texts bound to them; and its key."""

    literal: bytes
    key: str  # as towpath.tables.keys carries keys
    parameters: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of SQL and characters of the texts bound to it."""
        return len(self.literal) + sum(map(len, self.parameters))


def target_columns(relation: Relation) -> tuple[str, ...]:
    """The column list of an INSERT, quoted; the rowid first where it travels."""
    names = tuple(quoted(c) for c in relation.columns)
    return (relation.key[0], *names) if relation.carries_rowid else names


def rows(
    db: apsw.Connection,
    relation: Relation,
    left_out: frozenset[str] = frozenset(),
    low: str | None = None,
    high: str | None = None,
    longest: int = LITERAL_BYTES,
) -> Iterator[Row]:
    """Encode the relation's rows with low < key <= high (SQL literals; None leaves that end open) in key order.

    `left_out` names columns that are sent as NULL now and set by a later statement (references inside a circle).
    Rows that no plain literal of up to `longest` bytes can carry are encoded again, exactly or with bound texts.
    Raises BadInput (TB102) for a row larger than D1 takes.
    """
    values = ["NULL" if c in left_out else relation.value(c) for c in relation.columns]
    if relation.carries_rowid:
        values.insert(0, f"{quoted(relation.name)}.{relation.key[0]}")
    cursor = db.execute(
        f"SELECT CAST({row_expression(values)} AS BLOB), {key_expression(relation)}"
        f" FROM {quoted(relation.name)}{relation.where(low, high)}{relation.order}"
    )
    while block := list(islice(cursor, ROWS_AT_ONCE)):
        texts = [text for text, _ in block]
        if max(map(len, texts)) <= longest and _plain(b"".join(texts)):  # most often: a block is looked at as one
            yield from starmap(Row, block)
            continue
        for text, key in block:
            if len(text) <= longest and _plain(text):
                yield Row(text, key)
            else:
                yield _careful(db, relation, values, text, key, longest)


def tuples(db: apsw.Connection, relation: Relation, values: Sequence[str], condition: str) -> Iterator[bytes]:
    """Literal tuples of any values of the relation's rows that meet `condition`, in key order."""
    where = relation.where() + (" AND " if relation.where() else " WHERE ") + f"({condition})"
    for make in (value_literal, exact_literal):
        sql = f"SELECT CAST({row_expression(values, make)} AS BLOB) FROM {quoted(relation.name)}{where}{relation.order}"
        if make is exact_literal or all(_plain(text) for (text,) in db.execute(sql)):
            yield from (bytes(text) for (text,) in db.execute(sql))
            return


def _plain(text: bytes) -> bool:
    """True if the literal holds no NUL and is UTF-8."""
    if b"\0" in text:
        return False
    if text.isascii():
        return True
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _careful(
    db: apsw.Connection, relation: Relation, values: Sequence[str], text: bytes, key: str, longest: int
) -> Row:
    at = f" FROM {quoted(relation.name)} WHERE {relation.key_sql} = {key_literal(key)}"
    if len(text) > ROW_BYTES:
        _refuse_too_large(db, relation, at, key)
    if not _plain(text):
        text = str(db.execute(f"SELECT {row_expression(values, exact_literal)}{at}").get).encode()
    return Row(text, key) if len(text) <= longest else _bound(db, values, at, key, longest)


def _refuse_too_large(db: apsw.Connection, relation: Relation, at: str, key: str) -> None:
    """The local runtime would take such a row; D1 does not."""
    sizes = " + ".join(f"ifnull(octet_length({relation.value(c)}), 0)" for c in relation.columns)
    size = int(db.execute(f"SELECT {sizes}{at}").get)
    if size > ROW_BYTES:
        raise BadInput(
            f"row is larger than D1 takes: {size:,} bytes, the limit is {ROW_BYTES:,}",
            object=f"{relation.name} {key_shown(relation, key)}",
            next="move the long value to R2 and keep its key in the row, then begin again with 01-inventory",
            code="TB102",
        )


def _bound(db: apsw.Connection, values: Sequence[str], at: str, key: str, longest: int) -> Row:
    """A row too long for one statement: its longest cells become bound texts, blobs in hexadecimal pieces."""
    cells = [str(db.execute(f"SELECT {exact_literal(value)}{at}").get) for value in values]
    parameters: dict[int, list[str]] = {}
    for number in sorted(range(len(cells)), key=lambda n: len(cells[n]), reverse=True):
        if sum(map(len, cells)) + len(cells) < longest:
            break
        kind, data = db.execute(f"SELECT typeof({values[number]}), CAST({values[number]} AS BLOB){at}").get
        if kind == "text" and _plain(bytes(data).replace(b"\0", b"")):
            parameters[number] = [bytes(data).decode("utf-8")]
            cells[number] = "?"
            continue
        step = PARAMETER_BYTES // 2
        parameters[number] = [bytes(data[i : i + step]).hex() for i in range(0, len(data), step)]
        cells[number] = f"CAST({'||'.join(['unhex(?)'] * len(parameters[number]))} AS {kind.upper()})"
    bound = tuple(text for number in sorted(parameters) for text in parameters[number])
    return Row(f"({','.join(cells)})".encode(), key, bound)
