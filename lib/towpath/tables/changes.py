"""What changed between two snapshots of one source: pages first, then the rows of the pages that differ.

A page whose digests are what they were is not opened.  Deletes show up like any other change, because a row that is
gone changes its page; no trigger and no log in the source is needed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from towpath.checks import Progress, silent
from towpath.errors import BadInput
from towpath.tables import encode, opened
from towpath.tables.export import CHUNK_BYTES, Exporter
from towpath.tables.keys import key_literal
from towpath.tables.manifest import Manifest, Page, TableEntry
from towpath.tables.relation import Relation
from towpath.tables.snapshot import schema_digest

PAGE_BYTES = 1_400_000  # a changed page that grew beyond this is cut again
CONNECTIONS = 2  # to the new snapshot
AHEAD = 4  # pages


@dataclass(frozen=True, slots=True)
class TableChanges:
    """The changes of one table: cells by key (as `towpath.tables.opened` reads them), and its new pages."""

    entry: TableEntry  # the table as it is now
    inserted: dict[str, str] = field(default_factory=dict)
    updated: dict[str, tuple[str, str]] = field(default_factory=dict)  # key -> cells before, cells after
    deleted: dict[str, str] = field(default_factory=dict)
    ranges: tuple[tuple[str | None, str | None], ...] = ()  # the key ranges that hold the changes

    @property
    def count(self) -> int:
        """Rows that were inserted, updated or deleted."""
        return len(self.inserted) + len(self.updated) + len(self.deleted)


def find_changes(base: Manifest, old: Exporter, new: Exporter, report: Progress = silent) -> dict[str, TableChanges]:
    """Compare two snapshots; `report` counts rows.  Returns the changes of every table, by name, in load order.

    Raises BadInput when the schema changed, or a key is no longer usable: then a new export is needed.
    """
    if schema_digest(new.schema) != base.schema:
        raise BadInput(
            "the schema of the source changed since the export", object="source", next="begin again with 01-inventory"
        )
    with ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="changes") as pool:
        return {entry.name: _table(pool, entry, old, new, report) for entry in base.tables}


def _table(pool: Executor, entry: TableEntry, old: Exporter, new: Exporter, report: Progress) -> TableChanges:
    before, after = (side.relations[entry.name].paged_as(entry.key, entry.carries_rowid) for side in (old, new))
    new.relations[entry.name] = after
    if after.key != entry.key:
        raise BadInput(
            "the primary key holds NULLs since the export", object=entry.name, next="begin again with 01-inventory"
        )
    held = set(entry.reals) | set(new.real_columns(after))
    reals = tuple(c for c in after.columns if c in held)
    pages: list[Page] = []
    changes = TableChanges(entry)
    ranges: list[tuple[str | None, str | None]] = []
    for page, now in _read(pool, new, after, entry.pages, reals):
        report(now.rows)
        if (now.rows, now.text, now.reals) == (page.rows, page.text, page.reals):
            pages.append(page)
            continue
        ranges.append((page.low, page.high))
        _open(changes, (old, before), (new, after), page.low, page.high)
        pages += _cut(new, after, now, reals) if now.bytes > PAGE_BYTES else [now]
    entry = replace(entry, pages=tuple(pages), rows=sum(page.rows for page in pages), reals=reals)
    return replace(changes, entry=entry, ranges=tuple(ranges))


def _read(
    pool: Executor, new: Exporter, relation: Relation, pages: Sequence[Page], reals: tuple[str, ...]
) -> Iterator[tuple[Page, Page]]:
    """Each page as it was and as it is now, some of them read ahead."""
    waiting: deque[tuple[Page, Future[Page]]] = deque()
    try:
        for page in pages:
            waiting.append((page, pool.submit(new.page, relation, page.low, page.high, reals)))
            if len(waiting) == AHEAD:
                was, future = waiting.popleft()
                yield was, future.result()
        yield from ((was, future.result()) for was, future in waiting)
    finally:
        for _, future in waiting:
            future.cancel()


def _open(
    changes: TableChanges,
    old: tuple[Exporter, Relation],
    new: tuple[Exporter, Relation],
    low: str | None,
    high: str | None,
) -> None:
    (was_in, before), (is_in, after) = old, new
    left = dict(opened.source_rows(was_in.db, before, low, high))
    for key, cells in opened.source_rows(is_in.db, after, low, high):
        was = left.pop(key, None)
        if was is None:
            changes.inserted[key] = cells
        elif was != cells:
            changes.updated[key] = (was, cells)
    changes.deleted.update(left)


def _cut(new: Exporter, relation: Relation, page: Page, reals: tuple[str, ...]) -> Iterator[Page]:
    low, last, size = page.low, "", 0
    for row in encode.rows(new.db, relation, low=page.low, high=page.high):
        if size and size + row.size > CHUNK_BYTES:
            high = key_literal(last)
            yield new.page(relation, low, high, reals)
            low, size = high, 0
        size += row.size
        last = row.key
    yield new.page(relation, low, page.high, reals)
