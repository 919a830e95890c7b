"""Rows carried back into a PostgreSQL database, through the fit turned round; see `way_back.WayBack`.

Both looks at the source are taken exactly as 03-export takes its snapshot: captured, shaped into the target's form,
and at the end held against PostgreSQL's own word.  So "the source holds what the target holds" means here what it
meant on the way there.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import apsw

from towpath.checks import Progress, silent
from towpath.fitting.carrying import carry_back
from towpath.fitting.looking import Looked, Unfit, look
from towpath.fitting.multiset import as_multiset, remaining
from towpath.postgresql.connection import writing
from towpath.tables import opened
from towpath.tables.back import target_sequences, value_of
from towpath.tables.changes import TableChanges, find_changes
from towpath.tables.export import Exporter
from towpath.tables.keys import key_literal, key_shown
from towpath.tables.schema import quoted
from towpath.tables.snapshot import FILE
from towpath.tables.written import KEPT_BACK, OVERWRITTEN, Conflict, against_source, find_written
from towpath.workbench.server_origin import ServerOrigin
from towpath.workbench.state import State
from towpath.workbench.way_back import AFTER, BEFORE, Found, Now

if TYPE_CHECKING:
    from towpath.workbench.workbench import Workbench

SPELLED, SAME = "roll-back/in-other-words", "roll-back/in-other-words.jsonl"
SHOWN = 5
STEPS = {
    "CU208": "say the way under back or follows in mapping.yaml, or undo these changes on the target",
    "CU209": "correct these values on the target",
}


class ServerBack:
    """A PostgreSQL database takes the target's rows through the rules of mapping.yaml, backwards."""

    def __init__(self, bench: Workbench, origin: ServerOrigin) -> None:
        self.bench, self.origin = bench, origin
        self._looked: dict[str, Looked] = {}

    def find(self, state: State, report: Progress) -> Found:
        """What was written on the target, and what stands in its way; `report` counts rows."""
        there = find_written(self.bench.d1, state.manifest, state.exporter, report)
        before = self._snapshot(BEFORE)
        self.origin.let_go()
        turned = self.origin.fit.turning.tables
        multisets = {e.name for e in state.manifest.tables if e.carries_rowid}
        there = {name: as_multiset(one) if name in multisets else one for name, one in there.items()}
        with closing(writing(self.origin.name, self.bench.run.secret("source_password"))) as connection:
            self._looked = {name: look(connection, turned[name], one) for name, one in there.items() if name in turned}
        self._judge(before)
        written = {name: self._looked[name].changes if name in self._looked else one for name, one in there.items()}
        rows, conflicts = against_source(state.manifest, state.exporter, before, written)
        conflicts = [one for one in conflicts if one.table not in multisets]
        for name in multisets:
            rows[name], foreign = self._counted(state, before, written[name])
            conflicts += [Conflict(name, "", f"{foreign:,} rows: {OVERWRITTEN}")] if foreign else []
        conflicts += self._held(before, rows, conflicts)
        return Found(before, rows, tuple(conflicts))

    def carry(self, found: Found, report: Progress) -> int:
        """Write the rows into the database, in one transaction; `report` counts rows."""
        turned = self.origin.fit.turning.tables
        todo = [(turned[name], one) for name, one in found.rows.items() if name in turned and not turned[name].refused]
        last = target_sequences(self.bench.d1, found.before.schema)
        with closing(writing(self.origin.name, self.bench.run.secret("source_password"))) as connection:
            return carry_back(connection, self.origin.catalog, todo, last, report)

    def look_again(self, state: State) -> Now:
        """The database as it is after `carry`; PostgreSQL proves each page of it by its own expressions."""
        after = self._snapshot(AFTER)
        now = self._now(state, after)
        proved = self.origin.prove(after, now.manifest, silent)
        if proved is not None:
            self.bench.run.add(proved.checks)
        told = [(name, one) for name, one in self._looked.items() if one.spelled]
        return self._now(state, self._in_the_targets_words(after, dict(told))) if told else now

    # -- judging

    def _judge(self, before: Exporter) -> None:
        for code, object, expected in (
            ("CU208", "changes", "each has a way back"),
            ("CU209", "values", "each fits back into its column"),
        ):
            unfit = [
                self._named(before, name, one)
                for name, looked in self._looked.items()
                for one in (looked.no_way if code == "CU208" else looked.no_value)
            ]
            told = f"{len(unfit):,}: {'; '.join(unfit[:SHOWN])}{' …' if len(unfit) > SHOWN else ''}"
            found = told if unfit else "all do"
            self.bench.run.check(code, "cutover", object, expected, found, not unfit, STEPS[code], unfit)

    def _named(self, before: Exporter, table: str, one: Unfit) -> str:
        column = f".{one.column}" if one.column else ""
        return f"{table}{column} {key_shown(before.relations[table], one.key)}: {one.why}"

    def _counted(self, state: State, before: Exporter, written: TableChanges) -> tuple[TableChanges, int]:
        name = written.entry.name
        rows = []
        for side in (state.exporter, before):
            relation = side.relations[name].paged_as(written.entry.key, written.entry.carries_rowid)
            rows.append(cells for _, cells in opened.source_rows(side.db, relation, None, None))
        return remaining(written, *rows)

    def _held(self, before: Exporter, rows: Mapping[str, TableChanges], known: list[Conflict]) -> Iterator[Conflict]:
        """New rows under a key that the source has given to a row which no rule takes."""
        named = {(one.table, one.key) for one in known}
        for name, looked in self._looked.items():
            for key in looked.held & rows[name].inserted.keys():
                shown = key_shown(before.relations[name], key)
                if (name, shown) not in named:
                    yield Conflict(name, shown, KEPT_BACK)

    # -- looking at the source

    def _snapshot(self, name: str) -> Exporter:
        """The database as it is now, shaped as the target has it, kept in the record; its transaction stays open."""
        bench = self.bench
        taken = self.origin.take(bench.run.output(name), silent)
        return self._opened(taken)

    def _opened(self, path: Path) -> Exporter:
        exporter = Exporter(path, self.bench.decisions, sensitive=self.bench.sensitive)
        self.bench.on_close(exporter.close)
        self.bench.run.artefact(exporter.folder)
        return exporter

    def _now(self, state: State, after: Exporter) -> Now:
        found = find_changes(state.manifest, state.exporter, after)
        entries = tuple(change.entry for change in found.values())
        return Now(after, replace(state.manifest, tables=entries, chunks=(), sequences=after.schema.sequences))

    def _in_the_targets_words(self, after: Exporter, told: Mapping[str, Looked]) -> Exporter:
        """A copy in which every cell that the source writes in other words stands as the target writes it.

        Only where the source holds the value that PostgreSQL reads in the target's cell: JSON without spaces, a moment
        with fewer digits.  Each is written down.  The strict comparison is then one of values.
        """
        run = self.bench.run
        path = run.output(SPELLED) / FILE
        path.parent.mkdir(parents=True)
        shutil.copyfile(after.folder / FILE, path)
        path.chmod(0o600)
        listed, count = run.output(SAME), 0
        with closing(apsw.Connection(str(path))) as db, listed.open("w", encoding="utf-8") as file, db:
            for name, looked in told.items():
                relation = after.relations[name]
                for key, cells in looked.spelled.items():
                    for number, (theirs, ours) in cells.items():
                        column = quoted(relation.columns[number])
                        sql = f"UPDATE {quoted(name)} SET {column} = ? WHERE {relation.key_sql} = {key_literal(key)}"
                        db.execute(f"{sql} AND {column} IS ?", (value_of(theirs)[0], value_of(ours)[0]))
                        if not db.changes():
                            continue
                        count += 1
                        row = {"table": name, "key": key_shown(relation, key), "column": relation.columns[number]}
                        file.write(json.dumps(row, ensure_ascii=False) + "\n")
        path.chmod(0o444)
        run.artefact(listed)
        run.number("cells_in_other_words", count, "cells")
        return self._opened(path)
