"""Rows of the target carried back into the SQLite file they came from, in one transaction.

Only what was written on the target changes: of an updated row the cells that differ, so that a value which a decision
had emptied on the way there stays in the file.  Triggers rest and foreign keys are not asked meanwhile, because the
rows have been through the target's own; afterwards the new state is proved against the target, cell by cell.
A transaction that is cut leaves the file as it was, and the same call does it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

import apsw

from towpath.checks import Progress, silent
from towpath.cloudflare.d1 import D1
from towpath.errors import CannotFinish
from towpath.tables import opened
from towpath.tables.changes import TableChanges
from towpath.tables.encode import target_columns
from towpath.tables.export import Exporter
from towpath.tables.keys import key_expression
from towpath.tables.load import sequence_statements
from towpath.tables.relation import ROWID_NAMES, Relation
from towpath.tables.schema import Schema, quoted
from towpath.tables.statements import by_key
from towpath.tables.virtual import after_statements

BUSY_MILLISECONDS = 5_000
WRITER = "find the writer that ignores the switch, then run the phase again"
Value = None | int | float | str | bytes


def carry_back(
    source: Path,
    now: Exporter,
    written: Mapping[str, TableChanges],
    sequences: Mapping[str, int],
    report: Progress = silent,
    *,
    unwritten: Callable[[], bool] | None = None,
) -> int:
    """Write the rows of `written` into the source; `report` counts rows.  Returns how many there were.

    `now` is a snapshot of the source as it is; `sequences` are the target's.  `unwritten` is asked once nobody else can
    write: whether the source is still what `now` says.  Raises CannotFinish, the file as it was, when it is not, when
    somebody else holds it, the disk is full, or a row does not fit.
    """
    changed = [change for change in written.values() if change.count]
    with closing(apsw.Connection(str(source), flags=apsw.SQLITE_OPEN_READWRITE)) as db:
        db.set_busy_timeout(BUSY_MILLISECONDS)
        db.execute("PRAGMA foreign_keys = off")
        try:
            db.execute("BEGIN IMMEDIATE")
            if unwritten is not None and not unwritten():
                what, step = "somebody wrote to the source meanwhile; nothing was written", WRITER
                raise CannotFinish(what, object=source.name, next=step, code="CU201")
            _write(db, now, changed, sequences, report)
            db.execute("COMMIT")
        except apsw.Error as error:
            if db.in_transaction:
                db.execute("ROLLBACK")
            step = "stop whatever uses the file, or free disk space, then run the phase again; nothing was written"
            if isinstance(error, apsw.ConstraintError):
                step = "look which row of the target the source's own constraints refuse; nothing was written"
            raise CannotFinish(f"the rows could not be carried back: {error}", object=source.name, next=step) from error
    return sum(change.count for change in changed)


def target_sequences(d1: D1, schema: Schema) -> dict[str, int]:
    """The last id given out on the target, for each table with AUTOINCREMENT: also one that was empty when it left."""
    if not (wanted := {table.name for table in schema.tables if table.autoincrement}):
        return {}
    rows = d1.query("SELECT name, CAST(seq AS TEXT) FROM sqlite_sequence").rows
    return {str(name): int(seq) for name, seq in rows if name in wanted}


def _write(
    db: apsw.Connection, now: Exporter, changed: list[TableChanges], sequences: Mapping[str, int], report: Progress
) -> None:
    touched = {change.entry.name.lower() for change in changed}
    resting = [trigger for trigger in now.schema.triggers if trigger.table.lower() in touched]
    for trigger in resting:
        db.execute(f"DROP TRIGGER {quoted(trigger.name)}")
    # all that changes goes first: a unique value may have moved from one row to another
    for change in changed:
        relation = _relation(now, change)
        for sql, _ in by_key(f"DELETE FROM {quoted(relation.name)}", relation, [*change.deleted, *change.updated]):
            db.execute(sql)
        report(len(change.deleted))
    for change in changed:
        for columns, cells in _rows(now, change):
            _insert(db, _relation(now, change), columns, cells)
        report(len(change.inserted) + len(change.updated))
    if touched:
        for table in now.schema.tables:
            for sql in after_statements(table) if table.kind == "virtual" else ():
                db.execute(sql)
    ahead = {name: last for name, last in sequences.items() if last > now.schema.sequences.get(name, 0)}
    for sql in sequence_statements(ahead):
        db.execute(sql)
    for trigger in resting:
        db.execute(trigger.sql)


def _insert(db: apsw.Connection, relation: Relation, columns: tuple[str, ...], cells: list[str]) -> None:
    places, values = [], []
    for cell in cells:
        value, exact = value_of(cell)
        values.append(value)
        places.append("?" if exact else "CAST(? AS TEXT)")
    db.execute(f"INSERT INTO {quoted(relation.name)} ({', '.join(columns)}) VALUES ({', '.join(places)})", values)


def _relation(now: Exporter, change: TableChanges) -> Relation:
    """The rows as the export named them."""
    return now.relations[change.entry.name].paged_as(change.entry.key, change.entry.carries_rowid)


def _rows(now: Exporter, change: TableChanges) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """The rows to insert: their columns, quoted, and their cells."""
    relation = _relation(now, change)
    columns = target_columns(relation)
    # those that keep their rowid come first: a new row would take the one that is free for the moment
    own, rowid = _own(now, relation, change), _spare_rowid(relation)
    for key, (before, after) in change.updated.items():
        held, number = own[key]
        pairs = zip(held, before.split("|"), after.split("|"), strict=True)
        merged = [mine if was == new else new for mine, was, new in pairs]
        if rowid:
            yield (rowid, *columns), [number, *merged]
        else:
            yield columns, [*_rowid(relation, key), *merged]
    for key, cells in change.inserted.items():
        yield columns, [*_rowid(relation, key), *cells.split("|")]


def _rowid(relation: Relation, key: str) -> list[str]:
    return [f"i{bytes.fromhex(key).decode('ascii')}"] if relation.carries_rowid else []


def _spare_rowid(relation: Relation) -> str:
    """A name of the rowid, which a row keeps although it is written anew; "" where it is the key, or there is none."""
    table = relation.table
    if relation.carries_rowid or table.kind == "virtual" or table.without_rowid or table.rowid_alias:
        return ""
    taken = {column.name.lower() for column in table.columns}
    return next((name for name in ROWID_NAMES if name not in taken), "")


def _own(now: Exporter, relation: Relation, change: TableChanges) -> dict[str, tuple[list[str], str]]:
    """The source's own cells of the updated rows, no decision laid over, and their rowid as a cell."""
    plain = relation.arriving()
    rowid = _spare_rowid(relation)
    number = f"'i' || {quoted(relation.name)}.{rowid}" if rowid else "''"
    cells = opened.joined(plain.value(column) for column in plain.columns)
    head = f"SELECT {key_expression(plain)}, {number}, {cells} FROM {quoted(relation.name)}"
    return {
        key: (text.split("|"), row)
        for sql, _ in by_key(head, plain, list(change.updated))
        for key, row, text in now.db.execute(sql)
    }


def value_of(cell: str) -> tuple[Value, bool]:
    """A cell as `towpath.tables.opened` writes it, as a value to bind; False: bytes that must be cast to text."""
    kind, data = cell[0], cell[1:]
    if kind == "n":
        return None, True
    if kind == "i":
        return int(data), True
    if kind == "r":
        return float(data), True
    raw = bytes.fromhex(data)
    if kind == "b":
        return raw, True
    try:
        return raw.decode("utf-8"), True
    except UnicodeDecodeError:
        return raw, False
