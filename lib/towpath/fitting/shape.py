"""Shapes a capture into the target's own schema: a SQLite file that holds exactly the rows that must arrive.

Tables and their unique indexes come first, then rows by INSERT … SELECT, then all other indexes, views and triggers, so
that no trigger fires.  The exporter takes the file for a snapshot like any other.  Rows that no rule takes are written
to a file of their own, every column as its exact literal.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import apsw
import orjson

from towpath.checks import Check, Progress, silent
from towpath.errors import BadInput, CannotFinish
from towpath.fitting.adopt import adopted
from towpath.fitting.fitted import CAPTURE, Fitted, FittedTable, Part
from towpath.fitting.losses import key_columns, last_values, opened, parked_sql
from towpath.fitting.rules import RULES
from towpath.fitting.source import SourceTable
from towpath.tables.literals import exact_literal
from towpath.tables.schema import Schema, quoted

PARKED = "parked.jsonl"  # beside the shaped file: one line for each row that stays behind


@dataclass(frozen=True, slots=True)
class ShapedPart:
    """The rows of one rule: read = written + passed over (by `rows`)."""

    source: str
    target: str
    read: int
    written: int
    passed: int


@dataclass(frozen=True, slots=True)
class Shaped:
    """The shaped file, and its counts."""

    path: Path
    parts: tuple[ShapedPart, ...]
    rows: dict[str, int]  # target table -> rows, the empty ones too
    parked: dict[str, int]  # source table -> rows that no rule takes
    sequences: dict[str, int]  # AUTOINCREMENT: target table -> last number given out

    @property
    def checks(self) -> list[Check]:
        """FT401, one for each rule."""
        return [self._check(part) for part in self.parts]

    def _check(self, part: ShapedPart) -> Check:
        good = part.read == part.written + part.passed
        found = f"{part.read:,} read, {part.written:,} written, {part.passed:,} passed over by rows"
        return RULES["FT401"].check(f"{part.source} → {part.target}", "no row more or less", found, good)


def shape(capture: Path, target: Schema, fitted: Fitted, path: Path, report: Progress = silent) -> Shaped:
    """Write the file at `path`, and the parked rows beside it; `report` counts rows.

    Nothing stays behind where it raises: BadInput when a row breaks a constraint of the target (`violations` names them
    all), CannotFinish on a full disk.
    """
    fitted.require_sound()
    draft = path.with_name(path.name + ".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.unlink(missing_ok=True)
        with closing(opened(capture, str(draft))) as db:
            shaped = _write(db, target, fitted, path, report)
            db.execute(f"DETACH {CAPTURE}")
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.chmod(0o444)
        draft.replace(path)
    except (apsw.FullError, apsw.IOError, apsw.CantOpenError, OSError) as error:
        raise CannotFinish(
            f"the disk is full or cannot be written: {error}",
            object=path.name,
            next="free space for a second copy of the source, run again",
        ) from None
    finally:
        draft.unlink(missing_ok=True)
    return shaped


def _write(db: apsw.Connection, target: Schema, fitted: Fitted, path: Path, report: Progress) -> Shaped:
    for pragma in ("journal_mode = OFF", "synchronous = OFF", "foreign_keys = OFF", "cache_size = -65536"):
        db.execute(f"PRAGMA main.{pragma}" if "keys" not in pragma else f"PRAGMA {pragma}").fetchall()
    made = adopted(target)
    parts = []
    db.execute("BEGIN")
    for sql in made.table_statements:
        db.execute(sql)
    for table in fitted.tables:
        parts += [_insert(db, table, part, report) for part in table.parts]
    rows = {t.table.name: _count(db, f"main.{quoted(t.table.name)}") for t in fitted.tables}
    sequences = _sequences(db, fitted)
    for sql in made.after_statements:
        with _told(" ".join(sql.split())[:60]):
            db.execute(sql)
    db.execute("COMMIT")
    parked = _park(db, fitted, path.with_name(PARKED))
    return Shaped(path, tuple(parts), rows, parked, sequences)


def _insert(db: apsw.Connection, table: FittedTable, part: Part, report: Progress) -> ShapedPart:
    name = table.table.name
    columns = ", ".join(quoted(value.column) for value in part.values)
    select = f"SELECT {', '.join(value.sqlite for value in part.values)}{part.sqlite_from}"
    before = db.total_changes()
    with _told(f"{part.table.name} → {name}"):
        db.execute(f"INSERT INTO main.{quoted(name)} ({columns}) {select} WHERE {part.condition}")
    written = db.total_changes() - before
    passed = 0
    if part.rows is not None:
        passed = int(db.execute(f"SELECT count(*){part.sqlite_from} WHERE NOT ({part.condition})").get)
    report(written)
    read = _count(db, f"{CAPTURE}.{quoted(part.table.captured)}")
    return ShapedPart(part.table.name, name, read, written, passed)


def _sequences(db: apsw.Connection, fitted: Fitted) -> dict[str, int]:
    """Write `sqlite_sequence` so that no number that the source ever gave out comes again."""
    out = {}
    for table in fitted.tables:
        name, alias = table.table.name, table.table.rowid_alias
        if not table.table.autoincrement or alias is None:
            continue
        top = db.execute(f"SELECT max({quoted(alias)}) FROM main.{quoted(name)}").get or 0
        last = max(top, last_values(table) or 0)
        if last:
            db.execute("DELETE FROM main.sqlite_sequence WHERE name = ?", (name,))
            db.execute("INSERT INTO main.sqlite_sequence (name, seq) VALUES (?, ?)", (name, last))
            out[name] = last
    return out


def _park(db: apsw.Connection, fitted: Fitted, path: Path) -> dict[str, int]:
    """Write the rows that no rule takes, every column as its exact literal, in key order."""
    parked: dict[str, int] = {}
    draft = path.with_name(path.name + ".tmp")
    with draft.open("wb") as file:
        for source in fitted.source.tables:
            sql = parked_sql(fitted, source)
            if sql is None:
                continue
            for literals in db.execute(_parked_rows(source, sql)):
                names = (column.name for column in source.columns)
                row = {"table": source.name, "row": dict(zip(names, literals, strict=True))}
                file.write(orjson.dumps(row) + b"\n")
                parked[source.name] = parked.get(source.name, 0) + 1
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    return parked


def _parked_rows(source: SourceTable, sql: str) -> str:
    cells = ", ".join(exact_literal(f"t.{quoted(column.name)}") for column in source.columns)
    keys = key_columns(source)
    own = [f"t.{quoted(name)}" for name in source.key] or ["t.rowid"]
    on = " AND ".join(f"{mine} = p.{quoted(name)}" for mine, name in zip(own, keys, strict=True))
    order = ", ".join(own)
    return f"SELECT {cells} FROM {CAPTURE}.{quoted(source.captured)} AS t JOIN ({sql}) AS p ON {on} ORDER BY {order}"


@contextmanager
def _told(object: str) -> Iterator[None]:
    try:
        yield
    except (apsw.ConstraintError, apsw.MismatchError) as error:
        raise BadInput(
            f"rows break a constraint of the target: {error}",
            object=object,
            next="look at the findings FT3xx of 02-schema: they name the rows",
        ) from None


def _count(db: apsw.Connection, table: str) -> int:
    return int(db.execute(f"SELECT count(*) FROM {table}").get)
