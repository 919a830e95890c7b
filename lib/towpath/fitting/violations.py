"""Rows that the target would refuse, found before anything is loaded: all of them, named by keys of the source.

The rows are shaped once into a copy of the target without its constraints: the same columns, declared types and
collations, so that SQLite, the engine that will enforce the constraints, holds the values as the target would.  Then
each constraint is a query.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import apsw

from towpath.checks import Finding, Progress, silent
from towpath.fitting.conversions import INTEGER
from towpath.fitting.fitted import Fitted, FittedTable
from towpath.fitting.losses import opened
from towpath.fitting.rules import SAMPLES
from towpath.tables.clauses import Clause, index_expressions, parse_table
from towpath.tables.ddl import Token, split_list, written
from towpath.tables.ddl import closing as closing_sign
from towpath.tables.schema import Column, ForeignKey, Index, Schema, Table, quoted

FROM = "towpath:from"  # the column that names the source row
PROBE = "towpath_probe"


def violations(
    capture: Path, target: Schema, fitted: Fitted, workspace: Path | None = None, report: Progress = silent
) -> tuple[Finding, ...]:
    """Every constraint of the target that rows would break; `report` counts rows.

    `workspace`: a folder for the copy, which is as large as the shaped file and is removed; the system's own if None.
    """
    fitted.require_sound()
    findings: list[Finding] = []
    with (
        tempfile.TemporaryDirectory(prefix="towpath-fit-", dir=workspace) as folder,
        closing(opened(capture, str(Path(folder) / "copy.sqlite"))) as db,
    ):
        for pragma in ("main.journal_mode = OFF", "main.synchronous = OFF", "cache_size = -65536"):
            db.execute(f"PRAGMA {pragma}").fetchall()
        collations = _collations(target)
        for table in fitted.tables:
            db.execute(_bare(table.table, collations[table.table.name]))
            report(_fill(db, table))
        for table in fitted.tables:
            if table.parts:
                findings += _table(db, target, table, collations)
    return tuple(findings)


def _collations(target: Schema) -> dict[str, dict[str, str]]:
    """The collation of every column, as SQLite itself says it."""
    out: dict[str, dict[str, str]] = {}
    with closing(apsw.Connection(":memory:")) as db:
        for table in target.moving:
            db.execute(table.sql)
            out[table.name] = {c.name: db.column_metadata("main", table.name, c.name)[1] for c in table.columns}
    return out


def _bare(table: Table, collations: dict[str, str]) -> str:
    """The table without constraints.  Columns of a STRICT table take any value, with the affinity of their type."""
    parsed = parse_table(table.sql, len(table.columns))
    lines = []
    for column, clauses in zip(table.columns, parsed.columns, strict=True):
        declared = "" if table.strict and column.declared.upper() == "ANY" else column.declared
        made = [c for c in clauses.clauses if c.kind == "generated"] if column.generated else []
        parts = [
            quoted(column.name),
            declared,
            f"COLLATE {collations[column.name]}",
            *(written(c.tokens) for c in made),
        ]
        lines.append(" ".join(part for part in parts if part))
    return f"CREATE TABLE main.{quoted(table.name)} ({', '.join(lines)}, {quoted(FROM)})"


def _fill(db: apsw.Connection, table: FittedTable) -> int:
    name, before = quoted(table.table.name), db.total_changes()
    for part in table.parts:
        columns = ", ".join([*(quoted(value.column) for value in part.values), quoted(FROM)])
        key = part.key if len(table.parts) == 1 else f"'{part.table.name} ' || {part.key}"
        cells = ", ".join([*(value.sqlite for value in part.values), key])
        db.execute(f"INSERT INTO main.{name} ({columns}) SELECT {cells}{part.sqlite_from} WHERE {part.condition}")
    return db.total_changes() - before


def _table(
    db: apsw.Connection, target: Schema, table: FittedTable, collations: dict[str, dict[str, str]]
) -> Iterator[Finding]:
    of = table.table
    for column in of.columns:
        if column.notnull or column.key:
            where = f"{quoted(column.name)} IS NULL"
            yield from _found(db, of, "FT301", f"{of.name}.{column.name}", where, "rows have no value")
    if of.strict:
        for column in of.stored:
            yield from _strict(db, of, column)
    for column in of.stored:
        if any(value.watched for part in table.parts for value in part.values if value.column == column.name):
            yield from _changed(db, table, column)
    for index in of.indexes:
        if index.unique:
            yield from _unique(db, of, index)
    if of.rowid_alias is not None:
        key = quoted(of.rowid_alias)
        yield from _repeated(db, of, f"{of.name}.{of.rowid_alias}", [key], f"{key} IS NOT NULL")
    for clause in _checks(of):
        expression = written(clause)
        where = f"NOT ({expression})"
        yield from _found(db, of, "FT303", of.name, where, f"rows break CHECK ({expression})")
    for fk in of.foreign_keys:
        yield from _orphans(db, target, of, fk, collations)


def _found(db: apsw.Connection, table: Table, code: str, name: str, where: str, what: str) -> Iterator[Finding]:
    rest = f"FROM main.{quoted(table.name)} WHERE {where}"
    count = int(db.execute(f"SELECT count(*) {rest}").get)
    if count:
        keys = db.execute(f"SELECT {quoted(FROM)} {rest} LIMIT {SAMPLES}")
        yield Finding(code, name, count, f"{count:,} {what}", tuple(str(key) for (key,) in keys))


def _strict(db: apsw.Connection, table: Table, column: Column) -> Iterator[Finding]:
    declared = {"INT": INTEGER}.get(column.declared.upper(), column.declared.upper())
    if declared == "ANY":
        return
    fine = {declared.lower(), "null"}
    kinds = ", ".join(f"'{kind}'" for kind in sorted(fine))
    where = f"typeof({quoted(column.name)}) NOT IN ({kinds})"
    yield from _found(db, table, "FT305", f"{table.name}.{column.name}", where, f"values are not {declared}")


def _changed(db: apsw.Connection, table: FittedTable, column: Column) -> Iterator[Finding]:
    """Values that the column's affinity turned into another storage class."""
    declared = f"{quoted(column.name)} {column.declared}"
    for part in table.parts:
        value = next(v for v in part.values if v.column == column.name)
        if not value.watched:
            continue
        db.execute(f"DROP TABLE IF EXISTS temp.{PROBE}")
        db.execute(f"CREATE TEMP TABLE {PROBE} (name, kind, {declared})")
        db.execute(
            f"INSERT INTO {PROBE} SELECT {part.key}, typeof({value.sqlite}), {value.sqlite}{part.sqlite_from}"
            f" WHERE {part.condition}"
        )
        rest = f"FROM {PROBE} WHERE typeof({quoted(column.name)}) <> kind"
        count = int(db.execute(f"SELECT count(*) {rest}").get)
        if count:
            keys = tuple(str(key) for (key,) in db.execute(f"SELECT name {rest} LIMIT {SAMPLES}"))
            what = f"{count:,} values look like numbers, and {column.declared or 'no type'} would store them as numbers"
            yield Finding("FT306", f"{table.table.name}.{column.name}", count, what, keys)


def _unique(db: apsw.Connection, table: Table, index: Index) -> Iterator[Finding]:
    partial, expressions = "", [quoted(c) if c is not None else "" for c in index.columns]
    if index.sql is not None:
        tokens = index_expressions(index.sql)
        end = closing_sign(tokens, 0)
        expressions = [written(_undirected(part)) for part in split_list(tokens[1:end])]
        if index.partial:
            partial = written(tokens[end + 2 :])  # after WHERE
    parts = [
        f"{part} COLLATE {collation}" if "COLLATE" not in part.upper() else part
        for part, collation in zip(expressions, index.collations, strict=True)
    ]
    where = " AND ".join([*(f"({part}) IS NOT NULL" for part in expressions), *([f"({partial})"] if partial else [])])
    columns = [name for name in index.columns if name is not None]
    named = ", ".join(columns) if len(columns) == len(index.columns) else index.name
    yield from _repeated(db, table, f"{table.name}.{named}", parts, where)


def _repeated(db: apsw.Connection, table: Table, name: str, parts: Sequence[str], where: str) -> Iterator[Finding]:
    keys = ", ".join(parts)
    groups = f"SELECT count(*) AS n, min(rowid) AS first FROM main.{quoted(table.name)} WHERE {where} GROUP BY {keys}"
    count, twice = db.execute(f"SELECT coalesce(sum(n - 1), 0), count(*) FROM ({groups} HAVING count(*) > 1)").get
    if not count:
        return
    ranked = (
        f"SELECT {quoted(FROM)} AS name, count(*) OVER (PARTITION BY {keys}) AS n, rowid AS place,"
        f" min(rowid) OVER (PARTITION BY {keys}) AS first FROM main.{quoted(table.name)} WHERE {where}"
    )
    samples = db.execute(f"SELECT name FROM ({ranked}) WHERE n > 1 ORDER BY first, place LIMIT {SAMPLES}")
    what = f"{count:,} rows too many: {twice:,} values stand in more than one row"
    yield Finding("FT302", name, int(count), what, tuple(str(key) for (key,) in samples))


def _orphans(
    db: apsw.Connection, target: Schema, table: Table, fk: ForeignKey, collations: dict[str, dict[str, str]]
) -> Iterator[Finding]:
    name = f"{table.name}.{', '.join(fk.columns)}"
    try:
        parent = target.table(fk.parent)
    except KeyError:
        parent = None
    own = [f"c.{quoted(column)}" for column in fk.columns]
    there = " AND ".join(f"{column} IS NOT NULL" for column in own)
    missing = "1"
    if parent is not None and len(fk.parent_columns) == len(fk.columns):
        by = {column.lower(): collation for column, collation in collations[parent.name].items()}
        marks = ", ".join(f"{quoted(c)} COLLATE {by.get(c.lower(), 'BINARY')}" for c in fk.parent_columns)
        made = quoted(f"towpath:{parent.name}:{'+'.join(fk.parent_columns)}")
        db.execute(f"CREATE INDEX IF NOT EXISTS main.{made} ON {quoted(parent.name)} ({marks})")
        equal = " AND ".join(f"p.{quoted(k)} = {mine}" for k, mine in zip(fk.parent_columns, own, strict=True))
        missing = f"NOT EXISTS (SELECT 1 FROM main.{quoted(parent.name)} AS p WHERE {equal})"
    rest = f"FROM main.{quoted(table.name)} AS c WHERE {there} AND {missing}"
    count = int(db.execute(f"SELECT count(*) {rest}").get)
    if count:
        keys = tuple(str(key) for (key,) in db.execute(f"SELECT c.{quoted(FROM)} {rest} LIMIT {SAMPLES}"))
        yield Finding("FT304", name, count, f"{count:,} rows name a row of {fk.parent} that will not be there", keys)


def _checks(table: Table) -> list[tuple[Token, ...]]:
    """The expressions of the table's CHECKs."""
    parsed = parse_table(table.sql, len(table.columns))
    clauses: list[Clause] = [*parsed.constraints, *(c for column in parsed.columns for c in column.clauses)]
    out = []
    for clause in clauses:
        if clause.kind == "check":
            at = next(i for i, token in enumerate(clause.tokens) if token.sign("("))
            out.append(clause.tokens[at + 1 : closing_sign(clause.tokens, at)])
    return out


def _undirected(tokens: Sequence[Token]) -> list[Token]:
    """The tokens of an indexed expression without ASC and DESC at its end."""
    out = list(tokens)
    while out and out[-1].word("ASC", "DESC"):
        out.pop()
    return out
