"""Findings over a PostgreSQL database: what it declares, and what D1 cannot hold of its values.

Values are counted by PostgreSQL, one scan for each table; only where something was found are its keys asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import psycopg

from towpath.checks import Finding, Progress, silent
from towpath.errors import TowpathError
from towpath.postgresql.catalog import Catalog, Column, Constraint, Sequence, Table, quoted
from towpath.postgresql.connection import told
from towpath.postgresql.declared import D1_COLUMNS, declared
from towpath.sensitive import NOTHING, Sensitive, digest_of

D1_ROW_BYTES = 2_000_000  # towpath.cloudflare.limits
SAMPLES = 5  # keys named in one finding
_DATES = "NOT ({c} >= '0001-01-01' AND {c} < '10000-01-01')"
_INFINITE = "{c} IN ('Infinity', '-Infinity')"
# numbers stand outside of strings: these are taken out first, but only where a long number is in sight
_LONG_NUMBER = (
    "CASE WHEN {c}::text ~ '[0-9][0-9.]{{15,}}' THEN"
    """ regexp_replace({c}::text, '"([^"\\\\]|\\\\.)*"', '', 'g') ~ '[0-9][0-9.]{{15,}}' ELSE false END"""
)
_JSON_ARRAYS = ("int8[]", "numeric[]", "json[]", "jsonb[]", "composite[]")  # their JSON may hold long numbers
_DIGITS = (
    "CASE WHEN {c}::text ~ '^-?[0-9.]{{16,}}$'"
    " THEN length(trim(LEADING '0' FROM translate({c}::text, '-.', ''))) > 15 ELSE false END"
)
_BOUNDS = "array_dims({c}) !~ '^(\\[1:[0-9]+\\])+$'"
_NULLS = "array_ndims({{c}}) > 1 OR EXISTS (SELECT FROM unnest({{c}}) AS e WHERE {}_typeof(e) = 'null')"
_INNER = f"array_ndims({{c}}) > 1 OR EXISTS (SELECT FROM unnest({{c}}) AS e WHERE {_BOUNDS.format(c='e')})"
_ROWS = "EXISTS (SELECT FROM unnest({c}) AS e WHERE json_populate_record(e, to_json(e))::text <> e::text)"
MEASURES: tuple[tuple[str, tuple[str, ...], str, str], ...] = (  # code, bases, condition, message
    ("PG201", ("float4", "float8", "numeric"), "{c} = 'NaN'", "NaN"),
    ("PG202", ("float4", "float8"), _INFINITE, "infinite numbers"),
    ("PG202", ("numeric",), "{c}::text IN ('Infinity', '-Infinity')", "infinite decimals"),
    ("PG203", ("timestamptz", "timestamp", "date"), _DATES, "dates that are infinite, BC or beyond 9999"),
    ("PG204", ("numeric", "money"), _DIGITS, "values of more than 15 digits"),
    ("PG201", ("float4[]", "float8[]", "numeric[]"), "'NaN' = ANY ({c})", "arrays with NaN"),
    ("PG202", ("float4[]", "float8[]", "numeric[]"), "{c} && '{{Infinity,-Infinity}}'", "arrays with infinite numbers"),
    ("PG206", ("json", "jsonb"), _LONG_NUMBER, "documents with a number of more than 15 digits"),
    ("PG206", _JSON_ARRAYS, _LONG_NUMBER.replace("{c}", "to_json({c})"), "arrays with a number of more than 15 digits"),
    ("PG207", ("int8",), "{c} NOT BETWEEN -9007199254740992 AND 9007199254740992", "integers beyond ±2^53"),
    ("PG212", ("float4", "float8"), "{c}::text = '-0'", "negative zeros"),
    ("PG213", ("json[]",), _NULLS.format("json"), "arrays with a null, or of several dimensions"),
    ("PG213", ("jsonb[]",), _NULLS.format("jsonb"), "arrays with a null, or of several dimensions"),
    ("PG213", ("composite[]",), _ROWS, "arrays of rows that are others when they are read from their JSON"),
)
_LENGTHS = {"text": "octet_length({c})", "varchar": "octet_length({c})", "bytea": "octet_length({c})"}
_LENGTHS |= {"json": "octet_length({c}::text)", "jsonb": "octet_length({c}::text)"}


@dataclass(frozen=True, slots=True)
class _Measure:
    code: str
    object: str
    condition: str
    message: str


def find(
    catalog: Catalog,
    connection: psycopg.Connection,
    report: Progress = silent,
    *,
    columns: int = D1_COLUMNS,
    row_bytes: int = D1_ROW_BYTES,
    sensitive: Sensitive = NOTHING,
) -> list[Finding]:
    """Every finding, declarations first, then values table by table; `report` counts tables.

    A table that cannot be read is the finding PG106.  Findings name keys, never values.  Raises CannotFinish when the
    server goes away.
    """
    out = declared(catalog, columns=columns)
    for table in catalog.moving:
        if table.readable:
            try:
                out += _values(connection, table, row_bytes, sensitive)
            except TowpathError as error:
                if connection.broken or connection.closed:
                    raise
                connection.execute("ROLLBACK TO SAVEPOINT towpath_table")
                out.append(Finding("PG106", table.qualified, 1, error.what))
        report(1)
    for table in catalog.moving:
        for constraint in table.foreign_keys:
            if not (constraint.validated and constraint.enforced) and table.readable:
                out += _orphans(connection, catalog, table, constraint)
    for sequence in catalog.sequences:
        out += _sequence(connection, catalog, sequence)
    return out


def _measures(table: Table, row_bytes: int) -> Iterator[_Measure]:
    for column in table.columns:
        name, value = f"{table.qualified}.{column.name}", quoted(column.name)
        for code, bases, condition, message in MEASURES:
            if column.base in bases:
                yield _Measure(code, name, condition.format(c=value), message)
        if column.array:
            yield _Measure("PG205", name, _BOUNDS.format(c=value), "arrays with bounds of their own")
        if column.base.endswith("[][]"):
            yield _Measure("PG213", name, _INNER.format(c=value), "arrays of arrays with bounds or dimensions")
    lengths = [_length(column) for column in table.columns if column.base in _LENGTHS]
    if lengths:
        condition = f"{' + '.join(lengths)} > {row_bytes}"
        yield _Measure("PG209", table.qualified, condition, f"rows of more than {row_bytes:,} bytes")


def _length(column: Column) -> str:
    return f"coalesce({_LENGTHS[column.base].format(c=quoted(column.name))}, 0)"


def _values(connection: psycopg.Connection, table: Table, row_bytes: int, sensitive: Sensitive) -> Iterator[Finding]:
    measures = list(_measures(table, row_bytes))
    if not measures:
        return
    counts = ", ".join(f"count(*) FILTER (WHERE {measure.condition})" for measure in measures)
    connection.execute("SAVEPOINT towpath_table")
    with told(table.qualified):
        row = connection.execute(f"SELECT {counts} FROM {table.from_sql}".encode()).fetchone() or ()
        for measure, count in zip(measures, row, strict=True):
            if count:
                what = f"{count:,} {measure.message}"
                keys = _keys(connection, table, measure.condition, sensitive)
                yield Finding(measure.code, measure.object, count, what, keys)
    connection.execute("RELEASE SAVEPOINT towpath_table")


def _keys(connection: psycopg.Connection, table: Table, condition: str, sensitive: Sensitive) -> tuple[str, ...]:
    hidden = [sensitive.holds(table.qualified, column) for column in table.primary_key] or [False]
    key = [f"{quoted(column)}::text" for column in table.primary_key] or ["tableoid::regclass || ' row ' || ctid"]
    sql = f"SELECT {', '.join(key)} FROM {table.from_sql} WHERE {condition} LIMIT {SAMPLES}"
    rows = connection.execute(sql.encode())
    return tuple(
        ", ".join(digest_of(part) if secret else part for part, secret in zip(row, hidden, strict=True)) for row in rows
    )


def _orphans(
    connection: psycopg.Connection, catalog: Catalog, table: Table, constraint: Constraint
) -> Iterator[Finding]:
    parent = catalog.table(constraint.parent or "")
    if not parent.readable:
        return
    pairs = zip(constraint.columns, constraint.parent_columns, strict=True)
    same = " AND ".join(f"p.{quoted(theirs)} = c.{quoted(ours)}" for ours, theirs in pairs)
    filled = " AND ".join(f"c.{quoted(ours)} IS NOT NULL" for ours in constraint.columns)
    condition = f"{filled} AND NOT EXISTS (SELECT FROM {parent.from_sql} p WHERE {same})"
    name = f"{table.qualified}.{constraint.name}"
    with told(table.qualified):
        row = connection.execute(f"SELECT count(*) FROM {table.from_sql} c WHERE {condition}".encode()).fetchone()
    if row and row[0]:
        yield Finding(
            "PG208", name, row[0], f"{row[0]:,} rows with a reference to {parent.qualified} that leads nowhere"
        )


def _sequence(connection: psycopg.Connection, catalog: Catalog, sequence: Sequence) -> Iterator[Finding]:
    if sequence.owned_by is None or sequence.next_value is None:
        return
    table = next((t for t in catalog.moving if sequence.owned_by.startswith(f"{t.qualified}.")), None)
    if table is None or not table.readable:
        return
    column = quoted(sequence.owned_by.removeprefix(f"{table.qualified}."))
    extreme = "max" if sequence.increment > 0 else "min"
    with told(table.qualified):
        row = connection.execute(f"SELECT {extreme}({column}) FROM {table.from_sql}".encode()).fetchone()
    if not row or row[0] is None:
        return
    ahead = (sequence.next_value - row[0]) * (1 if sequence.increment > 0 else -1)
    if ahead <= 0:
        yield Finding("PG210", sequence.qualified, 1, f"next is {sequence.next_value}, {table.qualified} has {row[0]}")
    elif ahead > abs(sequence.increment):
        yield Finding("PG211", sequence.qualified, 1, f"next is {sequence.next_value}, {table.qualified} has {row[0]}")
