"""Every cell of every row compared: page digests first, then the pages that differ, row by row.

Expected is the manifest (and, where a page is opened, the snapshot file); found is what the target's own engine says of
its rows now.  A comparison that finds differences returns them; one that could not come to its end raises.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

import apsw

from towpath.checks import Check, Comparison, Difference, Progress, silent
from towpath.cloudflare.d1 import D1
from towpath.cloudflare.errors import D1Error
from towpath.tables import canonical, opened
from towpath.tables.acceptance import RULES
from towpath.tables.manifest import Manifest, Page, TableEntry
from towpath.tables.relation import Relation
from towpath.tables.schema import quoted

CONNECTIONS = 2
AHEAD = 4
KEYS_SHOWN = 5
KEPT = 10_000  # differences of one table; a target that lacks a million rows is told by its count


@dataclass(frozen=True, slots=True)
class TableResult:
    """What the comparison of one table came to."""

    entry: TableEntry
    count: int
    pages_opened: int
    differences: tuple[Difference, ...]  # no more than are kept
    kinds: dict[str, int]  # all of them, by kind
    unexplained: int  # pages whose digests differ although no cell does: the exporter's own fault


def compare(
    d1: D1,
    manifest: Manifest,
    snapshot: apsw.Connection,
    relations: dict[str, Relation],
    report: Progress = silent,
) -> Comparison:
    """Compare all tables; `report` counts rows.  `relations` are those of the export, decisions laid over.

    Raises D1Error or CannotFinish when the target cannot be read to the end: that is never a pass.
    """
    with ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="prove") as pool:
        results = [
            _table(pool, d1, entry, relations[entry.name].paged_as(entry.key, entry.carries_rowid), snapshot, report)
            for entry in manifest.tables
        ]
    found = tuple(difference for result in results for difference in result.differences)
    return Comparison(
        surface="tables",
        compared={
            "tables": len(results),
            "rows": manifest.rows,
            "cells": manifest.cells,
            "pages": sum(len(entry.pages) for entry in manifest.tables),
        },
        checks=tuple(check for result in results for check in _checks(result)),
        differences=found,
    )


def _table(
    pool: ThreadPoolExecutor, d1: D1, entry: TableEntry, relation: Relation, snapshot: apsw.Connection, report: Progress
) -> TableResult:
    different = sorted(different_pages(pool, d1, entry, relation.arriving(), report))
    pages = [entry.pages[number] for number in different]
    found = opened.unnamed_rows(d1, relation) if len(entry.pages) > 1 else []  # a single page holds every row
    kinds = Counter(difference.kind for difference in found)
    unexplained = 0
    if relation.is_multiset:  # a multiset has no borders: all differing pages are one
        expected = (row for page in pages for row in opened.source_rows(snapshot, relation, page.low, page.high))
        actual = (row for page in pages for row in opened.target_rows(d1, relation, page.low, page.high))
        here = opened.differences(relation, expected, actual) if pages else []
        kinds.update(difference.kind for difference in here)
        found += here[:KEPT]
    else:
        for page in pages:
            expected_rows = opened.source_rows(snapshot, relation, page.low, page.high)
            actual_rows = opened.target_rows(d1, relation, page.low, page.high)
            here = opened.differences(relation, expected_rows, actual_rows)
            unexplained += not here
            kinds.update(difference.kind for difference in here)
            found += here[: KEPT - len(found)]
    count = int(d1.query(f"SELECT count(*) FROM {quoted(entry.name)}").rows[0][0])
    return TableResult(entry, count, len(pages), tuple(found), dict(kinds), unexplained)


def different_pages(
    pool: ThreadPoolExecutor, d1: D1, entry: TableEntry, relation: Relation, report: Progress
) -> Iterator[int]:
    """The numbers of the pages that the target does not hold as the manifest says, in any order."""
    waiting: dict[Future[bool], int] = {}

    def settle(until: int) -> Iterator[int]:
        while len(waiting) > until:
            finished, _ = wait(waiting, return_when="FIRST_COMPLETED")
            for future in finished:
                number = waiting.pop(future)
                if not future.result():
                    yield number
                report(entry.pages[number].rows)

    try:
        for number, page in enumerate(entry.pages):
            waiting[pool.submit(page_equal, d1, relation, page, entry.reals)] = number
            yield from settle(AHEAD - 1)
        yield from settle(0)
    finally:
        for future in waiting:
            future.cancel()


def page_equal(d1: D1, relation: Relation, page: Page, reals: tuple[str, ...]) -> bool:
    """True if the target holds exactly this page, by its digests."""
    try:
        if page.form == "cells":
            return _cells_digest(d1, relation, page) == page.text
        if page.form == "hex":
            pieces = page.bytes // canonical.PIECE_BYTES + 2  # one more than needed: it must be empty
            row = d1.query(canonical.hex_sql(relation, page.low, page.high, reals, pieces)).rows[0]
            count, numbers, size, *parts = row
            if size != page.bytes:
                return False
            text = bytes.fromhex("".join(parts))
        else:
            count, shown, numbers = d1.query(canonical.page_sql(relation, page.low, page.high, reals, "text")).rows[0]
            text = shown.encode("utf-8")
    except D1Error as error:
        if not error.about_the_statement:
            raise
        return False  # a page that the engine cannot even build (too long) is opened row by row
    return canonical.digest(int(count), text, numbers) == canonical.Digest(page.rows, page.text, page.reals)


def _cells_digest(d1: D1, relation: Relation, page: Page) -> str:
    where = f" FROM {quoted(relation.name)}{relation.where(page.low, page.high)}"
    if int(d1.query(f"SELECT count(*){where}").rows[0][0]) != 1:
        return ""
    out = hashlib.sha256()
    for value in filter(None, (relation.rowid, *map(relation.value, relation.columns))):
        kind = d1.query(f"SELECT typeof({value}){where}").rows[0][0]
        data = f"quote({value})" if kind == "real" else value
        pieces = [bytes.fromhex(piece) for piece in opened.hex_pieces(d1, data, where)]
        out.update(f"{kind}:{sum(map(len, pieces))}:".encode())
        for piece in pieces:
            out.update(piece)
    return out.hexdigest()


def _checks(result: TableResult) -> Iterator[Check]:
    entry = result.entry
    same = result.count == entry.rows
    yield RULES["TB411"].check(entry.name, f"{entry.rows} rows", f"{result.count} rows", same)
    equal = not result.kinds and not result.unexplained
    cells = entry.rows * len(entry.columns)
    keys = tuple(dict.fromkeys(d.key for d in result.differences))[:KEYS_SHOWN]
    step = "look at the differences by key and column; repair the target or import again"
    yield RULES["TB412"].check(entry.name, f"all {cells} cells equal", _summary(result), equal, keys, step=step)


def _summary(result: TableResult) -> str:
    if not result.kinds and not result.unexplained:
        return f"equal: {len(result.entry.pages)} pages"
    kinds = ((kind, result.kinds.get(kind, 0)) for kind in ("missing", "extra", "changed"))
    words = [f"{n} {'cells changed' if kind == 'changed' else f'rows {kind}'}" for kind, n in kinds if n]
    if sum(result.kinds.values()) > len(result.differences):
        words.append(f"the first {len(result.differences)} are kept")
    if result.unexplained:
        words.append(f"{result.unexplained} pages differ by digest although no cell does: export again")
    return ", ".join(words)
