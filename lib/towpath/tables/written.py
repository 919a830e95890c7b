"""What was written on the target since the last snapshot: pages first, then the rows of the pages that differ.

It is the delta seen from the other side.  No log on the target is needed, and none could be trusted alone: a REPLACE
there deletes rows without firing a trigger.  A row that changed and changed back has not changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from towpath.checks import Progress, silent
from towpath.cloudflare.d1 import D1
from towpath.errors import BadInput
from towpath.tables import differing, opened
from towpath.tables.changes import TableChanges, find_changes
from towpath.tables.compare import CONNECTIONS, different_pages
from towpath.tables.differing import Piece, Target, TooLongError
from towpath.tables.export import Exporter
from towpath.tables.keys import key_literal, key_shown
from towpath.tables.manifest import Manifest, Page, TableEntry
from towpath.tables.relation import Relation
from towpath.tables.schema import quoted

OVERWRITTEN = "the source was written to after the cutover"
KEPT_BACK = "a row that stayed behind has this key"


@dataclass(frozen=True, slots=True)
class Conflict:
    """One row that cannot be carried back, because the source holds something there that nobody moved."""

    table: str
    key: str  # for people
    why: str


def find_written(d1: D1, manifest: Manifest, snapshot: Exporter, report: Progress = silent) -> dict[str, TableChanges]:
    """Rows that the target has otherwise than the last snapshot, by table; `report` counts rows compared.

    In each change the cells before are those of the snapshot, decisions laid over, and the cells after the target's.
    Raises BadInput for rows of the target that no key can name, D1Error or CannotFinish when it cannot be read.
    """
    with ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="written") as pool:
        return {entry.name: _table(pool, d1, entry, snapshot, report) for entry in manifest.tables}


def _table(pool: ThreadPoolExecutor, d1: D1, entry: TableEntry, snapshot: Exporter, report: Progress) -> TableChanges:
    relation = snapshot.relations[entry.name].paged_as(entry.key, entry.carries_rowid)
    if opened.unnamed_rows(d1, relation):
        step = "give these rows a key on the target, then run the phase again"
        raise BadInput("rows with NULL in their key cannot be carried back", object=entry.name, next=step)
    changes = TableChanges(entry)
    pages = [entry.pages[number] for number in sorted(different_pages(pool, d1, entry, relation.arriving(), report))]
    target = Target(d1, relation.arriving(), entry.reals, pool)
    for page, asked in _ahead(target, pages):
        try:
            if asked is None:
                raise TooLongError
            _differing(changes, snapshot, relation, target, asked, page)
        except TooLongError:
            _whole(changes, snapshot, relation, d1, page)
    return changes


def _ahead(target: Target, pages: list[Page]) -> Iterator[tuple[Page, Future[Piece] | None]]:
    """Each page with its texts under way, and those of the next; None where texts cannot say what it holds."""
    asked = [target.ask(page.low, page.high) if page.form == "text" else None for page in pages[:1]]
    for number, page in enumerate(pages):
        asked += [target.ask(p.low, p.high) if p.form == "text" else None for p in pages[number + 1 : number + 2]]
        yield page, asked.pop(0)


def _differing(
    changes: TableChanges, snapshot: Exporter, relation: Relation, target: Target, asked: Future[Piece], page: Page
) -> None:
    texts = differing.source_texts(snapshot.db, relation, target.reals, page.low, page.high)
    left = {key: (text, numbers) for key, text, numbers in texts}
    rows: list[differing.Row] = []
    looked_at: list[str] = []
    last = ""
    for key, text, numbers in target.texts(asked, page.high):
        was = left.pop(key, None)
        if was is None or not differing.same(was, (text, numbers)):
            rows.append(differing.Row(key_literal(last) if last else page.low, key, len(text)))
            looked_at += [key] if was is not None else []
        last = key
    before = differing.source_cells(snapshot.db, relation, [*looked_at, *left])
    after = target.cells(rows)
    _compare(changes, before, ((row.key, after[row.key]) for row in rows if row.key in after))


def _whole(changes: TableChanges, snapshot: Exporter, relation: Relation, d1: D1, page: Page) -> None:
    before = dict(opened.source_rows(snapshot.db, relation, page.low, page.high))
    _compare(changes, before, opened.target_rows(d1, relation, page.low, page.high))


def _compare(changes: TableChanges, before: dict[str, str], after: Iterable[tuple[str, str]]) -> None:
    for key, cells in after:
        was = before.pop(key, None)
        if was is None:
            changes.inserted[key] = cells
        elif opened.normal(was) != opened.normal(cells):
            changes.updated[key] = (was, cells)
    changes.deleted.update(before)


def against_source(
    manifest: Manifest,
    snapshot: Exporter,
    now: Exporter,
    written: Mapping[str, TableChanges],
    report: Progress = silent,
) -> tuple[dict[str, TableChanges], list[Conflict]]:
    """What of `written` the source still lacks, and what stands in the way.

    In the way are rows that the source changed itself since the snapshot, and rows that stayed behind under a key that
    the target has given out since.  What an earlier call carried back already is left out.  `now` is a new snapshot of
    the source; `report` counts rows.  Raises BadInput when its schema changed.
    """
    todo: dict[str, TableChanges] = {}
    found: list[Conflict] = []
    for name, own in find_changes(manifest, snapshot, now, report).items():
        change, relation = written[name], now.relations[name]
        there, here = _after(change), _after(own)
        done = {key for key, cells in here.items() if key in there and _same(cells, there[key])}
        found += [Conflict(name, key_shown(relation, key), OVERWRITTEN) for key in here if key not in done]
        found += [
            Conflict(name, key_shown(relation, key), KEPT_BACK) for key in change.inserted if _stayed(now, name, key)
        ]
        todo[name] = TableChanges(
            change.entry,
            {key: cells for key, cells in change.inserted.items() if key not in done},
            {key: cells for key, cells in change.updated.items() if key not in done},
            {key: cells for key, cells in change.deleted.items() if key not in done},
        )
    return todo, found


def _after(change: TableChanges) -> dict[str, str | None]:
    """The cells of every changed row as they are now; None where the row is gone."""
    updated = {key: after for key, (_, after) in change.updated.items()}
    return {**dict.fromkeys(change.deleted), **change.inserted, **updated}


def _same(left: str | None, right: str | None) -> bool:
    if left is None or right is None:
        return left is right
    return opened.normal(left) == opened.normal(right)


def _stayed(now: Exporter, name: str, key: str) -> bool:
    """True if the source holds a row under this key that a decision kept back."""
    relation = now.relations[name]
    if not relation.parked:
        return False
    held = f"SELECT 1 FROM {quoted(name)} WHERE {relation.key_sql} = {key_literal(key)} AND ({relation.parked})"
    return bool(now.db.execute(held).get)
