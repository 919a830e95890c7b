"""Rows of the target beside the source's own: a temporary table of typed columns in the source's server.

Values travel by COPY in binary form, never in the text of a statement.  The table ends with its transaction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count

import psycopg

from towpath.fitting.conversions import BLOB, INTEGER, REAL, TEXT
from towpath.fitting.turned import STAGED, Cell, Fill, Turned
from towpath.fitting.values import NULL
from towpath.postgresql.relations import quoted
from towpath.tables.back import Value, value_of
from towpath.tables.changes import TableChanges

INSERTED, UPDATED, DELETED = "i", "u", "d"
EXACT = 2**53  # whole numbers that a double holds
NOT_FINITE = ("NaN", "Infinity", "-Infinity")  # how the capture writes them: SQLite has no such reals
_KINDS: dict[str, tuple[type, ...]] = {TEXT: (str,), INTEGER: (int,), REAL: (float,), BLOB: (bytes,), NULL: ()}
_numbers = count()


@dataclass(frozen=True, slots=True)
class Staged:
    """One table's rows beside the source's.  An updated row is in the group of those that changed in the same cells."""

    turned: Turned
    table: str  # SQL
    keys: tuple[str, ...]  # of each row, by its number
    groups: tuple[frozenset[int], ...]  # the cells that changed
    counts: Mapping[str, int]

    def rows(self, more: str = "") -> str:
        """What stands after FROM."""
        return f"(SELECT * FROM {self.table}{more} OFFSET 0) AS {STAGED}" if more else f"{self.table} AS {STAGED}"

    def changed(self, cell: int) -> str:
        """The condition under which a cell of a row is new or changed."""
        among = [str(number) for number, cells in enumerate(self.groups) if cell in cells]
        updated = f" OR {STAGED}.g IN ({', '.join(among)})" if among else ""
        return f"({STAGED}.kind = '{INSERTED}'{updated})"

    def filled(self, fill: Fill) -> str:
        """The value of a source column where it is new, changed, or names the row; a cell that stays is not read."""
        if fill in self.turned.key:
            return fill.sql
        guard = f"{STAGED}.kind = '{INSERTED}'" if fill.cell is None else self.changed(fill.cell)
        return f"CASE WHEN {guard} THEN {fill.sql} END"

    def same_row(self, alias: str) -> str:
        """The condition that a row of the source is the staged one."""
        return " AND ".join(f"{alias}.{quoted(fill.column.name)} = {fill.sql}" for fill in self.turned.key)


def stage(connection: psycopg.Connection, turned: Turned, changes: TableChanges) -> Staged:
    """Put the rows of one table beside the source's.  Each cell is of its column's storage class: `cell_value` says."""
    table = f"pg_temp.{quoted(f'towpath_{next(_numbers)}')}"
    types = ["int8", "text", "int4", *(cell.type for cell in turned.cells)]
    columns = ["n", "kind", "g", *(f"c{cell.number}" for cell in turned.cells)]
    declared = ", ".join(f"{name} {type}" for name, type in zip(columns, types, strict=True))
    connection.execute(f"CREATE TEMPORARY TABLE {table} ({declared}) ON COMMIT DROP".encode())
    groups: dict[frozenset[int], int] = {}
    keys: list[str] = []
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN (FORMAT binary)".encode()) as copy:
        copy.set_types(types)
        for kind, key, cells, changed in _rows(changes):
            values = [cell_value(cell, text) for cell, text in zip(turned.cells, cells.split("|"), strict=True)]
            copy.write_row((len(keys), kind, groups.setdefault(changed, len(groups)), *values))
            keys.append(key)
    connection.execute(f"ANALYZE {table}".encode())
    counts = {INSERTED: len(changes.inserted), UPDATED: len(changes.updated), DELETED: len(changes.deleted)}
    return Staged(turned, table, tuple(keys), tuple(groups), counts)


def different(before: str, after: str) -> frozenset[int]:
    """The numbers of the cells that differ."""
    pairs = zip(before.split("|"), after.split("|"), strict=True)
    return frozenset(number for number, (was, now) in enumerate(pairs) if was != now)


def _rows(changes: TableChanges) -> Iterator[tuple[str, str, str, frozenset[int]]]:
    for key, cells in changes.inserted.items():
        yield INSERTED, key, cells, frozenset()
    for key, (before, after) in changes.updated.items():
        yield UPDATED, key, after, different(before, after)
    for key, cells in changes.deleted.items():
        yield DELETED, key, cells, frozenset()


def cell_value(cell: Cell, text: str) -> Value:
    """What to stage for a cell.  Raises ValueError, without the value, for one that its column cannot have held."""
    value, whole = value_of(text)
    storage = cell.value.storage
    if value is None:
        return None
    if storage == REAL and isinstance(value, str) and value in NOT_FINITE:
        return float(value)
    if storage == REAL and isinstance(value, int) and abs(value) <= EXACT:
        return float(value)
    if not isinstance(value, _KINDS[storage]):
        wanted = "NULL alone" if storage == NULL else storage
        raise ValueError(f"it is of another storage class: the source's column takes {wanted}")
    if not whole or (isinstance(value, str) and "\0" in value):
        raise ValueError("PostgreSQL keeps no text with NUL, or that is not UTF-8")
    return value
