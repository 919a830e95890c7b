"""What a captured file says of itself, in tables that `towpath.tables.schema.reflect` leaves out (`_towpath_…`)."""

from __future__ import annotations

from collections.abc import Iterable

import apsw

from towpath.postgresql.catalog import Catalog
from towpath.postgresql.reflect import with_sequences
from towpath.postgresql.snapshot import Snapshot
from towpath.postgresql.types import rule_for

_TABLES = """
CREATE TABLE _towpath_source (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE _towpath_table (source TEXT PRIMARY KEY, name TEXT NOT NULL, rows INTEGER NOT NULL, error TEXT NOT NULL);
CREATE TABLE _towpath_column (
  source TEXT NOT NULL, number INTEGER NOT NULL, name TEXT NOT NULL, type TEXT NOT NULL, base TEXT NOT NULL,
  form TEXT NOT NULL, PRIMARY KEY (source, name));
CREATE TABLE _towpath_sequence (
  name TEXT PRIMARY KEY, owned_by TEXT, last_value INTEGER, is_called INTEGER NOT NULL, increment INTEGER NOT NULL,
  cycle INTEGER NOT NULL, next_value INTEGER);
"""


def write_metadata(
    db: apsw.Connection, snapshot: Snapshot, catalog: Catalog, tables: Iterable[tuple[str, str, int, str]]
) -> None:
    """Write it; `tables`: (source, name, rows, error).

    Sequences are read now, after the rows: no snapshot holds them, and they never go back.
    """
    db.execute(_TABLES)
    facts = {
        "database": catalog.database,
        "version": catalog.version,
        "encoding": catalog.encoding,
        "collation": catalog.collation,
        "catalog": catalog.digest,
        "taken_at": snapshot.taken_at,
    }
    with db:
        db.executemany("INSERT INTO _towpath_source VALUES (?, ?)", facts.items())
        db.executemany("INSERT INTO _towpath_table VALUES (?, ?, ?, ?)", tables)
        db.executemany(
            "INSERT INTO _towpath_column VALUES (?, ?, ?, ?, ?, ?)",
            [
                (table.qualified, number, column.name, column.type, column.base, rule_for(column).form)
                for table in catalog.moving
                for number, column in enumerate(table.columns, 1)
            ],
        )
        db.executemany(
            "INSERT INTO _towpath_sequence VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (s.qualified, s.owned_by, s.last_value, s.is_called, s.increment, s.cycle, s.next_value)
                for s in with_sequences(catalog, snapshot.connection).sequences
            ],
        )
