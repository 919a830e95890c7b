"""Rows of the target written into the PostgreSQL database they came from, in one transaction.

Of an updated row only the columns whose cells changed are named, so that what a conversion had no room for stays in
the others.  The source's own constraints and triggers stay on: they are its word on what its rows may be.  Before
the transaction commits, every row that it wrote is made once more through the fit, and must be the target's, cell by
cell; if one is not, nothing was written.  A transaction that is cut leaves the source as it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import psycopg
from psycopg import errors

from towpath.checks import Progress, silent
from towpath.errors import CannotFinish
from towpath.fitting.language import BASE
from towpath.fitting.multiset import delete_equal
from towpath.fitting.staging import DELETED, INSERTED, UPDATED, Staged, stage
from towpath.fitting.turned import STAGED, Turned
from towpath.postgresql.catalog import Catalog
from towpath.postgresql.connection import told
from towpath.postgresql.relations import literal, quoted
from towpath.tables.changes import TableChanges

NAMED = 5
NOTHING = "nothing was written"
DELETE_LAST, DELETE_FIRST = (False, True)


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
        staged = [stage(connection, turned, changes) for turned, changes in changed]
        _write(connection, staged, report)
        for one in staged:
            _prove(connection, one)
        for turned, _ in todo:
            _set_sequences(connection, catalog, turned, sequences)
        connection.commit()
    return sum(changes.count for _, changes in changed)


def _write(connection: psycopg.Connection, staged: Sequence[Staged], report: Progress) -> None:
    """Parents first, deletes last; deletes first where a deleted row still holds what must be unique."""
    for deletes_first in (DELETE_LAST, DELETE_FIRST):
        try:
            with connection.transaction():
                if deletes_first:
                    _delete(connection, staged)
                for one in staged:
                    _update(connection, one)
                    _insert(connection, one)
                if not deletes_first:
                    _delete(connection, staged)
            break
        except (errors.UniqueViolation, errors.ExclusionViolation):
            if deletes_first:
                raise
    for one in staged:
        report(len(one.keys))


def _update(connection: psycopg.Connection, one: Staged) -> None:
    turned, table = one.turned, one.turned.part.table
    for number, cells in enumerate(one.groups):
        fills = [fill for fill in turned.fills if fill.cell in cells]
        if not fills:
            continue  # only cells that follow from others: the proof asks them
        values = ", ".join(f"{quoted(fill.column.name)} = {fill.sql}" for fill in fills)
        which = f"{STAGED}.kind = '{UPDATED}' AND {STAGED}.g = {number}"
        count = f"SELECT count(*) FROM {one.rows()} WHERE {which}"
        sql = f"UPDATE {table.sql} AS {BASE} SET {values} FROM {one.rows()} WHERE {which} AND {_found(one)}"
        _expect(connection, turned, sql, count)


def _insert(connection: psycopg.Connection, one: Staged) -> None:
    if not one.counts[INSERTED]:
        return
    fills, table = one.turned.fills, one.turned.part.table
    which = f"WHERE {STAGED}.kind = '{INSERTED}'"
    into = f"{table.sql.removeprefix('ONLY ')} ({', '.join(quoted(fill.column.name) for fill in fills)})"
    values = ", ".join(fill.sql for fill in fills)
    sql = f"INSERT INTO {into} OVERRIDING SYSTEM VALUE SELECT {values} FROM {one.rows()} {which} ORDER BY {STAGED}.n"
    _expect(connection, one.turned, sql, f"SELECT count(*) FROM {one.rows()} {which}")


def _delete(connection: psycopg.Connection, staged: Sequence[Staged]) -> None:
    for one in reversed(staged):
        if not one.counts[DELETED]:
            continue
        which = f"{STAGED}.kind = '{DELETED}'"
        sql = f"DELETE FROM {one.turned.part.table.sql} AS {BASE} USING {one.rows()} WHERE {which} AND {_found(one)}"
        if not one.turned.key:
            sql = delete_equal(one)
        _expect(connection, one.turned, sql, f"SELECT count(*) FROM {one.rows()} WHERE {which}")


def _found(one: Staged) -> str:
    return f"{one.same_row(BASE)} AND {one.turned.part.postgres_condition}"


def _expect(connection: psycopg.Connection, turned: Turned, sql: str, count: str) -> None:
    row = connection.execute(count.encode()).fetchone()
    done = connection.execute(sql.encode()).rowcount
    if row is None or done != row[0]:
        what = f"{row[0] if row else 0:,} rows of the target are {done:,} rows here; {NOTHING}"
        step = "look for a trigger or a rule of the source that changes other rows than it is told"
        raise CannotFinish(what, object=turned.part.table.name, next=step, code="CU210")


def _prove(connection: psycopg.Connection, one: Staged) -> None:
    """Every row that is there now is the target's, through the fit; tables without a key are proved afterwards."""
    turned, cells = one.turned, one.turned.cells
    if not turned.key:
        return
    names = ", ".join(f"{BASE}.{quoted(fill.column.name)} AS k{number}" for number, fill in enumerate(turned.key))
    values = ", ".join(f"({cell.value.postgres})::{cell.type} AS p{cell.number}" for cell in cells)
    made = f"SELECT {names}, {values}{turned.part.postgres_from} WHERE {turned.part.postgres_condition}"
    on = " AND ".join(f"made.k{number} = {fill.sql}" for number, fill in enumerate(turned.key))
    unlike = ", ".join(f"count(*) FILTER (WHERE made.p{c.number} IS DISTINCT FROM {c.sql})" for c in cells)
    sql = f"SELECT count(*), {unlike} FROM {one.rows()} JOIN ({made}) AS made ON {on}"
    row = connection.execute(f"{sql} WHERE {STAGED}.kind <> '{DELETED}'".encode()).fetchone()
    assert row is not None
    told = [f"{count:,} of {cell.name}" for cell, count in zip(cells, row[1:], strict=True) if count]
    if row[0] != (rows := one.counts[INSERTED] + one.counts[UPDATED]):
        told = [f"{rows:,} rows are {row[0]:,}"]
    if told:
        what = f"cells would come out otherwise than the target has them: {', '.join(told)}; {NOTHING}"
        step = "look at the triggers of the source, and at back and follows in mapping.yaml"
        raise CannotFinish(what, object=turned.name, next=step, code="CU211")


def _set_sequences(
    connection: psycopg.Connection, catalog: Catalog, turned: Turned, sequences: Mapping[str, int]
) -> None:
    """The next number is one that neither side has given out.  It is never set back, and outlives a roll-back."""
    alias = turned.table.table.rowid_alias
    for fill in turned.fills:
        name = f"{turned.part.table.name}.{fill.column.name}"
        owned = next((s for s in catalog.sequences if s.owned_by == name and s.increment > 0), None)
        if owned is None or fill.cell is None or turned.cells[fill.cell].name != alias:
            continue
        own = f"{quoted(owned.schema)}.{quoted(owned.name)}"
        highest = f"SELECT max({quoted(fill.column.name)}) FROM {turned.part.table.sql}"
        top = f"(SELECT greatest({sequences.get(turned.name, 0)}, ({highest})) AS top)"
        behind = "top > own.last_value - CASE WHEN own.is_called THEN 0 ELSE 1 END"
        sql = f"SELECT setval({literal(own)}, top, true) FROM {top} AS wanted, {own} AS own WHERE {behind}"
        connection.execute(sql.encode())


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
