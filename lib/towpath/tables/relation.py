"""What of a table moves: its columns, the key it is paged by, and the decisions laid over its rows.

A relation is the one description of "the rows that must arrive".  The encoder, the canonical text and the opened page
all read through it, on the source with the decisions of mapping.yaml (rows parked, references set to NULL), on the
target without.  The source itself is never changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import apsw

from towpath.checks import Decision, decide
from towpath.errors import BadInput
from towpath.tables.schema import ForeignKey, Schema, Table, quoted

ORPHAN = "TB203"  # the rule whose decisions change rows: `null` empties the reference, `park` keeps the row back
ROWID_NAMES = ("rowid", "_rowid_", "oid")


@dataclass(frozen=True, slots=True)
class Relation:
    """The rows of one table that move, as SQL over that table alone."""

    table: Table
    key: tuple[str, ...]  # SQL names of the key columns, quoted
    carries_rowid: bool  # no usable primary key: the rowid travels so that pages can be named by it
    emptied: dict[str, str] = field(default_factory=dict)  # column -> condition under which it becomes NULL
    parked: str = ""  # condition under which a row stays behind; "" if none does

    @property
    def name(self) -> str:
        """The table's name."""
        return self.table.name

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns that move, in table order."""
        return tuple(column.name for column in self.table.stored)

    def value(self, column: str) -> str:
        """The SQL expression of the column's value as it must arrive."""
        plain = f"{quoted(self.name)}.{quoted(column)}"
        condition = self.emptied.get(column)
        return f"CASE WHEN {condition} THEN NULL ELSE {plain} END" if condition else plain

    def where(self, low: str | None = None, high: str | None = None) -> str:
        """WHERE clause for the rows with low < key <= high (SQL literals; None leaves that end open)."""
        key = self.key_sql
        parts = [f"{key} > {low}"] if low is not None else []
        parts += [f"{key} <= {high}"] if high is not None else []
        parts += [f"NOT ({self.parked})"] if self.parked else []
        return f" WHERE {' AND '.join(parts)}" if parts else ""

    @property
    def key_sql(self) -> str:
        """The key as SQL: one column, or a row value."""
        names = [f"{quoted(self.name)}.{part}" for part in self.key]
        return names[0] if len(names) == 1 else f"({', '.join(names)})"

    @property
    def order(self) -> str:
        """ORDER BY clause that follows the key."""
        return " ORDER BY " + ", ".join(f"{quoted(self.name)}.{part}" for part in self.key)

    def arriving(self) -> Relation:
        """The same rows as the target holds them: no decisions laid over."""
        return Relation(self.table, self.key, self.carries_rowid)


def relations(db: apsw.Connection, schema: Schema, decisions: Sequence[Decision] = ()) -> dict[str, Relation]:
    """The relation of every moving table, by table name.

    `db` is asked whether a primary key holds NULLs (SQLite allows them outside INTEGER PRIMARY KEY and WITHOUT ROWID);
    such a table is paged by its rowid.  Raises BadInput when a table has neither.
    """
    overlay = _Overlay(schema, decisions)
    out = {}
    for table in schema.moving:
        key, carries = _key(db, table)
        out[table.name] = Relation(table, key, carries, overlay.emptied(table), overlay.parked(table))
    return out


def _key(db: apsw.Connection, table: Table) -> tuple[tuple[str, ...], bool]:
    columns = table.primary_key
    if columns and (table.without_rowid or table.rowid_alias or not _has_null(db, table, columns)):
        return tuple(quoted(c) for c in columns), False
    taken = {column.name.lower() for column in table.columns}
    free = [name for name in ROWID_NAMES if name not in taken]
    if not free:
        raise BadInput(
            "the table has no usable key: no primary key without NULLs, and columns hide every name of the rowid",
            object=table.name,
            next="rename one of its columns rowid, _rowid_, oid in the source, or give it a primary key",
        )
    return (free[0],), True


def _has_null(db: apsw.Connection, table: Table, columns: Iterable[str]) -> bool:
    condition = " OR ".join(f"{quoted(c)} IS NULL" for c in columns)
    return bool(db.execute(f"SELECT EXISTS (SELECT 1 FROM {quoted(table.name)} WHERE {condition})").get)


class _Overlay:
    """Turns the decisions about orphans into SQL conditions."""

    def __init__(self, schema: Schema, decisions: Sequence[Decision]) -> None:
        self.schema = schema
        self.decisions = decisions

    def emptied(self, table: Table) -> dict[str, str]:
        out: dict[str, str] = {}
        nullable = {c.name for c in table.stored if not c.notnull and not c.key}
        for fk in table.foreign_keys:
            if self._decided(table, fk) == "null":
                condition = self._orphan(table, fk, ())
                for column in fk.columns:
                    if column in nullable:
                        out[column] = f"({out[column]}) OR ({condition})" if column in out else condition
        return out

    def parked(self, table: Table, seen: tuple[str, ...] = ()) -> str:
        """Rows that stay behind, parents that stay behind themselves counted as missing."""
        if table.name in seen:
            return ""
        conditions = [
            self._orphan(table, fk, (*seen, table.name))
            for fk in table.foreign_keys
            if self._decided(table, fk) == "park"
        ]
        return " OR ".join(f"({c})" for c in conditions)

    def _decided(self, table: Table, fk: ForeignKey) -> str:
        decision = decide(ORPHAN, f"{table.name}.{'+'.join(fk.columns)}", self.decisions)
        return decision.do if decision else ""

    def _orphan(self, table: Table, fk: ForeignKey, seen: tuple[str, ...]) -> str:
        child = [f"{quoted(table.name)}.{quoted(c)}" for c in fk.columns]
        present = " AND ".join(f"{c} IS NOT NULL" for c in child)
        try:
            parent = self.schema.table(fk.parent)
        except KeyError:
            return present  # the parent table itself is missing: every reference is an orphan
        # the inner name differs from the table's own, so that self references compare two rows
        inner = quoted(f"parent of {table.name}")
        match = " AND ".join(f"{inner}.{quoted(p)} = {c}" for p, c in zip(fk.parent_columns, child, strict=True))
        behind = self.parked(parent, seen)
        stays = f" AND NOT ({behind.replace(quoted(parent.name) + '.', inner + '.')})" if behind else ""
        return f"{present} AND NOT EXISTS (SELECT 1 FROM {quoted(parent.name)} AS {inner} WHERE {match}{stays})"
