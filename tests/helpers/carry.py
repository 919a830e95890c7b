"""Carry a small SQLite database into a real D1, as the notebooks do, and look at it in a way of its own."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import apsw

from towpath.checks import Comparison, Decision
from towpath.cloudflare.d1 import D1
from towpath.tables import changes, compare, delta, export, load, manifest, snapshot, target
from towpath.tables.schema import Named, Table, quoted

CLAIM = {"system": "test", "environment": "local", "run": "one"}


@dataclass
class Carried:
    """A source that was exported and loaded."""

    source: Path
    folder: Path
    d1: D1
    exporter: export.Exporter
    manifest: manifest.Manifest

    def compare(self) -> Comparison:
        """Every cell of every row, by the product's own comparison."""
        return compare.compare(self.d1, self.manifest, self.exporter.db, self.exporter.relations)

    def cutover(self, folder: Path, decisions: Sequence[Decision] = ()) -> Carried:
        """Apply what changed in the source since, and return the new state."""
        with closing(apsw.Connection(str(self.source), flags=apsw.SQLITE_OPEN_READONLY)) as db:
            path = snapshot.take(db, folder)
        new = export.Exporter(path, decisions)
        found = changes.find_changes(self.manifest, self.exporter, new)
        triggers = [Named(t.name, t.sql, t.table) for t in self.exporter.schema.triggers]
        made = delta.write_delta(new, found, self.manifest, triggers, "plan", {})
        load.load(self.d1, folder, made)
        return Carried(self.source, folder, self.d1, new, made)


def make_source(path: Path, script: str = "") -> apsw.Connection:
    """A new SQLite file; foreign keys are off, as in an application that never asked for them."""
    db = apsw.Connection(str(path))
    db.execute(script)
    return db


def prepare(
    source: Path, folder: Path, decisions: Sequence[Decision] = ()
) -> tuple[export.Exporter, manifest.Manifest]:
    """Snapshot and export."""
    with closing(apsw.Connection(str(source), flags=apsw.SQLITE_OPEN_READONLY)) as db:
        path = snapshot.take(db, folder)
    exporter = export.Exporter(path, decisions)
    return exporter, exporter.export("plan", {})


def table_statements(exporter: export.Exporter) -> list[str]:
    """Tables of the source as they stand, and the virtual tables that are filled."""
    return [relation.table.sql for relation in exporter.relations.values()]


def after_statements(exporter: export.Exporter) -> list[str]:
    """Indexes, views and triggers of the source, as they stand."""
    schema = exporter.schema
    indexes = [i.sql for t in schema.moving for i in t.indexes if i.sql]
    return [*indexes, *(v.sql for v in schema.views), *(t.sql for t in schema.triggers)]


def carry(source: Path, folder: Path, d1: D1, decisions: Sequence[Decision] = ()) -> Carried:
    """Export a source and load it into an empty D1, its own DDL taken as it is."""
    exporter, made = prepare(source, folder, decisions)
    target.apply_migration(d1, "0001_tables.sql", table_statements(exporter), CLAIM)
    load.load(d1, folder, made)
    load.finish(d1, made, after_statements(exporter), exporter.schema.sequences)
    return Carried(source, folder, d1, exporter, made)


def cells_sql(table: Table) -> str:
    """Every cell by type and bytes, one column a cell: a reading that shares nothing with the product's."""
    cells = ", ".join(f"typeof({quoted(c.name)}) || ' ' || hex({quoted(c.name)})" for c in table.columns)
    return f"SELECT {cells} FROM {quoted(table.name)}"


def same_rows(db: apsw.Connection, d1: D1, table: Table) -> bool:
    """True if both sides hold the same multiset of rows."""
    left = sorted(tuple(row) for row in db.execute(cells_sql(table)))
    right = sorted(tuple(row) for row in d1.query(cells_sql(table)).rows)
    return left == right
