"""Rows of the target written into the PostgreSQL database they came from, in one transaction.

Of an updated row only the columns whose cells changed are named, so that what a conversion had no room for stays in
the others.  The source's own constraints and triggers stay on: they are its word on what its rows may be.  Before
the transaction commits, every row that it wrote is made once more through the fit, and must be the target's, cell by
cell; if one is not, nothing was written.  A transaction that is cut leaves the source as it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

import psycopg
from psycopg import errors

from towpath.checks import Progress, silent
from towpath.errors import CannotFinish
from towpath.fitting.language import BASE
from towpath.fitting.source import INTEGER
from towpath.fitting.staging import DELETED, Staged, stage
from towpath.fitting.turned import STAGED, Turned
from towpath.fitting.writing import NOTHING, write
from towpath.postgresql.catalog import Catalog
from towpath.postgresql.connection import told
from towpath.postgresql.relations import literal, quoted
from towpath.tables.changes import TableChanges

_NEXTVAL = re.compile(r"nextval\('(.+)'::regclass\)")


def carry_back(
    connection: psycopg.Connection,
    catalog: Catalog,
    todo: Sequence[tuple[Turned, TableChanges]],
    sequences: Mapping[str, int],
    report: Progress = silent,
) -> int:
    """Write rows that `looking` has found sound; `report` counts rows.  Returns how many there were.

    `connection`: one of `postgresql.connection.writing`; `sequences`: the last number that the target gave out, by
    target table.  Raises CannotFinish, the source as it was, when it refuses a row (CU210), or would give another row
    back than the target has (CU211).
    """
    changed = [(turned, changes) for turned, changes in _parents_first(catalog, todo) if changes.count]
    with _told(connection.info.dbname):
        tables = sorted({turned.part.table.sql.removeprefix("ONLY ") for turned, _ in changed})
        if tables:  # nobody writes between our look at a row and our commit
            connection.execute(f"LOCK TABLE {', '.join(tables)} IN SHARE ROW EXCLUSIVE MODE".encode())
        connection.execute(b"SET CONSTRAINTS ALL DEFERRED")
        for turned, changes in changed:
            _refuse_written(connection, turned, changes)
        before = _counted(connection, todo) if changed else {}
        staged = [stage(connection, turned, changes) for turned, changes in changed]
        write(connection, staged, report)
        for one in staged:
            _prove(connection, one)
        _refuse_others(before, _counted(connection, todo) if changed else {}, changed)
        for turned, _ in todo:
            _set_sequences(connection, catalog, turned, sequences)
        connection.commit()
    return sum(changes.count for _, changes in changed)


def _refuse_written(connection: psycopg.Connection, turned: Turned, changes: TableChanges) -> None:
    """Nobody may have written to a row since we looked at it: it is still what the last snapshot says."""
    if not turned.key:
        return  # equal rows are deleted by their content
    was = {key: before for key, (before, _) in changes.updated.items()} | changes.deleted
    before = stage(connection, turned, replace(changes, inserted={}, updated={}, deleted=was))
    if told := _unlike(connection, before):
        what = f"somebody wrote to rows of {turned.part.table.name} meanwhile: {', '.join(told)}; {NOTHING}"
        step = "find the writer that ignores the switch, then run the phase again"
        raise CannotFinish(what, object=turned.name, next=step, code="CU201")


def _counted(connection: psycopg.Connection, todo: Sequence[tuple[Turned, TableChanges]]) -> dict[str, int]:
    """How many rows each table has, by its source's name."""
    tables = [turned.part.table for turned, _ in todo]
    counts = ", ".join(f"(SELECT count(*) FROM {table.sql})" for table in tables)
    row = connection.execute(f"SELECT {counts}".encode()).fetchone()
    assert row is not None
    return dict(zip((table.name for table in tables), map(int, row), strict=True))


def _refuse_others(
    before: Mapping[str, int], after: Mapping[str, int], changed: Sequence[tuple[Turned, TableChanges]]
) -> None:
    """No row but ours came or went: a cascade or a trigger of the source may reach rows that the target still has."""
    ours = {turned.part.table.name: len(c.inserted) - len(c.deleted) for turned, c in changed}
    for name, count in after.items():
        if (other := count - before[name] - ours.get(name, 0)) != 0:
            what = f"{abs(other):,} rows of {name} would {'come' if other > 0 else 'go'} beside ours; {NOTHING}"
            step = "look at ON DELETE CASCADE and the triggers of the source: the target has these rows otherwise"
            raise CannotFinish(what, object=name, next=step, code="CU211")


def _prove(connection: psycopg.Connection, one: Staged) -> None:
    """Every row that is there now is the target's, through the fit; tables without a key are proved afterwards."""
    if one.turned.key and (told := _unlike(connection, one, f" WHERE {STAGED}.kind <> '{DELETED}'")):
        what = f"cells would come out otherwise than the target has them: {', '.join(told)}; {NOTHING}"
        step = "look at the triggers of the source, and at back and follows in mapping.yaml"
        raise CannotFinish(what, object=one.turned.name, next=step, code="CU211")


def _unlike(connection: psycopg.Connection, one: Staged, which: str = "") -> list[str]:
    """Staged rows that the source's own are not, through the fit: told by column, or by how many there are."""
    turned, cells = one.turned, one.turned.cells
    names = ", ".join(f"{BASE}.{quoted(fill.column.name)} AS k{number}" for number, fill in enumerate(turned.key))
    values = ", ".join(f"({cell.value.postgres})::{cell.type} AS p{cell.number}" for cell in cells)
    made = f"SELECT {names}, {values}{turned.part.postgres_from} WHERE {turned.part.postgres_condition}"
    on = " AND ".join(f"made.k{number} = {fill.sql}" for number, fill in enumerate(turned.key))
    unlike = ", ".join(f"count(*) FILTER (WHERE made.p{c.number} IS DISTINCT FROM {c.sql})" for c in cells)
    sql = f"SELECT count(*), {unlike} FROM {one.rows()} JOIN ({made}) AS made ON {on}{which}"
    row = connection.execute(sql.encode()).fetchone()
    wanted = connection.execute(f"SELECT count(*) FROM {one.rows()}{which}".encode()).fetchone()
    assert row is not None
    assert wanted is not None
    if row[0] != wanted[0]:
        return [f"{wanted[0]:,} rows are {row[0]:,}"]
    return [f"{count:,} of {cell.name}" for cell, count in zip(cells, row[1:], strict=True) if count]


def _set_sequences(
    connection: psycopg.Connection, catalog: Catalog, turned: Turned, sequences: Mapping[str, int]
) -> None:
    """The next number is one that neither side has given out.  It is never set back, and outlives a roll-back."""
    alias, table = turned.table.table.rowid_alias, turned.part.table
    for fill in turned.fills:
        if fill.cell is None or fill.column.kind != INTEGER:
            continue
        given_out = sequences.get(turned.name, 0) if turned.cells[fill.cell].name == alias else 0
        for own in _sequences_of(catalog, table.name, fill.column.name):
            highest = f"SELECT max({quoted(fill.column.name)}) FROM {table.sql}"
            top = f"(SELECT greatest({given_out}, ({highest})) AS top)"
            behind = "top > own.last_value - CASE WHEN own.is_called THEN 0 ELSE 1 END"
            sql = f"SELECT setval({literal(own)}, top, true) FROM {top} AS wanted, {own} AS own WHERE {behind}"
            connection.execute(sql.encode())


def _sequences_of(catalog: Catalog, table: str, column: str) -> Iterator[str]:
    """The sequences, as SQL, that give the column its numbers: its own, and the one that its DEFAULT asks."""
    default = next(c.default for c in catalog.table(table).columns if c.name == column) or ""
    asked = _NEXTVAL.fullmatch(default)
    name = asked[1].replace("''", "'").replace('"', "") if asked is not None else ""
    for one in catalog.sequences:
        if one.increment > 0 and (one.owned_by == f"{table}.{column}" or one.qualified == name):
            yield f"{quoted(one.schema)}.{quoted(one.name)}"


def _parents_first(
    catalog: Catalog, todo: Sequence[tuple[Turned, TableChanges]]
) -> Iterator[tuple[Turned, TableChanges]]:
    """The order in which rows may be written; within a circle of references as it comes."""
    by_source = {turned.part.table.name: (turned, changes) for turned, changes in todo}
    done: set[str] = set()

    def visit(name: str) -> Iterator[tuple[Turned, TableChanges]]:
        if name in done:
            return
        done.add(name)
        for key in catalog.table(name).foreign_keys:
            if key.parent in by_source:
                yield from visit(key.parent)
        yield by_source[name]

    for name in by_source:
        yield from visit(name)


@contextmanager
def _told(object: str) -> Iterator[None]:
    """Say in one line, without values, why the source did not take the rows."""
    with told(object):
        try:
            yield
        except (psycopg.IntegrityError, psycopg.DataError, errors.RaiseException) as error:
            named = error.diag.constraint_name or error.diag.column_name or type(error).__name__
            what = f"{error.diag.table_name or 'a table'} refuses a row by {named}; {NOTHING}"
            step = "look which row of the target breaks it: the target has no such constraint, or the source a trigger"
            raise CannotFinish(what, object=object, next=step, code="CU210") from None
        except errors.InsufficientPrivilege as error:
            what = f"{(error.diag.message_primary or 'permission denied')}; {NOTHING}"
            step = "GRANT INSERT, UPDATE and DELETE on the tables, and UPDATE on the sequences, to this user"
            raise CannotFinish(what, object=object, next=step, code="CU210") from None
        except errors.SerializationFailure:
            what = f"somebody wrote to the source meanwhile; {NOTHING}"
            step = "find the writer that ignores the switch, then run the phase again"
            raise CannotFinish(what, object=object, next=step, code="CU201") from None
