"""A snapshot exported as ready statements, with the proof of every page.

The caller's thread encodes rows in key order; two helpers evaluate the page of each finished range, on connections of
their own, and compress its statements.  Memory does not depend on the size of the source.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw

from towpath.checks import Decision, Progress, silent
from towpath.errors import BadInput, CannotFinish
from towpath.sensitive import NOTHING, Sensitive
from towpath.tables import canonical, encode
from towpath.tables.keys import key_literal
from towpath.tables.literals import exact_literal
from towpath.tables.manifest import NAME, ChunkWriter, Manifest, Page, TableEntry
from towpath.tables.order import LoadOrder, bound_by_checks, load_order
from towpath.tables.overlay import Overlay, relations
from towpath.tables.relation import Relation, keys
from towpath.tables.schema import quoted, reflect
from towpath.tables.snapshot import open_snapshot, schema_digest, told_if_damaged
from towpath.tables.statements import Sink, insert_header, item, link_statement, longest
from towpath.tables.virtual import filled

CHUNK_BYTES = 900_000  # about nine statements; the page of the same rows stays under D1's 2,000,000 for any string
LONG_ROW_BYTES = 900_000  # a row whose canonical text is read cell by cell
TOGETHER_BYTES = 4_000_000  # a circle of tables that must share one request
DEFERRED = item(b"PRAGMA defer_foreign_keys = on")  # holds to the end of its transaction


class Exporter:
    """Exports one snapshot file.  Two helpers evaluate pages and compress, while the caller's thread encodes."""

    def __init__(
        self, path: Path, decisions: Sequence[Decision] = (), prefix: str = "", sensitive: Sensitive = NOTHING
    ) -> None:
        self.path = path
        self.folder = path.parent
        self.db = open_snapshot(path)
        with told_if_damaged(path):
            self.schema = reflect(self.db, sensitive)
            self._overlay = Overlay(self.schema, decisions, keys(self.db, self.schema))
            self._overlay.prepare(self.db)
            order = load_order(self.schema, bound_by_checks(self.db, self.schema))
        own = filled(self.schema, decisions)
        self.relations = relations(self._overlay) | own
        self.order: LoadOrder = replace(order, tables=(*order.tables, *own))
        self.prefix = prefix or hashlib.sha256(str(dt.datetime.now(dt.UTC)).encode()).hexdigest()[:12]
        self._local = threading.local()

    def close(self) -> None:
        """Close the snapshot."""
        self.db.close()

    def export(self, plan: str, source: dict[str, Any], report: Progress = silent) -> Manifest:
        """Write chunks and manifest; `report` counts rows.  Raises CannotFinish on a full disk, BadInput on a circle of
        tables too large for one transaction; there is no manifest then."""
        writer = ChunkWriter(self.folder, self.prefix)
        entries: dict[str, TableEntry] = {}
        try:
            clear(self.folder)
            with told_if_damaged(self.path), ThreadPoolExecutor(2, thread_name_prefix="page") as pool:
                for number, name in enumerate(self.order.tables):
                    group = self.order.group_of(name)
                    entries[name] = self._table(name, number, writer, pool, report, grouped=group is not None)
                    if group is not None and all(member in entries for member in group):
                        self._together(group, writer)
                for number, name in enumerate(self.order.late):
                    self._links(name, number, writer)
            manifest = Manifest(
                id=self.prefix,
                created=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
                schema=schema_digest(self.schema),
                plan=plan,
                source=source,
                tables=tuple(entries[name] for name in self.order.tables),
                chunks=tuple(writer.chunks),
                sequences=self.schema.sequences,
                parked={name: count for name in self.order.tables if (count := self.parked_count(name))},
            )
            manifest.write(self.folder)
        except (OSError, apsw.FullError, apsw.IOError) as error:  # SQLite writes too: it sorts on disk
            raise cannot_write(self.folder, error) from None
        return manifest

    # -- pages

    def page(self, relation: Relation, low: str | None, high: str | None, reals: tuple[str, ...]) -> Page:
        """Evaluate one page of the snapshot, on a connection of the calling thread."""
        db = self._connection()
        rows, text, numbers = db.execute(canonical.page_sql(relation, low, high, reals, "bytes")).get
        data = bytes(text)
        if rows == 1 and len(data) > LONG_ROW_BYTES:
            digest = canonical.Digest(1, cells_digest(db, relation, low, high), "")
            return Page(low, high, 1, len(data), "cells", digest.text, "")
        digest = canonical.digest(rows, data, numbers)
        return Page(low, high, rows, len(data), canonical.form_of(data), digest.text, digest.reals)

    def real_columns(self, relation: Relation) -> tuple[str, ...]:
        """The columns that hold at least one real in this snapshot.  A column of TEXT affinity cannot."""
        candidates = [c.name for c in relation.table.stored if c.affinity != "TEXT"]
        found: list[str] = []
        for start in range(0, len(candidates), 50):
            part = candidates[start : start + 50]
            flags = ", ".join(f"max(typeof({quoted(c)}) = 'real')" for c in part)
            row = self.db.execute(f"SELECT {flags} FROM {quoted(relation.name)}").get
            values = row if isinstance(row, tuple) else (row,)
            found += [c for c, flag in zip(part, values, strict=True) if flag]
        return tuple(found)

    def parked_count(self, name: str) -> int:
        """How many rows of the table stay behind."""
        relation = self.relations[name]
        if not relation.parked:
            return 0
        return int(self.db.execute(f"SELECT count(*) FROM {quoted(name)} WHERE {relation.parked}").get)

    def parked_rows(self, name: str) -> Iterable[tuple[str, ...]]:
        """The rows that stay behind, every column as its exact literal, in key order."""
        relation = self.relations[name]
        if relation.parked:
            cells = ", ".join(exact_literal(f"{quoted(name)}.{quoted(c)}") for c in relation.columns)
            yield from self.db.execute(f"SELECT {cells} FROM {quoted(name)} WHERE {relation.parked}{relation.order}")

    def _connection(self) -> apsw.Connection:
        if not hasattr(self._local, "db"):
            self._local.db = open_snapshot(self.path)
            self._overlay.prepare(self._local.db)
        db: apsw.Connection = self._local.db
        return db

    # -- chunks

    def _table(
        self, name: str, number: int, writer: ChunkWriter, pool: ThreadPoolExecutor, report: Progress, *, grouped: bool
    ) -> TableEntry:
        relation = self.relations[name]
        late = frozenset(self.order.late.get(name, ()))
        reals = self.real_columns(relation)
        header = insert_header(relation)
        pages: list[Page] = []
        waiting: deque[tuple[int, Future[tuple[bytes, int, str]] | None, Future[Page]]] = deque()

        def settle(until: int) -> None:
            while len(waiting) > until:
                rows, packed, page = waiting.popleft()
                if packed is not None:
                    writer.append(f"{number:03d}.chunks", name, "rows", rows, packed.result())
                pages.append(page.result())
                report(rows)

        def cut(sink: Sink, low: str | None, high: str | None) -> None:
            packed = None if grouped or not sink.rows else pool.submit(writer.pack, sink.finish())
            waiting.append((sink.rows, packed, pool.submit(self.page, relation, low, high, reals)))
            settle(3)

        sink, low, total = Sink(header), None, 0
        last: str | None = None
        for row in encode.rows(self.db, relation, late, longest=longest(header)):
            if sink.rows and sink.size + row.size > CHUNK_BYTES:
                assert last is not None
                high = key_literal(last)
                cut(sink, low, high)
                sink, low = Sink(header), high
            sink.add(row)
            last = row.key
            total += 1
        cut(sink, low, None)
        settle(0)
        return TableEntry(name, relation.columns, relation.key, relation.carries_rowid, total, reals, tuple(pages))

    def _together(self, group: tuple[str, ...], writer: ChunkWriter) -> None:
        """A circle of tables as one chunk that defers the foreign keys to the end of its transaction."""
        items = [DEFERRED]
        count = size = 0
        for name in group:
            relation = self.relations[name]
            late = frozenset(self.order.late.get(name, ()))
            sink = Sink(insert_header(relation))
            for row in encode.rows(self.db, relation, late, longest=longest(sink.header)):
                sink.add(row)
                if size + sink.size > TOGETHER_BYTES:
                    raise BadInput(
                        "the tables refer to each other in a circle of NOT NULL columns, too large for one transaction",
                        object=" ↔ ".join(group),
                        next="make one of the references nullable in the source, or declare it without a foreign key",
                    )
            items += sink.finish()
            count, size = count + sink.rows, size + sink.size
        writer.append("together.chunks", ", ".join(group), "rows", count, writer.pack(items))

    def _links(self, name: str, number: int, writer: ChunkWriter) -> None:
        """Statements that set the references which were sent as NULL."""
        relation = self.relations[name]
        late = self.order.late[name]
        values, head, tail = link_statement(relation, late)
        some = " OR ".join(f"{relation.value(c)} IS NOT NULL" for c in late)
        pending: list[bytes] = []
        items: list[bytes] = []
        rows = size = total = 0

        def flush(least: int) -> None:
            nonlocal pending, items, rows, size, total
            if pending and size > least:
                items.append(item(head + b",\n".join(pending) + tail))
                total, pending, size = total + size, [], 0
            if items and total > (CHUNK_BYTES if least else 0):
                packed = writer.pack(items)
                writer.append(f"links-{number:03d}.chunks", name, "links", rows, packed)
                items, rows, total = [], 0, 0

        for literal in encode.tuples(self.db, relation, values, some):
            if size + len(literal) + 2 > encode.STATEMENT_BYTES - len(head) - len(tail):
                flush(1)
            pending.append(literal)
            rows, size = rows + 1, size + len(literal) + 2
        flush(0)


def clear(folder: Path) -> None:
    """Take away what an earlier attempt left: first the manifest, which vouches for the chunks."""
    for old in (folder / NAME, *folder.glob("*.chunks")):
        old.unlink(missing_ok=True)


def cannot_write(folder: Path, error: Exception) -> CannotFinish:
    """What to say when the disk takes no more."""
    what = error.strerror if isinstance(error, OSError) else str(error)
    return CannotFinish(
        f"the export could not be written: {what}", object=folder.name, next="free disk space, run 03-export again"
    )


def cells_digest(db: apsw.Connection, relation: Relation, low: str | None, high: str | None) -> str:
    """SHA-256 of one long row, cell by cell: type, length in bytes, bytes (a number by its literal)."""
    out = hashlib.sha256()
    for value in filter(None, (relation.rowid, *map(relation.value, relation.columns))):
        sql = f"SELECT typeof({value}), CAST(iif(typeof({value}) = 'real', quote({value}), {value}) AS BLOB)"
        kind, data = db.execute(f"{sql} FROM {quoted(relation.name)}{relation.where(low, high)}").get
        out.update(f"{kind}:{len(data or b'')}:".encode() + (data or b""))
    return out.hexdigest()
