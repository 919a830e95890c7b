"""Rows carried back into a SQLite file; see `towpath.workbench.way_back.WayBack`."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from towpath.checks import Progress
from towpath.tables.back import carry_back, target_sequences
from towpath.tables.changes import find_changes
from towpath.tables.export import Exporter
from towpath.tables.snapshot import take
from towpath.tables.source import open_source
from towpath.tables.written import against_source, find_written
from towpath.workbench.state import State
from towpath.workbench.way_back import AFTER, BEFORE, Found, Now

if TYPE_CHECKING:
    from towpath.workbench.workbench import Workbench


class FileBack:
    """A SQLite file takes the target's own rows: both sides have one schema."""

    def __init__(self, bench: Workbench) -> None:
        self.bench = bench
        self._since: tuple[int, ...] = ()

    def find(self, state: State, report: Progress) -> Found:
        """What was written on the target, and what stands in its way; `report` counts rows."""
        there = find_written(self.bench.d1, state.manifest, state.exporter, report)
        self._since = self.bench.origin.version()
        before = self._snapshot(BEFORE, closed_cleanly=self.bench.params.source_closed_cleanly)
        rows, conflicts = against_source(state.manifest, state.exporter, before, there)
        return Found(before, rows, tuple(conflicts))

    def carry(self, found: Found, report: Progress) -> int:
        """Write the rows into the file, in one transaction; `report` counts rows."""
        last = target_sequences(self.bench.d1, found.before.schema)
        source, origin = self.bench.run.source("source_database"), self.bench.origin
        asked = partial(origin.unwritten, self._since)
        return carry_back(source, found.before, found.rows, last, report, unwritten=asked)

    def look_again(self, state: State) -> Now:
        """The file as it is after `carry`, with what proves each page of it."""
        after = self._snapshot(AFTER, closed_cleanly=True)  # what this phase wrote and closed, it closed cleanly
        found = find_changes(state.manifest, state.exporter, after)
        entries = tuple(change.entry for change in found.values())
        return Now(after, replace(state.manifest, tables=entries, chunks=(), sequences=after.schema.sequences))

    def _snapshot(self, name: str, *, closed_cleanly: bool) -> Exporter:
        """The file as it is now, kept in the record."""
        bench = self.bench
        with closing(open_source(bench.run.source("source_database"), closed_cleanly=closed_cleanly)) as source:
            taken = take(source, bench.run.output(name))
            exporter = Exporter(taken, bench.decisions, sensitive=bench.sensitive)
        bench.on_close(exporter.close)
        bench.run.artefact(exporter.folder)
        return exporter
