"""Rows whose foreign key names a parent that is not there.

SQLite enforces foreign keys only where an application asks for it, D1 always.  Compared as SQLite would enforce it: a
reference with a NULL in it is none (MATCH SIMPLE), the parent's collation and affinity decide
(sqlite.org/foreignkeys.html §4.3; the unary plus takes the child's own affinity away).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import apsw

from towpath.checks import Progress, silent
from towpath.tables.samples import SAMPLES, ask, codec, key_hidden, key_names, key_parts, readable
from towpath.tables.schema import ForeignKey, Schema, Table, quoted

SOUND, NO_TABLE, NO_KEY = "", "no parent table", "no parent key"


@dataclass(frozen=True, slots=True)
class Orphans:
    """One foreign key and the rows that break it."""

    table: str
    columns: tuple[str, ...]
    parent: str
    count: int
    keys: tuple[str, ...]  # up to five
    problem: str  # "", `no parent table`, `no parent key`: SQLite says "foreign key mismatch"

    @property
    def object(self) -> str:
        """The name under which findings and decisions speak of it."""
        return f"{self.table}.{'+'.join(self.columns)}"


Behind = Callable[[str, str], str]  # table, alias -> the condition under which a row of it does not move


def nobody(name: str, alias: str) -> str:  # noqa: ARG001
    """Every row moves."""
    return ""


def orphans(
    db: apsw.Connection, schema: Schema, report: Progress = silent, behind: Behind = nobody
) -> tuple[Orphans, ...]:
    """Check every foreign key of the moving tables; one without orphans is told with count 0.  `report` counts keys.

    A parent that stays `behind` counts as missing.
    """
    out = []
    for table in schema.moving:
        for fk in table.foreign_keys:
            out.append(_check(db, schema, table, fk, behind))
            report(1)
    return tuple(out)


def problem(schema: Schema, fk: ForeignKey) -> str:
    """What is wrong with the declaration of a foreign key, whatever the rows are."""
    try:
        parent = schema.table(fk.parent)
    except KeyError:
        return NO_TABLE
    if parent.kind != "table":
        return NO_TABLE
    known = {column.name.lower() for column in parent.columns}
    wanted = tuple(name.lower() for name in fk.parent_columns)
    if len(wanted) != len(fk.columns) or not set(wanted) <= known:
        return NO_KEY
    if tuple(sorted(wanted)) == tuple(sorted(name.lower() for name in parent.primary_key)):
        return SOUND
    keys = [index.columns for index in parent.indexes if index.unique and not index.partial]
    return SOUND if any(sorted(str(name).lower() for name in key) == sorted(wanted) for key in keys) else NO_KEY


def needed(schema: Schema) -> frozenset[str]:
    """The names of the unique indexes, made by CREATE INDEX, that foreign keys refer to.

    Where the target checks references from the first row, these must be there before any row.
    """
    out: set[str] = set()
    for table in schema.moving:
        for fk in table.foreign_keys:
            if problem(schema, fk) == SOUND:
                wanted = sorted(name.lower() for name in fk.parent_columns)
                keys = (i for i in schema.table(fk.parent).indexes if i.sql and i.unique and not i.partial)
                out |= {i.name for i in keys if sorted(str(name).lower() for name in i.columns) == wanted}
    return frozenset(out)


def _check(db: apsw.Connection, schema: Schema, table: Table, fk: ForeignKey, behind: Behind) -> Orphans:
    wrong = problem(schema, fk)
    for collation in ("", " COLLATE BINARY"):
        source, condition = _missing(schema, table, fk, wrong, collation, behind)
        try:
            count = int(ask(db, f"SELECT count(*) FROM {source} WHERE {condition}"))
            break
        except apsw.SQLError:  # a collation that only the application has: rule TB110 asks for another
            if collation:
                raise
    keys: tuple[str, ...] = ()
    if count:
        parts = key_parts([f"child.{name}" for name in key_names(table)])
        sample = db.execute(f"SELECT {parts} FROM {source} WHERE {condition} LIMIT {SAMPLES}")
        keys = tuple(readable(row, codec(db), key_hidden(table)) for row in sample)
    return Orphans(table.name, fk.columns, fk.parent, count, keys, wrong)


def _missing(
    schema: Schema, table: Table, fk: ForeignKey, wrong: str, collation: str, behind: Behind
) -> tuple[str, str]:
    """FROM and WHERE of the child rows whose parent is missing."""
    child = [f"child.{quoted(name)}" for name in fk.columns]
    present = " AND ".join(f"typeof({name}) <> 'null'" for name in child)
    source = f"{quoted(table.name)} AS child"
    if wrong == NO_TABLE or len(fk.parent_columns) != len(fk.columns):
        return source, present
    parent = schema.table(fk.parent)
    known = {column.name.lower() for column in parent.columns}
    if any(name.lower() not in known for name in fk.parent_columns):
        return source, present
    pairs = zip(fk.parent_columns, child, strict=True)
    match = " AND ".join(f"parent.{quoted(name)}{collation} = +{value}" for name, value in pairs)
    if stays := behind(parent.name, "parent"):
        match += f" AND NOT ({stays})"
    # a left join: where the parent has no index, SQLite builds one for the query
    join = f"{source} LEFT JOIN {quoted(parent.name)} AS parent ON {match}"
    return join, f"{present} AND typeof(parent.{quoted(fk.parent_columns[0])}) = 'null'"
