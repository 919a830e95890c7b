"""How long the source is frozen, and how long the way back takes: the rows of both, against the real local runtime.

Run by hand:  .venv/bin/python tests/benchmarks/cutover.py [--rows 1000000] [--changes 100000] [--hard]

One table of a million rows is carried over and then changed: of a hundred changes sixty are updates and fifteen
deletes, spread over the whole table, so that no page is what it was, and twenty-five are new rows.  First the old
application changes it, and the delta goes over through the closed fence; then the new one, and its writes come back.
With --hard the rows also refer to each other and have a number that is unique by a column and by an expression.

Goals: at most 60 s from freeze to proof, at most 5 minutes for the way back, at 100,000 changes of 1,000,000 rows.
"""

from __future__ import annotations

import argparse
import random
import resource
import secrets
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw

from towpath.cloudflare.d1 import D1
from towpath.local import State, start
from towpath.tables import compare, fence, load, snapshot, target
from towpath.tables.back import carry_back, target_sequences
from towpath.tables.changes import find_changes
from towpath.tables.delta import write_delta
from towpath.tables.export import Exporter
from towpath.tables.manifest import Manifest
from towpath.tables.source import open_source
from towpath.tables.written import against_source, find_written

ROOT = Path(__file__).resolve().parents[2]
CLAIM = {"system": "bench", "environment": "local", "run": "bench"}
DDL = (
    "CREATE TABLE person (id TEXT PRIMARY KEY NOT NULL, name TEXT NOT NULL)",
    "CREATE TABLE message (id INTEGER PRIMARY KEY AUTOINCREMENT, person_id TEXT NOT NULL REFERENCES person (id),"
    " body TEXT NOT NULL, score REAL, seen INTEGER NOT NULL, at TEXT NOT NULL)",
)
HARD = (
    DDL[0],
    DDL[1][:-1] + ", reply_to INTEGER REFERENCES message (id), ticket TEXT UNIQUE)",
    "CREATE UNIQUE INDEX one_ticket ON message (lower(ticket))",
)
INDEX = "CREATE INDEX message_of ON message (person_id, at)"
WORDS = ("it's", "naïve", "漢字", "plain", "words", "😀", '"quoted"', "Straße", "and", "more", "text", "of", "people")
PERSONS = 1_000
FREEZE, WAY_BACK = "from freeze to proof", "the way back"


def main() -> int:
    """Measure, print one line for each step, and return 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--changes", type=int, default=100_000)
    parser.add_argument("--hard", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="towpath-bench-") as name:
        folder = Path(name)
        source = make(folder / "source.sqlite", given.rows, hard=given.hard)
        state = State(folder / "runtime")
        with (
            start("bench", "local", 0, bucket="bench", database_id="bench", root=ROOT, state=state) as runtime,
            runtime.client() as client,
        ):
            d1 = D1(client, f"bench-{secrets.token_hex(8)}")
            voyage = Voyage(source, folder, d1, given.rows, given.changes, hard=given.hard)
            voyage.over()
            voyage.back()
    return 0


class Voyage:
    """One move, its cutover and its way back."""

    def __init__(self, source: Path, folder: Path, d1: D1, rows: int, changes: int, *, hard: bool) -> None:
        self.source, self.folder, self.d1, self.rows, self.changes = source, folder, d1, rows, changes
        self.hard = hard
        self.steps: dict[str, float] = {}
        self.last = self.carried()

    def carried(self) -> tuple[Exporter, Manifest]:
        """Everything as it is before the freeze."""
        exporter = self.copy("0")
        made = exporter.export("plan", {})
        target.apply_migration(self.d1, "0001_tables.sql", HARD[:2] if self.hard else DDL, CLAIM)
        load.load(self.d1, exporter.folder, made)
        load.finish(self.d1, made, [INDEX, *HARD[2:]] if self.hard else [INDEX], exporter.schema.sequences)
        fence.install(self.d1)
        return exporter, made

    def over(self) -> None:
        """From the freeze to the proof."""
        with closing(apsw.Connection(str(self.source))) as db, db:
            for sql in changed(self.rows, self.changes, hard=self.hard):
                db.execute(sql)
        old, base = self.last
        new = self.timed("snapshot", self.copy, "1")
        found = self.timed("find changes", find_changes, base, old, new)
        made = self.timed("write delta", write_delta, new, found, base, (), "plan", {})
        self.timed("send delta", load.load, self.d1, new.folder, made)
        self.proved(made, new)
        self.told(FREEZE, sum(change.count for change in found.values()))
        old.close()
        self.last = new, made

    def back(self) -> None:
        """From the fence that is shut to the proof."""
        fence.open(self.d1)
        self.d1.batch(changed(self.rows, self.changes, after=self.rows + self.changes, salt=3, hard=self.hard))
        exporter, made = self.last
        self.timed("shut", fence.shut, self.d1)
        written = self.timed("find written", find_written, self.d1, made, exporter)
        now = self.timed("snapshot before", self.copy, "2")
        todo, conflicts = self.timed("against source", against_source, made, exporter, now, written)
        if conflicts:
            raise RuntimeError("nobody wrote to the source")
        last = target_sequences(self.d1, now.schema)
        count = self.timed("carry back", carry_back, self.source, now, todo, last)
        after = self.timed("snapshot after", self.copy, "3")
        again = self.timed("look again", find_changes, made, exporter, after)
        entries = tuple(change.entry for change in again.values())
        self.proved(replace(made, tables=entries, chunks=(), sequences=after.schema.sequences), after)
        self.told(WAY_BACK, count)

    def copy(self, name: str) -> Exporter:
        """A snapshot of the source as it is."""
        with closing(open_source(self.source, closed_cleanly=True)) as db:
            return Exporter(snapshot.take(db, self.folder / name))

    def proved(self, made: Manifest, exporter: Exporter) -> None:
        """Every cell of both sides."""
        if not self.timed("proof", compare.compare, self.d1, made, exporter.db, exporter.relations).equal:
            raise RuntimeError("the benchmark's own move was not proved")

    def timed(self, step: str, function: Callable[..., Any], *given: Any) -> Any:
        """Call, and keep the seconds under the name of the step."""
        began = time.perf_counter()
        answer = function(*given)
        self.steps[step] = time.perf_counter() - began
        return answer

    def told(self, way: str, changes: int) -> None:
        """One line for each step, and the sum."""
        for step, seconds in self.steps.items():
            print(f"  {step:<16} {seconds:7.2f} s")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        total = sum(self.steps.values())
        print(f"{way}: {total:.1f} s, {changes:,} changes of {self.rows:,} rows, peak {peak:.0f} MB", flush=True)
        self.steps.clear()


def changed(rows: int, changes: int, after: int = 0, salt: int = 1, *, hard: bool) -> list[str]:
    """Statements that make so many changes; new rows get ids above `after`, or the next ones."""
    step, new = rows // (changes * 60 // 100), changes * 25 // 100
    gone = rows // (changes * 15 // 100)
    series = f"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {new})"
    more = f", ticket = 'Again-' || id || '-{salt}', reply_to = 1 + {step} * (id / {step} / 3)" if hard else ""
    return [
        f"UPDATE message SET seen = 1 - seen, body = body || ' again {salt}', score = id / 7.0 + {salt}{more}"
        f" WHERE id <= {rows} AND id % {step} = {salt % step}",
        f"UPDATE message SET reply_to = NULL WHERE reply_to % {gone} = {salt * 2 % gone}" if hard else "SELECT 1",
        f"DELETE FROM message WHERE id <= {rows} AND id % {gone} = {salt * 2 % gone}",
        f"INSERT INTO message (id, person_id, body, score, seen, at) {series}"
        f" SELECT {after or rows} + i, 'person-' || (i % {PERSONS}), 'new ' || i || ' it''s 漢字', i / 3.0, 0, '2026'"
        " FROM n",
    ]


def make(path: Path, rows: int, *, hard: bool) -> Path:
    """A seeded source."""
    seeded = random.Random(8)

    def row(number: int) -> tuple[object, ...]:
        body = " ".join(seeded.choices(WORDS, k=seeded.randrange(4, 40)))
        at = f"2026-{seeded.randrange(1, 13):02}-{seeded.randrange(1, 29):02}T10:00:00+00:00"
        return number, f"person-{seeded.randrange(PERSONS)}", body, seeded.random() * 100, number % 2, at

    with closing(apsw.Connection(str(path))) as db:
        db.execute(f"PRAGMA journal_mode = OFF; {'; '.join(HARD if hard else DDL)}; {INDEX}").fetchall()
        with db:
            db.executemany("INSERT INTO person VALUES (?, ?)", ((f"person-{n}", f"Person {n}") for n in range(PERSONS)))
            db.executemany(
                "INSERT INTO message (id, person_id, body, score, seen, at) VALUES (?, ?, ?, ?, ?, ?)",
                map(row, range(1, rows + 1)),
            )
            if hard:
                db.execute("UPDATE message SET ticket = 'Ticket-' || id, reply_to = iif(id % 5 = 0, id - id % 3, NULL)")
    return path


if __name__ == "__main__":
    raise SystemExit(main())
