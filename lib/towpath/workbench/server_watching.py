"""What the old application writes into a copy of a PostgreSQL database, told as the target would hold it.

Triggers, which stand in copies only, keep every row that changes beside its table, in a schema of our own.  From there
it goes through the same expressions of the fit by which PostgreSQL proves an export: what comes out is the row that
the move would bring.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import psycopg

from towpath.fitting.fitted import Fitted, FittedTable, Part
from towpath.fitting.language import BASE
from towpath.fitting.source import SourceTable
from towpath.fitting.values import literal_kind
from towpath.parity.replay import Watch
from towpath.parity.rows import DELETED, INSERTED, UPDATED, Logged, Row, net
from towpath.postgresql.connection import told
from towpath.postgresql.relations import literal, quoted
from towpath.tables.schema import OWN_PREFIX

SCHEMA = quoted(f"{OWN_PREFIX}parity")
LOG, AT = f"{SCHEMA}.log", quoted(f"{OWN_PREFIX}at")  # AT: the change; negative in a row as it was before it


def statements(fitted: Fitted) -> Iterator[str]:
    """The log, and for each table that goes anywhere the rows that were changed, and the trigger that keeps them."""
    yield f"CREATE SCHEMA {SCHEMA}"
    yield f"CREATE TABLE {LOG} (at bigserial PRIMARY KEY, number integer NOT NULL)"
    for number, table in enumerate(_watched(fitted)):
        names = [quoted(column.name) for column in table.columns]
        kept = f"{SCHEMA}.rows_{number}"
        yield f"CREATE TABLE {kept} AS SELECT 0::bigint AS {AT}, {', '.join(names)} FROM {table.sql} WITH NO DATA"
        yield _function(number, kept, names)
        yield (
            f"CREATE TRIGGER {quoted(f'{OWN_PREFIX}parity')} AFTER INSERT OR UPDATE OR DELETE"
            f" ON {table.sql.removeprefix('ONLY ')} FOR EACH ROW EXECUTE FUNCTION {SCHEMA}.keep_{number}()"
        )


def watch(connection: psycopg.Connection, fitted: Fitted) -> Watch:
    """Tells what was logged since it was last asked; `connection` is one of `postgresql.connection.connect`."""
    tables, seen = list(_watched(fitted)), 0

    def look() -> dict[str, Any]:
        nonlocal seen
        with told("the copy of the database"):
            sql = f"SELECT at, number FROM {LOG} WHERE at > {seen} ORDER BY at"
            found = connection.execute(sql.encode()).fetchall()
            logged = [
                one
                for at, number in found
                for table, part in fitted.parts_of(tables[number].name)
                for one in _logged(connection, table, part, number, at)
            ]
            connection.rollback()  # the next look must see what is written until then
        seen = found[-1][0] if found else seen
        return net(logged)

    return look


def _watched(fitted: Fitted) -> Iterator[SourceTable]:
    yield from (table for table in fitted.source.tables if fitted.parts_of(table.name))


def _function(number: int, kept: str, names: Sequence[str]) -> str:
    into = f"INSERT INTO {kept} ({AT}, {', '.join(names)}) VALUES ("
    new, old = (", ".join((at, *(f"{row}.{name}" for name in names))) for at, row in (("n", "NEW"), ("-n", "OLD")))
    body = (
        f"DECLARE n bigint; BEGIN INSERT INTO {LOG} (number) VALUES ({number}) RETURNING at INTO n;"
        f" IF TG_OP <> 'INSERT' THEN {into}{old}); END IF; IF TG_OP <> 'DELETE' THEN {into}{new}); END IF;"
        " RETURN NULL; END"
    )
    # the application's user need not know our schema
    return (
        f"CREATE FUNCTION {SCHEMA}.keep_{number}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER"
        f" SET search_path = '' AS {literal(body)}"
    )


def _logged(connection: psycopg.Connection, table: FittedTable, part: Part, number: int, at: int) -> Iterator[Logged]:
    """A change in the target's terms: a row may begin, or cease, to be one that moves."""
    was, now = (_row(connection, table, part, f"{SCHEMA}.rows_{number}", signed) for signed in (-at, at))
    if was is not None and now is not None:
        yield Logged(table.table.name, UPDATED, table.table.primary_key, now, was)
    elif (row := now or was) is not None:
        yield Logged(table.table.name, INSERTED if now else DELETED, table.table.primary_key, row)


def _row(connection: psycopg.Connection, table: FittedTable, part: Part, kept: str, at: int) -> Row | None:
    """A row as the target would hold it; None where there is none, or where none of the target comes of it."""
    values = {value.column: value for value in part.values}
    read = replace(part, table=replace(part.table, sql=_read_from(part, kept, at)))
    made = ", ".join(f"({values[name].postgres})::{literal_kind(values[name].storage)}" for name in table.columns)
    sql = f"SELECT {made}{read.postgres_from} WHERE {read.postgres_condition} AND {BASE}.{AT} = {at}"
    cells = connection.execute(sql.encode()).fetchone()
    return None if cells is None else dict(zip(table.columns, map(_cell, cells), strict=True))


def _read_from(part: Part, kept: str, at: int) -> str:
    """The changed row; beside all the others where an expression counts among them."""
    if not part.occurrences:
        return kept
    names = ", ".join(quoted(column.name) for column in part.table.columns)
    same = " AND ".join(f"kept.{quoted(name)} = own.{quoted(name)}" for name in part.table.key) or "FALSE"
    one = f"SELECT 1 FROM {kept} AS kept WHERE kept.{AT} = {at} AND {same}"
    others = f"SELECT {names}, NULL::bigint AS {AT} FROM {part.table.sql} AS own WHERE NOT EXISTS ({one})"
    return f"({others} UNION ALL SELECT {names}, {AT} FROM {kept} WHERE {AT} = {at})"


def _cell(value: Any) -> Any:
    """As the triggers of SQLite tell it: a blob as a literal, and NaN as the text that the target has for it."""
    if isinstance(value, bytes):
        return f"x'{value.hex().upper()}'"
    return "NaN" if isinstance(value, float) and math.isnan(value) else value
