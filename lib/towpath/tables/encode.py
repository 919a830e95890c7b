"""Rows as SQL literals, built by the source's own engine.

The expression turns a whole row into `(…,…)` inside SQLite, so that no value passes through a Python object on its
way.  Three kinds of value cannot stand in a literal as they are, and are found on the finished bytes, not row by row:
text holding NUL (a literal ends there), text that is not UTF-8 (JSON cannot carry it), and values too long for one
statement (100,000 bytes: Cloudflare's D1 limits page, and measured in the local runtime).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import apsw

from towpath.tables.relation import Relation
from towpath.tables.schema import quoted

STATEMENT_BYTES = 98_000  # of 100,000: the rest is air for a remote splitter's own counting
PARAMETER_BYTES = 900_000  # one bound text; hexadecimal doubles a blob, and 2,000,000 is the limit of any value
FUNCTION_ARGUMENTS = 30  # D1 documents 32 arguments a function


@dataclass(frozen=True, slots=True)
class Row:
    """One encoded row: its literal tuple, or a tuple with `?` and the texts bound to them."""

    literal: bytes
    key: bytes  # the key as SQL: a literal, or a row value
    parameters: tuple[str, ...] = ()


def concat(parts: Sequence[str]) -> str:
    """SQL that joins texts (none of them NULL), nested so that no call has over 30 arguments."""
    parts = list(parts)
    while len(parts) > 1:
        parts = [
            f"concat({', '.join(parts[i : i + FUNCTION_ARGUMENTS])})" if i + 1 < len(parts) else parts[i]
            for i in range(0, len(parts), FUNCTION_ARGUMENTS)
        ]
    return parts[0]


def value_literal(value: str) -> str:
    """SQL that yields the literal of `value`; text keeps NUL and bad UTF-8 raw, to be seen on the finished bytes."""
    return (
        f"CASE typeof({value}) WHEN 'text' THEN concat('''', replace({value}, '''', ''''''), '''')"
        f" ELSE quote({value}) END"
    )


def exact_literal(value: str) -> str:
    """SQL as `value_literal`, with every text by its bytes: slower, and right for any bytes."""
    text = f"concat('CAST(x''', hex({value}), ''' AS TEXT)')"
    return f"CASE typeof({value}) WHEN 'text' THEN {text} ELSE {value_literal(value)} END"


def row_expression(values: Sequence[str], make: Callable[[str], str] = value_literal) -> str:
    """SQL that yields the literal tuple of a row."""
    parts = ["'('"]
    for number, value in enumerate(values):
        parts += ["','"] if number else []
        parts.append(make(value))
    return concat([*parts, "')'"])


def key_expression(relation: Relation, *, exact: bool = False) -> str:
    """SQL that yields the row's key as SQL text, fit to stand in `Relation.where`."""
    names = [f"{quoted(relation.name)}.{part}" for part in relation.key]
    make = exact_literal if exact else value_literal
    if len(names) == 1:
        return make(names[0])
    return row_expression(names, make)


def target_columns(relation: Relation) -> tuple[str, ...]:
    """The column list of an INSERT, quoted; the rowid first where it travels."""
    names = tuple(quoted(c) for c in relation.columns)
    return (relation.key[0], *names) if relation.carries_rowid else names


def _values(relation: Relation, left_out: frozenset[str]) -> list[str]:
    values = ["NULL" if c in left_out else relation.value(c) for c in relation.columns]
    return [f"{quoted(relation.name)}.{relation.key[0]}", *values] if relation.carries_rowid else values


def rows(db: apsw.Connection, relation: Relation, left_out: frozenset[str] = frozenset()) -> Iterator[Row]:
    """Encode every row of the relation in key order.

    `left_out` names columns that are sent as NULL now and set by a later statement (references inside a cycle).
    Rows that no plain literal can carry are encoded again, exactly or with bound texts.
    """
    values = _values(relation, left_out)
    sql = (
        f"SELECT CAST({row_expression(values)} AS BLOB), CAST({key_expression(relation)} AS BLOB)"
        f" FROM {quoted(relation.name)}{relation.where()}{relation.order}"
    )
    for text, key in db.execute(sql):
        if len(text) > STATEMENT_BYTES - 2_000 or not text.isascii():
            yield _careful(db, relation, values, text, key)
        elif b"\0" in text:
            yield _exact(db, relation, values, key)
        else:
            yield Row(text, key)


def tuples(db: apsw.Connection, relation: Relation, values: list[str], condition: str) -> Iterator[bytes]:
    """Literal tuples of any values of the relation's rows, in key order.  Raises BadInput for a tuple too long."""
    for exact in (False, True):
        make = exact_literal if exact else value_literal
        where = relation.where() + (" AND " if relation.where() else " WHERE ") + f"({condition})"
        sql = f"SELECT CAST({row_expression(values, make)} AS BLOB) FROM {quoted(relation.name)}{where}{relation.order}"
        if exact or all(b"\0" not in text and _is_utf8(text) for (text,) in db.execute(sql)):
            yield from (bytes(text) for (text,) in db.execute(sql))
            return


def _careful(db: apsw.Connection, relation: Relation, values: list[str], text: bytes, key: bytes) -> Row:
    if b"\0" in text or not _is_utf8(text) or not _is_utf8(key):
        row = _exact(db, relation, values, key)
        text, key = row.literal, row.key
    if len(text) > STATEMENT_BYTES - 2_000:
        return _bound(db, relation, values, key)
    return Row(text, key)


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _exact(db: apsw.Connection, relation: Relation, values: list[str], key: bytes) -> Row:
    key = _exact_key(db, relation, key)
    sql = f"SELECT {row_expression(values, exact_literal)} FROM {quoted(relation.name)} WHERE {relation.key_sql} = "
    return Row(str(db.execute(sql + key.decode()).get).encode(), key)


def _exact_key(db: apsw.Connection, relation: Relation, key: bytes) -> bytes:
    """The key with its texts by their bytes; a key that is plain already stays as it is."""
    if b"\0" not in key and _is_utf8(key):
        return key
    # The raw key cannot stand in SQL, so it is bound as the bytes it is and found by what it encodes to.
    sql = (
        f"SELECT {key_expression(relation, exact=True)} FROM {quoted(relation.name)}"
        f" WHERE CAST({key_expression(relation)} AS BLOB) = ?"
    )
    return str(db.execute(sql, (key,)).get).encode()


def _bound(db: apsw.Connection, relation: Relation, values: list[str], key: bytes) -> Row:
    """A row too long for one statement: its longest cells become bound texts, blobs in hexadecimal pieces."""
    at = f" FROM {quoted(relation.name)} WHERE {relation.key_sql} = {key.decode()}"
    cells = [str(db.execute(f"SELECT {exact_literal(value)}{at}").get) for value in values]
    parameters: dict[int, list[str]] = {}
    for number in sorted(range(len(cells)), key=lambda n: len(cells[n]), reverse=True):
        if sum(map(len, cells)) + len(cells) < STATEMENT_BYTES - 2_000:
            break
        kind, data = db.execute(f"SELECT typeof({values[number]}), CAST({values[number]} AS BLOB){at}").get
        if kind == "text" and _is_utf8(bytes(data)):
            parameters[number] = [bytes(data).decode("utf-8")]
            cells[number] = "?"
            continue
        step = PARAMETER_BYTES // 2
        parameters[number] = [bytes(data[i : i + step]).hex() for i in range(0, len(data), step)]
        cells[number] = f"CAST({'||'.join(['unhex(?)'] * len(parameters[number]))} AS {kind.upper()})"
    bound = tuple(text for number in sorted(parameters) for text in parameters[number])
    return Row(f"({','.join(cells)})".encode(), key, bound)
