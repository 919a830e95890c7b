"""What of a table moves: its columns, the key it is paged by, and the decisions laid over its rows.

A relation is the one description of "the rows that must arrive".  The encoder, the canonical text and the opened page
all read through it, on the source with the decisions of mapping.yaml (rows parked, references set to NULL), on the
target without.  The source itself is never changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import apsw

from towpath.errors import BadInput
from towpath.tables.schema import Schema, Table, quoted

MOST_COLUMNS = 100  # of a table, a SELECT, a row of VALUES in D1 (Cloudflare's limits page, and measured)
ROWID_NAMES = ("rowid", "_rowid_", "oid")
COLLATIONS = ("BINARY", "NOCASE", "RTRIM")  # those that every SQLite has
KEY_BYTES = 15_000  # two keys as literals, in hexadecimal at worst, stand in the statement that asks for a page


@dataclass(frozen=True, slots=True)
class Key:
    """How the rows of a table are named and paged: its primary key, or its rowid."""

    names: tuple[str, ...]  # quoted, or a name of the rowid
    carries_rowid: bool  # no usable primary key: the rowid travels so that pages can be named by it
    binary: bool  # the key's own collation is one that only the application has: compared by bytes instead

    def parts(self, table: str) -> list[str]:
        """The key's columns as SQL, `table` being the table's name or alias, quoted."""
        return [f"{table}.{name}{' COLLATE BINARY' if self.binary else ''}" for name in self.names]

    def sql(self, table: str) -> str:
        """The key as SQL: one column, or a row value."""
        return row_value(self.parts(table))


@dataclass(frozen=True, slots=True)
class Relation:
    """The rows of one table that move, as SQL over that table alone."""

    table: Table
    paging: Key
    emptied: dict[str, str] = field(default_factory=dict)  # column -> condition under which it becomes NULL
    parked: str = ""  # condition under which a row stays behind; "" if none does

    @property
    def name(self) -> str:
        """The table's name, as the source spells it."""
        return self.table.name

    @property
    def key(self) -> tuple[str, ...]:
        """The SQL names of the key's columns."""
        return self.paging.names

    @property
    def carries_rowid(self) -> bool:
        """True if there is no usable primary key, so that rows are named by their rowid."""
        return self.paging.carries_rowid

    @property
    def rowid(self) -> str:
        """The rowid as SQL where it is part of what a row says, as in FTS5; "" where it is a column, or nobody's."""
        return self.key_sql if self.carries_rowid and self.table.kind == "virtual" else ""

    @property
    def is_multiset(self) -> bool:
        """True if the rowid does no more than page the rows: nobody can rely on it."""
        return self.carries_rowid and not self.rowid

    @property
    def written_anew(self) -> bool:
        """True if a changed row is deleted and inserted: there is no key that an upsert could name."""
        return self.carries_rowid or self.table.kind == "virtual"

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns that move, in table order."""
        return tuple(column.name for column in self.table.stored)

    def hides(self, name: str) -> bool:
        """True for a sensitive column, by its name or its quoted name: its values are shown as digests."""
        return any(column.sensitive and name in (column.name, quoted(column.name)) for column in self.table.columns)

    def value(self, column: str) -> str:
        """The SQL expression of the column's value as it must arrive."""
        plain = f"{quoted(self.name)}.{quoted(column)}"
        condition = self.emptied.get(column)
        return f"CASE WHEN {condition} THEN NULL ELSE {plain} END" if condition else plain

    def where(self, low: str | None = None, high: str | None = None) -> str:
        """WHERE clause for the rows with low < key <= high (SQL literals; None leaves that end open)."""
        parts = [f"{self.key_sql} > {low}"] if low is not None else []
        parts += [f"{self.key_sql} <= {high}"] if high is not None else []
        parts += [f"NOT ({self.parked})"] if self.parked else []
        return f" WHERE {' AND '.join(parts)}" if parts else ""

    def named(self, names: Mapping[str, str], low: str | None, high: str | None, first: str = "") -> str:
        """SQL for the rows of a range in key order, each column under a short name.

        A long expression over many columns stays below the 100,000 bytes of a statement only by short names.  `first`
        is what else to select, ended by a comma.
        """
        # a collation that only the application has must not stand in the way of reading its columns
        values = ", ".join(f"{self.value(column)} COLLATE BINARY AS {short}" for column, short in names.items())
        return f"SELECT {first}{values} FROM {quoted(self.name)}{self.where(low, high)}{self.order}"

    @property
    def key_sql(self) -> str:
        """The key as SQL: one column, or a row value."""
        return self.paging.sql(quoted(self.name))

    @property
    def order(self) -> str:
        """ORDER BY clause that follows the key."""
        return f" ORDER BY {', '.join(self.paging.parts(quoted(self.name)))}"

    def paged_as(self, names: Sequence[str], carries_rowid: bool) -> Relation:
        """The same rows, named as an export named them: a key that could not name them then may have come to do so."""
        if self.carries_rowid or not carries_rowid:
            return self
        return replace(self, paging=Key(tuple(names), True, False))

    def arriving(self) -> Relation:
        """The same rows as the target holds them: no decisions laid over."""
        return Relation(self.table, self.paging)


def row_value(parts: Sequence[str]) -> str:
    """One SQL expression as it is, several as a row value."""
    return parts[0] if len(parts) == 1 else f"({', '.join(parts)})"


def keys(db: apsw.Connection, schema: Schema) -> dict[str, Key]:
    """How the rows of every moving table are named and paged, by table name.

    `db` is asked whether a primary key can name its rows: SQLite allows NULLs in it outside INTEGER PRIMARY KEY and
    WITHOUT ROWID, and values longer than any statement.  Such a table is paged by its rowid.  Raises BadInput when it
    has none that can be named.
    """
    return {table.name: _key(db, table) for table in schema.moving}


def _key(db: apsw.Connection, table: Table) -> Key:
    columns = table.primary_key
    if columns and (table.rowid_alias or not (reason := _unusable(db, table))):
        collations = {c.upper() for index in table.indexes if index.origin == "pk" for c in index.collations}
        return Key(tuple(quoted(c) for c in columns), False, not collations <= set(COLLATIONS))
    if columns and table.without_rowid:
        raise BadInput(
            f"the table has no usable key: {reason}", object=table.name, next="shorten the key in the source"
        )
    taken = {column.name.lower() for column in table.columns}
    free = [name for name in ROWID_NAMES if name not in taken]
    if not free:
        raise BadInput(
            f"the table has no usable key: {reason if columns else 'no primary key'},"
            " and columns hide every name of the rowid",
            object=table.name,
            next="rename one of its columns rowid, _rowid_, oid in the source, or give it a primary key",
        )
    if len(table.stored) >= MOST_COLUMNS:  # the rowid would be one value too many
        raise BadInput(
            f"the table has no usable key and {MOST_COLUMNS} columns: its rows cannot travel with their rowid",
            object=table.name,
            next="give the table a primary key in the source, or split it",
        )
    return Key((free[0],), True, False)


def _unusable(db: apsw.Connection, table: Table) -> str:
    """Why the primary key cannot name every row; "" if it can."""
    columns = [quoted(c) for c in table.primary_key]
    null = " OR ".join(f"{c} IS NULL" for c in columns)
    long = " + ".join(f"ifnull(octet_length({c}), 0)" for c in columns) + f" > {KEY_BYTES}"
    flags = f"SELECT max({null}), max({long}) FROM {quoted(table.name)}"
    has_null, has_long = db.execute(flags).get or (0, 0)
    if has_null:
        return "a primary key with NULLs"
    return f"a primary key of more than {KEY_BYTES:,} bytes" if has_long else ""
