"""What the rules would lose, counted on the capture before anything is shaped: findings FT2xx.

The decisions that mapping.yaml takes in `fit` and `left` (drop, rows, left) come back beside the findings, so that only
the waiver is still wanted.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw

from towpath.checks import Decision, Finding, Progress, silent
from towpath.fitting.conversions import register
from towpath.fitting.fitted import CAPTURE, Counted, Fitted, FittedTable, Part, Taken
from towpath.fitting.language import BASE, JOINED
from towpath.fitting.rules import SAMPLES
from towpath.fitting.source import DIGEST, SourceTable
from towpath.sensitive import digest, digest_of
from towpath.tables.schema import quoted

TOGETHER = 30  # conditions that are counted in one pass over a table


def losses(capture: Path, fitted: Fitted, report: Progress = silent) -> Counted:
    """Count what the rules of a fit without refusals would lose; `report` counts target tables."""
    fitted.require_sound()
    findings: list[Finding] = []
    with closing(opened(capture)) as db:
        findings += _left(db, fitted)
        findings += _dropped(db, fitted)
        for table in fitted.tables:
            for part in table.parts:
                findings += _part(db, table, part)
            report(1)
        findings += _parked(db, fitted)
        findings += _sequences(db, fitted)
    return Counted(tuple(findings), tuple(_decisions(fitted, findings)))


def opened(capture: Path, path: str = ":memory:") -> apsw.Connection:
    """A database with the capture attached, for reading only, and the functions that conversions call."""
    db = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE | apsw.SQLITE_OPEN_URI)
    register(db)
    db.create_scalar_function(DIGEST, _digest, 1, deterministic=True)
    db.execute(f"ATTACH ? AS {CAPTURE}", (f"{capture.resolve().as_uri()}?mode=ro",))
    return db


def parked_sql(fitted: Fitted, source: SourceTable) -> str | None:
    """SQL for the rowids, or keys, of the rows that no rule takes; None where a rule takes them all.

    Columns: those of the key, or the rowid where there is none.
    """
    parts = [part for _, part in fitted.parts_of(source.name)]
    if not parts or any(part.rows is None for part in parts):
        return None
    names = ", ".join(f"{BASE}.{quoted(name)}" for name in key_columns(source))
    taken = " UNION ".join(f"SELECT {names}{part.sqlite_from} WHERE {part.condition}" for part in parts)
    own = ", ".join(quoted(name) for name in source.key) or f"rowid AS {quoted('towpath:rowid')}"
    return f"SELECT {own} FROM {CAPTURE}.{quoted(source.captured)} EXCEPT SELECT * FROM ({taken})"


def key_columns(source: SourceTable) -> tuple[str, ...]:
    """The columns that name a row of a part's base table."""
    return source.key or ("towpath:rowid",)


def _left(db: apsw.Connection, fitted: Fitted) -> Iterator[Finding]:
    for name in fitted.left:
        rows = _count(db, f"FROM {CAPTURE}.{quoted(fitted.source.table(name).captured)}")
        if rows:
            yield Finding("FT207", name, rows, f"{rows:,} rows stay behind")


def _dropped(db: apsw.Connection, fitted: Fitted) -> Iterator[Finding]:
    for name, columns in fitted.dropped.items():
        table = fitted.source.table(name)
        for column in columns:
            held = _count(db, f"FROM {CAPTURE}.{quoted(table.captured)} WHERE {quoted(column)} IS NOT NULL")
            if held:
                yield Finding("FT205", f"{name}.{column}", held, f"{held:,} values stay behind")


def _part(db: apsw.Connection, table: FittedTable, part: Part) -> Iterator[Finding]:
    wanted = [
        (loss.code, f"{table.table.name}.{value.column}", loss.condition, loss.message)
        for value in part.values
        for loss in value.losses
    ]
    for start in range(0, len(wanted), TOGETHER):
        some = wanted[start : start + TOGETHER]
        sums = ", ".join(f"coalesce(sum(({condition}) IS TRUE), 0)" for _, _, condition, _ in some)
        counts = db.execute(f"SELECT {sums}{part.sqlite_from} WHERE {part.condition}").fetchall()[0]
        for (code, name, condition, message), count in zip(some, counts, strict=True):
            if count:
                where = f"{part.condition} AND ({condition}) IS TRUE"
                yield Finding(code, name, int(count), f"{message}: {count:,} rows", _keys(db, part, where))
    for taken in part.taken:
        yield from _several(db, table, part, taken)
        if taken.alias == JOINED:
            yield from _unjoined(db, part, taken)


def _several(db: apsw.Connection, table: FittedTable, part: Part, taken: Taken) -> Iterator[Finding]:
    match, name = quoted(taken.match), quoted(taken.table.captured)
    used = f"SELECT {quoted(taken.using)} FROM {CAPTURE}.{quoted(part.table.captured)}"
    rest = f"FROM {CAPTURE}.{name} WHERE {match} IN ({used}) GROUP BY {match} HAVING count(*) > 1"
    twice = f"SELECT {taken.table.shown(taken.match)} {rest}"
    count = _count(db, f"FROM ({twice})")
    if count:
        keys = tuple(f"{taken.match}={key}" for (key,) in db.execute(f"{twice} ORDER BY 1 LIMIT {SAMPLES}"))
        what = f"{count:,} values of {taken.table.name}.{taken.match} stand in several rows"
        yield Finding("FT203", f"{table.table.name}.{taken.using}", count, what, keys)


def _unjoined(db: apsw.Connection, part: Part, taken: Taken) -> Iterator[Finding]:
    match = quoted(taken.match)
    used = f"SELECT {BASE}.{quoted(taken.using)} AS v{part.sqlite_from} WHERE {part.condition}"
    rest = (
        f"FROM {CAPTURE}.{quoted(taken.table.captured)} WHERE {match} IS NULL"
        f" OR {match} NOT IN (SELECT v FROM ({used}) WHERE v IS NOT NULL)"
    )
    count = _count(db, rest)
    if count:
        keys = tuple(
            f"{taken.match}={key}"
            for (key,) in db.execute(f"SELECT {taken.table.shown(taken.match)} {rest} ORDER BY 1 LIMIT {SAMPLES}")
        )
        what = f"{count:,} rows of {taken.table.name} belong to no row of {part.table.name} that moves"
        yield Finding("FT208", taken.table.name, count, what, keys)


def _parked(db: apsw.Connection, fitted: Fitted) -> Iterator[Finding]:
    for source in fitted.source.tables:
        sql = parked_sql(fitted, source)
        if sql is None or not (count := _count(db, f"FROM ({sql})")):
            continue
        names = source.key or ("row",)
        shown = [
            ", ".join(f"{name}={value}" for name, value in zip(names, row, strict=True))
            for row in db.execute(
                f"SELECT {', '.join(source.shown(name) for name in key_columns(source))} FROM ({sql})"
                f" ORDER BY {', '.join(str(i + 1) for i in range(len(key_columns(source))))} LIMIT {SAMPLES}"
            )
        ]
        yield Finding("FT206", source.name, count, f"{count:,} rows are taken by no rule", tuple(shown))


def _sequences(db: apsw.Connection, fitted: Fitted) -> Iterator[Finding]:
    for table in fitted.tables:
        alias = table.table.rowid_alias
        last = last_values(table)
        if alias is None or table.table.autoincrement or last is None:
            continue
        value = [(part, next(v.sqlite for v in part.values if v.column == alias)) for part in table.parts]
        tops = [db.execute(f"SELECT max({v}){part.sqlite_from} WHERE {part.condition}").get for part, v in value]
        ahead = last - max((top for top in tops if isinstance(top, int)), default=0)
        if ahead > 0:
            what = f"the sequence stands {ahead:,} beyond the largest key, at {last:,}"
            yield Finding("FT114", f"{table.table.name}.{alias}", ahead, what)


def last_values(table: FittedTable) -> int | None:
    """The last number that the sequences behind a table's integer key gave out; None if there is no sequence."""
    alias = table.table.rowid_alias
    pairs = ((part, value) for part in table.parts for value in part.values if value.column == alias and value.origin)
    found = (part.table.column(value.origin).sequence for part, value in pairs)
    return max((last for last in found if last is not None), default=None)


def _decisions(fitted: Fitted, findings: list[Finding]) -> Iterator[Decision]:
    for finding in findings:
        if finding.code == "FT205":
            table, _, column = finding.object.rpartition(".")
            yield Decision("FT205", finding.object, "drop", fitted.dropped[table][column])
        elif finding.code == "FT206":
            yield Decision("FT206", finding.object, "park", "rows in its rules leaves them out")
        elif finding.code == "FT207":
            yield Decision("FT207", finding.object, "leave", fitted.left[finding.object])


def _digest(*values: Any) -> str:
    (value,) = values
    if value is None:
        return "NULL"
    return digest(value) if isinstance(value, bytes) else digest_of(str(value))


def _count(db: apsw.Connection, rest: str) -> int:
    return int(db.execute(f"SELECT count(*) {rest}").get)


def _keys(db: apsw.Connection, part: Part, where: str) -> tuple[str, ...]:
    rows = db.execute(f"SELECT {part.key}{part.sqlite_from} WHERE {where} LIMIT {SAMPLES}")
    return tuple(key for (key,) in rows)
