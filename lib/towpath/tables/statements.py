"""Rows packed into statements, statements into the JSON items of a batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from towpath.tables.encode import LITERAL_BYTES, STATEMENT_BYTES, Row, target_columns
from towpath.tables.keys import key_literal
from towpath.tables.relation import Relation
from towpath.tables.schema import quoted


def insert_header(relation: Relation) -> bytes:
    """`INSERT INTO … VALUES` for the relation's rows, with an explicit column list."""
    return f"INSERT INTO {quoted(relation.name)} ({', '.join(target_columns(relation))}) VALUES\n".encode()


def item(sql: bytes, parameters: Sequence[str] = ()) -> bytes:
    """One statement as the JSON item of a batch."""
    made: dict[str, Any] = {"sql": sql.decode("utf-8")}
    if parameters:
        made["params"] = list(parameters)
    return orjson.dumps(made)


def longest(header: bytes, tail: bytes = b"") -> int:
    """The longest tuple that shares a statement with these."""
    return min(LITERAL_BYTES, STATEMENT_BYTES - len(header) - len(tail) - 2)


@dataclass(slots=True)
class Sink:
    """Collects the rows of one chunk into INSERT statements, each under the limit of one statement."""

    header: bytes  # INSERT INTO … VALUES
    tail: bytes = b""  # ON CONFLICT …, where a delta writes over rows
    items: list[bytes] = field(default_factory=list)
    rows: int = 0
    size: int = 0  # bytes of SQL and of bound texts
    _pending: list[bytes] = field(default_factory=list)
    _pending_bytes: int = 0

    @property
    def room(self) -> int:
        """The longest tuple that a statement of this sink can hold."""
        return STATEMENT_BYTES - len(self.header) - len(self.tail)

    def add(self, row: Row) -> None:
        """Take one row: into the statement that is open, or alone with the texts bound to it."""
        if row.parameters:
            size = row.size
            self._flush()
            self.items.append(item(self.header + row.literal + self.tail, row.parameters))
        else:
            size = len(row.literal) + 2
            if self._pending_bytes + size > self.room:
                self._flush()
            self._pending.append(row.literal)
            self._pending_bytes += size
        self.rows += 1
        self.size += size

    def finish(self) -> list[bytes]:
        """Close the open statement and return all of them as JSON items."""
        self._flush()
        return self.items

    def _flush(self) -> None:
        if self._pending:
            self.items.append(item(self.header + b",\n".join(self._pending) + self.tail))
            self._pending, self._pending_bytes = [], 0


def link_statement(relation: Relation, late: Sequence[str]) -> tuple[list[str], bytes, bytes]:
    """References set on many rows at once: what a tuple holds, and what stands before and after the tuples."""
    table = quoted(relation.name)
    names = [f"{table}.{part}" for part in relation.key]
    sets = ", ".join(f"{quoted(c)} = v.column{len(names) + i}" for i, c in enumerate(late, 1))
    match = " AND ".join(f"{key} = v.column{i}" for i, key in enumerate(names, 1))
    values = [*names, *(relation.value(c) for c in late)]
    return values, f"UPDATE {table} SET {sets} FROM (VALUES\n".encode(), f") AS v WHERE {match}".encode()


def by_key(head: str, relation: Relation, keys: list[str]) -> Iterator[tuple[str, int]]:
    """Statements that name their rows by key, each below the limit of one statement."""
    values = "VALUES " if len(relation.key) > 1 else ""
    start = f"{head} WHERE {relation.key_sql} IN ({values}"
    room = STATEMENT_BYTES - len(start.encode())
    part: list[str] = []
    size = 0
    for key in keys:
        listed = key_literal(key)
        more = len(listed.encode()) + 2
        if part and size + more > room:
            yield f"{start}{', '.join(part)})", len(part)
            part, size = [], 0
        part.append(listed)
        size += more
    if part:
        yield f"{start}{', '.join(part)})", len(part)
