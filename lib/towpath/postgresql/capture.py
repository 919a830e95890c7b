"""The rows of a PostgreSQL database as they were at one moment, in a SQLite file whose columns have no type.

PostgreSQL builds each row as a literal tuple of SQLite (`types`); here tuples are joined into INSERT statements, and
SQLite executes them.  Every table's rows are counted three times: by PostgreSQL, on their way, and by SQLite.

What the file says of itself stands in tables whose names begin with `_towpath_`: where the rows came from, the captured
form of each column, and the sequences.
"""

from __future__ import annotations

import os
import queue
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import apsw

from towpath.checks import Progress, silent
from towpath.errors import BadInput, CannotFinish
from towpath.postgresql.catalog import Catalog, Table, quoted
from towpath.postgresql.declared import collisions
from towpath.postgresql.metadata import write_metadata
from towpath.postgresql.reading import End, Reading, together
from towpath.postgresql.rules import RULES
from towpath.postgresql.snapshot import Snapshot

PAGE_BYTES = 16_384
CACHE_KIB = 65_536
LONGEST = 2**31 - 1  # what SQLite's limits are raised to: it takes its own maximum instead


@dataclass(frozen=True, slots=True)
class CapturedTable:
    """One table in the file; `error` says why it is not there, and "" that it is whole."""

    name: str  # in the file
    source: str  # schema.table
    rows: int
    bytes: int  # of its literals
    error: str = ""


@dataclass(frozen=True, slots=True)
class Captured:
    """The file, and what is in it."""

    path: Path
    tables: tuple[CapturedTable, ...]
    catalog_digest: str
    taken_at: str  # ISO 8601, the server's clock

    @property
    def rows(self) -> int:
        """Rows of all tables."""
        return sum(table.rows for table in self.tables)

    @property
    def bytes(self) -> int:
        """Bytes of all literals."""
        return sum(table.bytes for table in self.tables)

    @property
    def failed(self) -> tuple[CapturedTable, ...]:
        """The tables that could not be read; the phase fails if there is one."""
        return tuple(table for table in self.tables if table.error)


def capture(
    snapshot: Snapshot, catalog: Catalog, path: Path, report: Progress = silent, *, readers: int = 1
) -> Captured:
    """Write the rows of every table of `catalog` at the moment of `snapshot` into a new file; `report` counts rows.

    A table that cannot be read is named in the result, and the others are captured.  Raises BadInput when the database
    declares something else than `catalog`, or has names that one file cannot hold apart; CannotFinish when the server
    goes away or the disk is full.  Nothing stays behind then.
    """
    catalog_unchanged(snapshot, catalog)
    if not catalog.moving:
        step = "name the application's real database in source_database"
        raise BadInput("has zero tables of an application, nothing to move", object=catalog.database, next=step)
    _names_apart(catalog)
    readable = [table for table in catalog.moving if table.readable]
    snapshot.hold(readable)
    draft = path.with_name(path.name + ".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.unlink(missing_ok=True)
        with closing(_new_file(draft)) as db:
            tables = _Capture(snapshot, db, report).run(catalog.moving, readers)
            write_metadata(db, snapshot, catalog, [(t.source, t.name, t.rows, t.error) for t in tables])
            db.execute("PRAGMA user_version = 1")
        draft.chmod(0o444)
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.replace(path)
    except (apsw.FullError, apsw.IOError, apsw.CantOpenError, OSError) as error:
        step = "free space for a copy of the database, run again"
        raise CannotFinish(f"the disk is full or cannot be written: {error}", object=path.name, next=step) from None
    finally:
        if path.parent.is_dir():
            draft.unlink(missing_ok=True)
    return Captured(path, tables, catalog.digest, snapshot.taken_at)


def open_capture(path: Path) -> apsw.Connection:
    """Open a captured file read-only."""
    return apsw.Connection(f"{path.resolve().as_uri()}?mode=ro", flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)


def catalog_unchanged(snapshot: Snapshot, catalog: Catalog) -> None:
    """Raises BadInput, naming what changed, when the database declares something else than `catalog`."""
    now = snapshot.read_catalog()
    if now.digest == catalog.digest:
        return
    before = {table.qualified: table for table in catalog.tables}
    after = {table.qualified: table for table in now.tables}
    names = [f"{name} is gone" for name in before if name not in after]
    names += [f"{name} is new" for name in after if name not in before]
    names += [f"{n} was altered" for n, t in after.items() if n in before and _shape(before[n]) != _shape(t)]
    what = ", ".join(sorted(names)[:5]) or "something beside its tables"
    step = "begin again with 01-inventory"
    raise BadInput(f"the schema is not what the inventory saw: {what}", object=catalog.database, next=step)


def _shape(table: Table) -> tuple[object, ...]:
    return table.columns, table.constraints, table.indexes, table.partitions, table.comment


def _names_apart(catalog: Catalog) -> None:
    found = tuple(collisions(catalog))
    if found:
        rule = RULES[found[0].code]
        what = f"{rule.title}: {found[0].message}"
        what += "".join(f"; {other.object}: {other.message}" for other in found[1:10])
        raise BadInput(what, object=found[0].object, code=found[0].code, next=rule.advice)


def _new_file(path: Path) -> apsw.Connection:
    """A file that is thrown away if anything fails, so nothing is spent on its safety while it grows."""
    db = apsw.Connection(str(path), statementcachesize=0)
    for limit in (apsw.SQLITE_LIMIT_SQL_LENGTH, apsw.SQLITE_LIMIT_LENGTH, apsw.SQLITE_LIMIT_COLUMN):
        db.limit(limit, LONGEST)
    for pragma in ("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE"):
        db.execute(f"PRAGMA {pragma}").fetchall()
    db.execute(f"PRAGMA page_size = {PAGE_BYTES}; PRAGMA cache_size = -{CACHE_KIB}").fetchall()
    return db


class _Capture:
    def __init__(self, snapshot: Snapshot, db: apsw.Connection, report: Progress) -> None:
        self.snapshot, self.db, self.report = snapshot, db, report

    def run(self, tables: Sequence[Table], readers: int) -> tuple[CapturedTable, ...]:
        """Read in threads of their own, write in this one."""
        for table in tables:
            self.db.execute(create_sql(table))
        work: queue.SimpleQueue[Table] = queue.SimpleQueue()
        for table in sorted(tables, key=lambda t: -t.estimated_rows):
            work.put(table)
        readings = [Reading(self.snapshot, work) for _ in range(min(readers, len(tables)))]
        ended: dict[str, CapturedTable] = {}
        self.db.execute("BEGIN")
        with together(readings) as items:
            while len(ended) < len(tables):
                item = items.get()
                if isinstance(item, BaseException):
                    raise item
                if isinstance(item, End):
                    ended[item.table.qualified] = self._ended(item)
                else:
                    self.db.execute(item.sql)
                    self.report(item.rows)
        self.db.execute("COMMIT")
        return tuple(ended[table.qualified] for table in tables)

    def _ended(self, end: End) -> CapturedTable:
        table, name = end.table, end.table.flat
        if end.error:
            self.db.execute(f"DROP TABLE {quoted(name)}")
            return CapturedTable(name, table.qualified, 0, 0, end.error)
        rows = next(iter(self.db.execute(f"SELECT count(*) FROM {quoted(name)}")))[0]
        if not rows == end.rows == end.counted:
            raise CannotFinish(
                f"PostgreSQL counts {end.counted:,} rows, sent {end.rows:,}, the file holds {rows:,}",
                object=table.qualified,
                next="run again; if it happens twice, open an issue with this line",
            )
        return CapturedTable(name, table.qualified, rows, end.bytes)


def create_sql(table: Table) -> str:
    """The table in the file: no types, so that SQLite converts nothing; an integer key is the rowid."""
    key = table.primary_key
    if any(table.column(column).array for column in key):
        key = ()  # arrays that differ in their bounds alone are one text
    rowid = key[0] if len(key) == 1 and table.column(key[0]).base in ("int2", "int4", "int8") else None
    parts = [quoted(c.name) + (" INTEGER PRIMARY KEY" if c.name == rowid else "") for c in table.columns]
    if key and rowid is None:
        parts.append(f"PRIMARY KEY ({', '.join(map(quoted, key))})")
    return f"CREATE TABLE {quoted(table.flat)} ({', '.join(parts or ['_towpath_nothing'])})"
