"""Unique values that change their row: taken from the old row before another one takes them over.

A row that nothing refers to is deleted, and comes back by its upsert.  Of any other row one column of the index is set
aside for a moment: one that may be NULL, or one that holds no reference; if there is none, a reference, which only a
transaction that defers the foreign keys allows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from towpath.errors import BadInput
from towpath.tables.changes import TableChanges
from towpath.tables.relation import Relation
from towpath.tables.schema import Column, Index, Schema, Table, quoted
from towpath.tables.statements import by_key


@dataclass(frozen=True, slots=True)
class Vacated:
    """What to run before the upserts; `deferred`: only in one transaction with them."""

    statements: list[str]
    deferred: bool


def vacate(schema: Schema, relation: Relation, change: TableChanges) -> Vacated:
    """Take every unique value that another changed row takes over.  Raises BadInput when no column can be set aside."""
    table = relation.table
    referred = referred_columns(schema, table)
    out: list[str] = []
    deferred = False
    for index in table.indexes:
        if not index.unique or (index.origin == "pk" and not relation.carries_rowid):
            continue
        columns = _indexed(index, relation)
        keys = _conflicts(index, relation, columns, change)
        if not keys:
            continue
        if not referred:
            out += [sql for sql, _ in by_key(f"DELETE FROM {quoted(table.name)}", relation, keys)]
            continue
        column, reference = _free_column(table, columns, referred)
        deferred |= reference
        empty = None not in index.columns and not column.notnull  # an expression may make a value of NULL
        spare = "NULL" if empty else _placeholder(column)
        head = f"UPDATE {quoted(table.name)} SET {quoted(column.name)} = {spare}"
        out += [sql for sql, _ in by_key(head, relation, keys)]
    return Vacated(out, deferred)


def referred_columns(schema: Schema, table: Table) -> set[str]:
    """The columns of the table, in lower case, that a foreign key of any table names."""
    return {
        column.lower()
        for other in schema.moving
        for fk in other.foreign_keys
        if fk.parent.lower() == table.name.lower()
        for column in fk.parent_columns
    }


def moves_referred_value(relation: Relation, change: TableChanges, referred: set[str]) -> bool:
    """True if a row changes a value by which others refer to it."""
    places = [n for n, c in enumerate(relation.columns) if c.lower() in referred]
    pairs = ((before.split("|"), after.split("|")) for before, after in change.updated.values())
    return bool(places) and any(before[p] != after[p] for before, after in pairs for p in places)


def _free_column(table: Table, columns: Sequence[str], referred: set[str]) -> tuple[Column, bool]:
    """The column of a unique index that may hold another value for a moment; whether that breaks a reference."""
    references = {column.lower() for fk in table.foreign_keys for column in fk.columns}
    free = [c for c in table.stored if c.name in columns and not c.key and c.name.lower() not in referred]
    nullable = [c for c in free if not c.notnull]
    plain = sorted((c for c in free if c.name.lower() not in references), key=lambda c: c.affinity != "TEXT")
    if found := [*nullable, *plain]:
        return found[0], False
    if free:
        return free[0], True
    raise BadInput(
        f"a unique value moved between rows, and no column of UNIQUE ({', '.join(columns)}) can be set aside",
        object=table.name,
        next="undo that change in the source, or begin again with 03-export",
    )


def _placeholder(column: Column) -> str:
    """SQL that gives each row another value, which no row of an application is likely to hold."""
    if column.affinity in ("TEXT", "BLOB"):
        return "hex(randomblob(16)) || ' vacated'"  # random from the start: an index may take a part of it
    return f"{-(2**62)} - (random() & {2**61 - 1})"  # spread so far that their doubles differ too


def _indexed(index: Index, relation: Relation) -> list[str]:
    """The columns of an index; for one over expressions, every column that its SQL names."""
    names = [c for c in index.columns if c is not None]
    if None in index.columns and index.sql:
        body = index.sql[index.sql.index("(") :]
        names += [c for c in relation.columns if re.search(rf"(?<!\w){re.escape(c)}(?!\w)", body, re.IGNORECASE)]
    return list(dict.fromkeys(names))


def _conflicts(index: Index, relation: Relation, columns: Sequence[str], change: TableChanges) -> list[str]:
    """Keys of rows whose old unique value another changed row may hold now.

    Texts are compared without case and outer spaces, numbers by value: a false alarm only costs one more statement.
    What an expression makes of its columns nobody computes here: every row in which they changed gives its value up.
    """
    places = [relation.columns.index(c) for c in columns if c in relation.columns]
    old = {**change.deleted, **{key: before for key, (before, _) in change.updated.items()}}
    new = {**change.inserted, **{key: after for key, (_, after) in change.updated.items()}}

    def held(cells: str) -> list[str]:
        parts = cells.split("|")
        return [parts[p] for p in places]

    def value(cells: str) -> tuple[object, ...]:
        return tuple(_folded(cell) for cell in held(cells))

    if None in index.columns:
        return [key for key, cells in old.items() if key not in new or held(new[key]) != held(cells)] if new else []
    taken: dict[tuple[object, ...], set[str]] = {}
    for key, cells in new.items():
        taken.setdefault(value(cells), set()).add(key)
    return [key for key, cells in old.items() if None not in value(cells) and taken.get(value(cells), set()) - {key}]


def _folded(cell: str) -> object:
    """A cell as a unique index may compare it; None stands for NULL, which equals nothing."""
    kind, data = cell[0], cell[1:]
    if kind == "n":
        return None
    if kind == "i":
        return int(data)
    if kind == "r":
        return float(data)
    return bytes.fromhex(data).decode("utf-8", "replace").strip().lower() if kind == "t" else cell
