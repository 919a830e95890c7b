"""Which rows: the key of a table as a person reads it, and a scan of a table page by page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import apsw

from towpath.sensitive import digest
from towpath.tables.schema import Table, quoted

SAMPLES = 5
KEY_CHARACTERS = 100
ROWID_NAMES = ("rowid", "_rowid_", "oid")
FEWEST_ROWS, MOST_ROWS = 64, 20_000  # to a page
PAGE_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Page:
    """A stretch of a table: a condition and what is bound to it.  The condition is never empty."""

    where: str = "1"
    bound: tuple[Any, ...] = ()


def ask(db: apsw.Connection, sql: str, bound: Sequence[Any] = ()) -> Any:
    """The first value of the first row; None if there is no row."""
    return db.execute(sql, tuple(bound)).get


def rowid_name(table: Table) -> str | None:
    """A name under which SQL reaches the rowid; None if there is none, or if columns hide every name."""
    if table.without_rowid:
        return None
    if table.rowid_alias is not None:
        return quoted(table.rowid_alias)
    taken = {column.name.lower() for column in table.columns}
    return next((name for name in ROWID_NAMES if name not in taken), None)


def key_names(table: Table) -> tuple[str, ...]:
    """The SQL names that tell a row of the table: its primary key, else its rowid, else all columns."""
    if table.primary_key:
        return tuple(quoted(name) for name in table.primary_key)
    rowid = rowid_name(table)
    return (rowid,) if rowid else tuple(quoted(column.name) for column in table.columns)


def key_hidden(table: Table) -> tuple[bool, ...]:
    """Which of `key_names` are sensitive, in the same order."""
    hidden = {quoted(column.name) for column in table.columns if column.sensitive}
    return tuple(name in hidden for name in key_names(table))


def key_parts(names: Sequence[str]) -> str:
    """SELECT list of a key, to be read by `readable`."""
    return ", ".join(f"typeof({name}), CAST({name} AS BLOB)" for name in names)


def keys(db: apsw.Connection, table: Table, condition: str, bound: Sequence[Any] = ()) -> tuple[str, ...]:
    """The keys of up to five rows that meet the condition (a condition over the table's bare columns)."""
    sql = f"SELECT {key_parts(key_names(table))} FROM {quoted(table.name)} WHERE {condition} LIMIT {SAMPLES}"
    return tuple(readable(row, codec(db), key_hidden(table)) for row in db.execute(sql, tuple(bound)))


def codec(db: apsw.Connection) -> str:
    """Python's name for the encoding in which the database holds text; CAST(… AS BLOB) gives text in it."""
    return {"UTF-16le": "utf-16-le", "UTF-16be": "utf-16-be"}.get(str(db.pragma("encoding")), "utf-8")


def readable(row: Sequence[Any], codec: str, hidden: Sequence[bool]) -> str:
    """A key (of `key_parts`) as text: bytes that are no text are escaped, long parts cut, `hidden` ones digested."""
    words = []
    for kind, data, secret in zip(row[::2], row[1::2], hidden, strict=True):
        if data is None:
            text = "NULL"
        elif secret:
            text = digest(bytes(data))
        elif kind == "blob":
            text = f"x'{data[: KEY_CHARACTERS // 2].hex()}'"
        else:
            text = bytes(data[: KEY_CHARACTERS * 4]).decode(codec, "backslashreplace").replace("\0", "\\x00")
        words.append(text if len(text) <= KEY_CHARACTERS else text[:KEY_CHARACTERS] + "…")
    return ", ".join(words)


class Pages:
    """Reads a table in stretches of about 1 MB along its rowid or primary key.

    `learn` is told what the last page held, so that the next fits.  A table without a usable key is one page.
    """

    def __init__(self, db: apsw.Connection, table: Table) -> None:
        self.db, self.table = db, table
        self.rows = FEWEST_ROWS
        name = rowid_name(table)
        if name is not None:
            self.key: tuple[str, ...] = (name,)
        else:
            self.key = tuple(quoted(c) for c in table.primary_key) if table.without_rowid else ()

    def learn(self, rows: int, size: int) -> None:
        """Fit the next page to what this one was: `rows` of `size` bytes together."""
        if rows:
            fitting = int(PAGE_BYTES * rows / max(size, 1))
            self.rows = max(FEWEST_ROWS, min(MOST_ROWS, fitting, self.rows * 8))

    def __iter__(self) -> Iterator[Page]:
        if not self.key:
            yield Page()
            return
        names = ", ".join(self.key)
        tuple_sql, marks = (names, "?") if len(self.key) == 1 else (f"({names})", f"({', '.join('?' * len(self.key))})")
        low: tuple[Any, ...] | None = None
        while True:
            after = f"{tuple_sql} > {marks}" if low is not None else "1"
            high = self._end(names, after, low or ())
            if high is None:
                yield Page(after, low or ())
                return
            yield Page(f"{after} AND {tuple_sql} <= {marks}", (*(low or ()), *high))
            low = high

    def _end(self, names: str, after: str, bound: tuple[Any, ...]) -> tuple[Any, ...] | None:
        sql = f"SELECT {names} FROM {quoted(self.table.name)} WHERE {after} ORDER BY {names} LIMIT 1 OFFSET ?"
        try:
            found = self.db.execute(sql, (*bound, self.rows - 1)).fetchall()
        except (UnicodeDecodeError, apsw.SQLError):
            return None  # a key that Python cannot hold, or a collation that only the application has: one page
        return tuple(found[0]) if found else None
