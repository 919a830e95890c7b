"""The proof through the mapping: PostgreSQL says every cell itself, and the manifest's pages must say the same.

The loader's rows came through the capture, SQLite's expressions and the shaped file.  Here PostgreSQL computes each
target row from the source, in the same snapshot, by expressions of its own (`postgres`), and sends its canonical text.
Pages whose digests differ are opened to rows and cells, against the shaped file.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass

import apsw
import psycopg

from towpath.checks import Check, Comparison, Difference, Progress, silent
from towpath.fitting.fitted import Fitted, FittedTable
from towpath.fitting.losses import last_values
from towpath.fitting.pages import PageDigests, Row, Stream, border, cells
from towpath.fitting.rules import RULES, SAMPLES
from towpath.fitting.whole import Whole, in_parallel
from towpath.postgresql.snapshot import Snapshot
from towpath.tables import canonical, opened
from towpath.tables.keys import key_shown
from towpath.tables.manifest import Manifest, TableEntry
from towpath.tables.relation import Relation

KEPT = 1_000  # differences of one table that are kept; the rest is counted
OPENED = 20  # pages of one table that are opened: each is a query over the whole source table
REPORT_ROWS = 2_000
NAMED_ROWS = 10_000  # rows of a table without a key that are opened to be named


@dataclass(frozen=True, slots=True)
class _Result:
    entry: TableEntry
    rows: int
    differences: tuple[Difference, ...]
    kinds: dict[str, int]
    unexplained: int  # pages whose digests differ although no cell does
    last: int | None  # the largest integer key that PostgreSQL computed
    closed: int = 0  # pages that differ and were not opened


def prove(
    snapshot: Snapshot,
    fitted: Fitted,
    manifest: Manifest,
    shaped: apsw.Connection,
    relations: Mapping[str, Relation],
    report: Progress = silent,
) -> Comparison:
    """Compare every page of the manifest with what PostgreSQL computes; `report` counts rows.

    `snapshot` is the one that the capture was made in; `shaped` the file that was exported, and `relations` those of
    its export.  Raises CannotFinish when the server does not answer to the end.
    """
    fitted.require_sound()
    connection = snapshot.reader()
    streams = {entry.name: Stream(fitted.table(entry.name), entry) for entry in manifest.tables}
    results = []
    checks = [_absent(t.table.name) for t in fitted.tables if t.table.name not in {e.name for e in manifest.tables}]
    with closing(in_parallel(snapshot, streams, manifest, report)) as pages:
        for entry, whole in pages:
            stream = streams[entry.name]
            result = _table(connection, stream, entry, whole, shaped, relations[entry.name], report)
            results.append(result)
            checks.append(_check(result))
            checks += _sequence(stream.table, result, manifest)
    return Comparison(
        surface="tables",
        compared={
            "tables": len(results),
            "rows": sum(result.rows for result in results),
            "cells": sum(result.rows * len(result.entry.columns) for result in results),
            "pages": sum(len(result.entry.pages) for result in results),
        },
        checks=tuple(checks),
        differences=tuple(difference for result in results for difference in result.differences),
    )


def _table(
    connection: psycopg.Connection,
    stream: Stream,
    entry: TableEntry,
    whole: Whole | None,
    shaped: apsw.Connection,
    relation: Relation,
    report: Progress,
) -> _Result:
    if not stream.ordered and stream.table.parts:
        return _multiset(connection, stream, entry, shaped, relation, report)
    whole = whole or _row_by_row(connection, stream, entry, report)
    found: list[Difference] = []
    kinds: Counter[str] = Counter()
    unexplained = 0
    for number in whole.different[:OPENED]:
        page = entry.pages[number]
        ends = border(page.low, stream.kinds), border(page.high, stream.kinds)
        mine = ((_key(row, relation), _cells(row)) for row in stream.rows(connection, *ends))
        theirs = opened.source_rows(shaped, relation, page.low, page.high)
        here = opened.differences(relation, mine, theirs)
        unexplained += not here
        kinds.update(difference.kind for difference in here)
        found += here[: KEPT - len(found)]
    closed = max(0, len(whole.different) - OPENED)
    return _Result(entry, whole.rows, tuple(found), dict(kinds), unexplained, whole.last, closed)


def _row_by_row(connection: psycopg.Connection, stream: Stream, entry: TableEntry, report: Progress) -> Whole:
    pages, count, last = PageDigests(entry, stream.kinds), 0, None
    for row in _reported(stream.rows(connection), report):
        pages.add(row)
        count += 1
        last = row.key[0]
    return Whole(pages.finish(), count, last if isinstance(last, int) else None)


def _multiset(
    connection: psycopg.Connection,
    stream: Stream,
    entry: TableEntry,
    shaped: apsw.Connection,
    relation: Relation,
    report: Progress,
) -> _Result:
    """A table whose rows have no order that both engines know: PostgreSQL's rows against the shaped file's as a
    multiset, and the shaped file's pages against the manifest."""
    mine, count = 0, 0
    for row in _reported(stream.rows(connection), report):
        mine, count = (mine + _weight(_cells(row))) % 2**256, count + 1
    theirs, there = 0, 0
    for _, text in opened.source_rows(shaped, relation, None, None):
        theirs, there = (theirs + _weight(text)) % 2**256, there + 1
    found: list[Difference] = []
    kinds: Counter[str] = Counter()
    if (mine, count) != (theirs, there):
        found = list(_unequal(connection, stream, shaped, relation))
        kinds.update(difference.kind for difference in found)
    unexplained = sum(not _same(shaped, relation, entry, number) for number in range(len(entry.pages)))
    unexplained += (mine, count) != (theirs, there) and not found
    return _Result(entry, count, tuple(found[:KEPT]), dict(kinds), unexplained, None)


def _same(shaped: apsw.Connection, relation: Relation, entry: TableEntry, number: int) -> bool:
    """Whether the shaped file still holds this page of the manifest."""
    page = entry.pages[number]
    if page.form == "cells":
        rows = list(opened.source_rows(shaped, relation, page.low, page.high))
        return len(rows) == 1  # its cells were compared as a row
    sql = canonical.page_sql(relation, page.low, page.high, entry.reals, "bytes")
    rows, text, numbers = shaped.execute(sql).get
    return canonical.digest(rows, bytes(text), numbers) == canonical.Digest(page.rows, page.text, page.reals)


def _unequal(
    connection: psycopg.Connection, stream: Stream, shaped: apsw.Connection, relation: Relation
) -> Iterator[Difference]:
    """The rows that one side alone holds."""
    balance: Counter[int] = Counter()
    for row in stream.rows(connection):
        balance[_weight(_cells(row))] += 1
    for _, text in opened.source_rows(shaped, relation, None, None):
        balance[_weight(text)] -= 1
    missing = dict([(w, n) for w, n in balance.items() if n > 0][:NAMED_ROWS])
    extra = dict([(w, -n) for w, n in balance.items() if n < 0][:NAMED_ROWS])
    for row in stream.rows(connection) if missing else ():
        if missing.get(weight := _weight(_cells(row)), 0) > 0:
            missing[weight] -= 1
            yield Difference(relation.name, "", "", "missing", opened.row_shown(relation, _cells(row)), "no row")
    for key, text in opened.source_rows(shaped, relation, None, None) if extra else ():
        if extra.get(weight := _weight(text), 0) > 0:
            extra[weight] -= 1
            named = key_shown(relation, key)
            yield Difference(relation.name, named, "", "extra", "no row", opened.row_shown(relation, text))


def _weight(text: str) -> int:
    """A number of 256 bits for a row; their sum says what a multiset holds, in any order."""
    parts = [f"r{float(part[1:]) + 0.0!r}" if part[0] == "r" else part for part in text.split("|")]
    return int.from_bytes(hashlib.sha256("|".join(parts).encode()).digest(), "big")


def _cells(row: Row) -> str:
    return "|".join(cells(row.text, row.reals.decode()))


def _key(row: Row, relation: Relation) -> str:
    """The key as `towpath.tables.keys` writes it: the literals of its parts in hexadecimal."""
    parts = []
    for part in row.key:
        literal = str(part).encode() if isinstance(part, int) else b"'" + part.replace(b"'", b"''") + b"'"
        parts.append(literal.hex().upper())
    return ".".join(parts) if relation.key else ""


def _reported(rows: Iterator[Row], report: Progress) -> Iterator[Row]:
    waiting = 0
    for row in rows:
        yield row
        waiting += 1
        if waiting == REPORT_ROWS:
            report(waiting)
            waiting = 0
    report(waiting)


def _absent(name: str) -> Check:
    return RULES["FT402"].check(name, "in the manifest", "it was not exported", False)


def _check(result: _Result) -> Check:
    entry, good = result.entry, not (result.kinds or result.unexplained or result.closed)
    words = [f"{number:,} {kind}" for kind, number in sorted(result.kinds.items())]
    if result.closed:
        words.append(f"{result.closed} more pages differ and were not opened")
    if result.unexplained:
        words.append(f"{result.unexplained} pages differ by digest although no cell does: shape and export again")
    found = ", ".join(words) or f"equal: {len(entry.pages)} pages, {result.rows:,} rows"
    expected = f"all {entry.rows * len(entry.columns):,} cells are PostgreSQL's own"
    keys = tuple(dict.fromkeys(d.key for d in result.differences if d.key))[:SAMPLES]
    return RULES["FT402"].check(entry.name, expected, found, good, keys)


def _sequence(table: FittedTable, result: _Result, manifest: Manifest) -> Iterator[Check]:
    if not table.table.autoincrement:
        return
    wanted = max(last_values(table) or 0, result.last or 0)
    found = manifest.sequences.get(result.entry.name, 0)
    expected = f"the last number given out is {wanted:,}"
    yield RULES["FT403"].check(result.entry.name, expected, f"{found:,}", found == wanted)
