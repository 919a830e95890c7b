"""The canonical text of a target table as PostgreSQL makes it of the source's rows, through the mapping.

The same bytes as `towpath.tables.canonical` asks of SQLite, by another engine, from another place, through expressions
of its own: what the proof holds against the pages of the manifest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import apsw
import psycopg

from towpath.errors import CannotFinish
from towpath.fitting.conversions import BLOB, INTEGER, REAL, TEXT
from towpath.fitting.fitted import FittedTable, Part, Value
from towpath.fitting.values import NULL, literal_kind
from towpath.postgresql.connection import told
from towpath.tables.canonical import Digest, digest, reals_digest
from towpath.tables.manifest import Page, TableEntry

SIGNATURE = b"PGCOPY\n\xff\r\n\x00"
HEADER_BYTES = 19  # signature, flags, length of the extension
Key = tuple[bytes | int, ...]
CELLS = {
    TEXT: "coalesce('t' || octet_length({bytes}) || ':' || {c}, 'n')",
    INTEGER: "coalesce('i' || {c} || ';', 'n')",
    BLOB: "coalesce('b' || octet_length({c}) || ':' || upper(encode({c}, 'hex')), 'n')",
    REAL: "CASE WHEN {c} IS NULL THEN 'n' WHEN {c} = 'NaN' THEN 't3:NaN' ELSE 'r' END",
    NULL: "'n'",
}
AS_UTF8 = "convert_to({c}, 'UTF8')"
REALS = "CASE WHEN {c} IS NULL OR {c} = 'NaN' THEN '' ELSE {c}::text || ',' END"


@dataclass(frozen=True, slots=True)
class Row:
    """One row as PostgreSQL says it: its key, its canonical text, its reals, each ended by a comma."""

    key: Key
    text: bytes
    reals: bytes


class Stream:
    """The rows of one target table, made by PostgreSQL from the source."""

    def __init__(self, table: FittedTable, entry: TableEntry) -> None:
        self.table, self.columns = table, entry.columns
        names = {f'"{name.replace(chr(34), chr(34) * 2)}"': name for name in entry.columns}
        self.key = tuple(names[part] for part in entry.key if part in names)
        self.kinds = self._kinds()

    @property
    def ordered(self) -> bool:
        """Whether rows can be read in the order of the manifest's pages: a key of texts and integers, by bytes."""
        if not self.key or any(kind not in (TEXT, INTEGER) for kind in self.kinds):
            return False
        indexes = [i for i in self.table.table.indexes if i.origin == "pk"]
        return all(c.upper() == "BINARY" for index in indexes for c in index.collations)

    def _kinds(self) -> tuple[str, ...]:
        """The storage class of each part of the key; "" where the parts of the table do not agree."""
        out = []
        for name in self.key:
            found = {_value(part, name).storage for part in self.table.parts}
            out.append(found.pop() if len(found) == 1 else "")
        return tuple(out)

    def rows(self, connection: psycopg.Connection, low: Key | None = None, high: Key | None = None) -> Iterator[Row]:
        """All rows, in key order where there is one; or those with low < key <= high."""
        if not self.table.parts:
            return
        names, keys, inner = self.source(connection)
        kinds = self.kinds[: len(names)]
        ends = [(">", low)] if low is not None else []
        ends += [("<=", high)] if high is not None else []
        conditions = [f"ROW({', '.join(keys)}) {sign} {_literal(key, _is_utf8(connection))}" for sign, key in ends]
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        order = f" ORDER BY {', '.join(keys)}" if keys else ""
        sql = f"SELECT {', '.join([*names, 'x', 'y'])} FROM ({inner}) AS rows{where}{order}"
        with told(self.table.table.name), connection.cursor() as cursor:
            for fields in _copied(cursor, f"COPY ({sql}) TO STDOUT (FORMAT binary)"):
                key = tuple(
                    int.from_bytes(field, "big", signed=True) if kind == INTEGER else field
                    for field, kind in zip(fields, kinds, strict=False)
                )
                yield Row(key, fields[-2], fields[-1])

    def source(self, connection: psycopg.Connection) -> tuple[list[str], list[str], str]:
        """Names of the key's columns, what to order them by, and a SELECT of them with text (x) and reals (y)."""
        # octet_length and the order of texts are those of the server's encoding, which need not be UTF-8
        bytes_of, ordered = ("{c}", '{c} COLLATE "C"') if _is_utf8(connection) else (AS_UTF8, AS_UTF8)
        names = [f"k{number}" for number in range(len(self.key))] if self.ordered else []
        keys = [
            ordered.replace("{c}", name) if kind == TEXT else name
            for name, kind in zip(names, self.kinds, strict=False)
        ]
        return names, keys, " UNION ALL ".join(self._part(part, names, bytes_of) for part in self.table.parts)

    def _part(self, part: Part, keys: list[str], bytes_of: str) -> str:
        values = [_value(part, column) for column in self.columns]
        names = [f"c{number}" for number in range(len(values))]
        made = ", ".join(
            f"({value.postgres})::{literal_kind(value.storage)} AS {name}"
            for value, name in zip(values, names, strict=True)
        )
        pairs = list(zip(values, names, strict=True))
        text = ", ".join(
            CELLS[value.storage].replace("{bytes}", bytes_of).replace("{c}", name) for value, name in pairs
        )
        reals = ", ".join(REALS.replace("{c}", name) for value, name in pairs if value.storage == REAL)
        named = [f"c{self.columns.index(name)} AS {key}, " for name, key in zip(self.key, keys, strict=False)]
        # OFFSET 0 keeps PostgreSQL from computing a value anew each time it is named
        return (
            f"SELECT {''.join(named)}concat({text}) AS x, concat({reals or repr('')}) AS y"
            f" FROM (SELECT {made}{part.postgres_from} WHERE {part.postgres_condition} OFFSET 0) AS made"
        )


class PageDigests:
    """Cuts rows at the borders of the manifest's pages, and tells which pages are not the same."""

    def __init__(self, entry: TableEntry, kinds: tuple[str, ...]) -> None:
        self.pages = entry.pages
        self.highs = [border(page.high, kinds) for page in entry.pages]
        self.different: list[int] = []
        self.number = self.count = 0
        self.text, self.reals, self.only = hashlib.sha256(), [b""], b""

    def add(self, row: Row) -> None:
        """The next row, in key order."""
        while (high := self.highs[self.number]) is not None and row.key > high:
            self._finish()
        self.count += 1
        self.text.update(row.text)
        if row.reals:
            self.reals.append(row.reals)
        if self.pages[self.number].form == "cells":
            self.only = row.text

    def finish(self) -> list[int]:
        """The numbers of the pages that differ, once there are no more rows."""
        while self.number < len(self.pages):
            self._finish()
        return self.different

    def _finish(self) -> None:
        page = self.pages[self.number]
        if not self._equal(page):
            self.different.append(self.number)
        self.number, self.count = self.number + 1, 0
        self.text, self.reals, self.only = hashlib.sha256(), [b""], b""

    def _equal(self, page: Page) -> bool:
        reals = b"".join(self.reals).decode()
        if page.form == "cells":
            return self.count == 1 and cells_digest(self.only, reals) == page.text
        return Digest(self.count, self.text.hexdigest(), reals_digest(reals)) == Digest(
            page.rows, page.text, page.reals
        )


def same_page(page: Page, rows: int, text: bytes, reals: str) -> bool:
    """Whether a whole page is the manifest's."""
    if page.form == "cells":
        return rows == 1 and cells_digest(text, reals) == page.text
    return digest(rows, text, reals) == Digest(page.rows, page.text, page.reals)


def border(literal: str | None, kinds: tuple[str, ...]) -> Key | None:
    """A border of a page, a SQL literal or row value of SQLite, as values that compare like the rows' keys."""
    if literal is None:
        return None
    parts = ", ".join(
        f"CAST(column{number} AS BLOB)" if kind == TEXT else f"column{number}" for number, kind in enumerate(kinds, 1)
    )
    values = literal if len(kinds) > 1 else f"({literal})"
    row = apsw.Connection(":memory:").execute(f"SELECT {parts} FROM (VALUES {values})").fetchall()[0]
    return tuple(part if isinstance(part, int) else bytes(cast(bytes, part)) for part in row)


def cells(text: bytes, reals: str) -> list[str]:
    """A canonical text taken apart, in the cells of `towpath.tables.opened`: t4142, i42, r1.5, b00, n."""
    out = []
    at, numbers = 0, iter(reals.split(","))
    while at < len(text):
        kind = text[at : at + 1]
        if kind == b"n":
            out.append("n")
            at += 1
        elif kind == b"r":
            out.append(f"r{next(numbers).replace('Infinity', 'inf')}")
            at += 1
        elif kind == b"i":
            end = text.index(b";", at)
            out.append(text[at:end].decode())
            at = end + 1
        else:
            end = text.index(b":", at)
            size = int(text[at + 1 : end]) * (2 if kind == b"b" else 1)
            data = text[end + 1 : end + 1 + size]
            out.append(kind.decode() + (data.decode() if kind == b"b" else data.hex().upper()))
            at = end + 1 + size
    return out


def cells_digest(text: bytes, reals: str) -> str:
    """The digest of one long row, as the exporter makes it: type, length, bytes of each cell."""
    out = hashlib.sha256()
    kinds = {"t": "text", "b": "blob", "i": "integer", "r": "real", "n": "null"}
    for cell in cells(text, reals):
        data = bytes.fromhex(cell[1:]) if cell[0] in "tb" else cell[1:].encode()
        if cell[0] == "r":
            data = str(apsw.Connection(":memory:").execute("SELECT quote(?)", (float(cell[1:]),)).get).encode()
        out.update(f"{kinds[cell[0]]}:{len(data)}:".encode() + data)
    return out.hexdigest()


def _is_utf8(connection: psycopg.Connection) -> bool:
    return connection.info.parameter_status("server_encoding") == "UTF8"


def _literal(key: Key, utf8: bool) -> str:
    text = "convert_from('\\x{hex}'::bytea, 'UTF8') COLLATE \"C\"" if utf8 else "'\\x{hex}'::bytea"
    parts = (f"{part}::bigint" if isinstance(part, int) else text.replace("{hex}", part.hex()) for part in key)
    return f"ROW({', '.join(parts)})"


def _value(part: Part, column: str) -> Value:
    return next(value for value in part.values if value.column == column)


def _copied(cursor: psycopg.Cursor, sql: str) -> Iterator[list[bytes]]:
    """The rows of a binary COPY, each as the bytes of its fields; none of them is NULL."""
    first = True
    with cursor.copy(sql.encode()) as copy:
        for block in copy:
            data, at = bytes(block), 0
            if first:
                if not data.startswith(SIGNATURE):
                    raise CannotFinish("COPY does not begin as it must", object="PostgreSQL", next="run again")
                at, first = HEADER_BYTES, False
            while at < len(data):
                number = int.from_bytes(data[at : at + 2], "big", signed=True)
                if number < 0:  # the end of the rows; what follows must be read all the same
                    break
                at += 2
                fields = []
                for _ in range(number):
                    size = int.from_bytes(data[at : at + 4], "big", signed=True)
                    at += 4
                    if size < 0:
                        fields.append(b"")
                        continue
                    fields.append(data[at : at + size])
                    at += size
                yield fields
