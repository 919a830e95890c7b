"""The statements that change a source: updates, new rows and deletes, in an order that its constraints let pass.

PostgreSQL asks for a unique value after each row and for a reference after each statement, and no order of the steps
suits all rows.  So another one is tried where a constraint stands in the way.
"""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
from psycopg import errors

from towpath.checks import Progress
from towpath.errors import CannotFinish
from towpath.fitting.language import BASE
from towpath.fitting.multiset import delete_equal
from towpath.fitting.staging import DELETED, INSERTED, UPDATED, Staged
from towpath.fitting.turned import STAGED, Turned
from towpath.postgresql.relations import quoted

NOTHING = "nothing was written"
INSERT, UPDATE, DELETE = "insert", "update", "delete"
# A new row may need what an updated or a deleted one still holds; an updated one may name a new one of its own table.
ORDERS = (
    (UPDATE, INSERT, DELETE),
    (DELETE, UPDATE, INSERT),
    (INSERT, UPDATE, DELETE),
    (DELETE, INSERT, UPDATE),
)
IN_THE_WAY = (errors.UniqueViolation, errors.ExclusionViolation, errors.ForeignKeyViolation, errors.RestrictViolation)


def write(connection: psycopg.Connection, staged: Sequence[Staged], report: Progress) -> None:
    """Each step parents first, deletes children first; another order of the steps where one meets a constraint."""
    refused: Exception | None = None
    for order in ORDERS:
        try:
            with connection.transaction():
                _in_order(connection, staged, order)
            break
        except (*IN_THE_WAY, CannotFinish) as error:
            refused = refused or error
    else:
        assert refused is not None
        raise refused
    for one in staged:
        report(len(one.keys))


def _in_order(connection: psycopg.Connection, staged: Sequence[Staged], order: tuple[str, ...]) -> None:
    if order[0] == DELETE:
        _delete(connection, staged)
    for one in staged:
        for step in order:
            if step == UPDATE:
                _update(connection, one)
            elif step == INSERT:
                _insert(connection, one)
    if order[-1] == DELETE:
        _delete(connection, staged)


def _update(connection: psycopg.Connection, one: Staged) -> None:
    try:
        with connection.transaction():
            for number in range(len(one.groups)):
                _update_rows(connection, one, number)
    except (errors.UniqueViolation, errors.ExclusionViolation):
        _update_in_turn(connection, one)


def _update_rows(connection: psycopg.Connection, one: Staged, group: int, row: int | None = None) -> None:
    """Rows that changed in the same cells, all of them or one."""
    turned, table = one.turned, one.turned.part.table
    fills = [fill for fill in turned.fills if fill.cell in one.groups[group]]
    if not fills:
        return  # only cells that follow from others: the proof asks them
    values = ", ".join(f"{quoted(fill.column.name)} = {fill.sql}" for fill in fills)
    which = f"{STAGED}.kind = '{UPDATED}' AND {STAGED}.g = {group}"
    which += "" if row is None else f" AND {STAGED}.n = {row}"
    count = f"SELECT count(*) FROM {one.rows()} WHERE {which}"
    sql = f"UPDATE {table.sql} AS {BASE} SET {values} FROM {one.rows()} WHERE {which} AND {_found(one)}"
    _expect(connection, turned, sql, count)


def _update_in_turn(connection: psycopg.Connection, one: Staged) -> None:
    """Row by row, where rows pass a unique value on: PostgreSQL asks for it after each row, in an order of its own.

    A row that has to wait for another one is tried again, and each round goes the other way, because places that all
    move by one are passed on in the order of the keys, or against it.
    """
    connection.execute(f"CREATE INDEX ON {one.table} (n)".encode())
    rows = f"SELECT n, g FROM {one.table} WHERE kind = '{UPDATED}' ORDER BY n DESC"
    waiting = connection.execute(rows.encode()).fetchall()
    while waiting:
        left: list[tuple[int, int]] = []
        for row, group in waiting:
            try:
                with connection.transaction():
                    _update_rows(connection, one, group, row)
            except (errors.UniqueViolation, errors.ExclusionViolation):
                left.append((row, group))
                if len(left) == len(waiting):
                    raise
        waiting = left[::-1]


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
