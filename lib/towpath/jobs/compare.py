"""Proof: every job of the manifest is accounted for exactly once, as done, parked or arrived with its own content."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from towpath.checks import Check, Comparison, Difference, Progress, silent
from towpath.cloudflare.d1 import D1
from towpath.jobs.manifest import Disposition, Entry, Manifest
from towpath.jobs.rules import RULES, SAMPLES
from towpath.jobs.target import DEAD, TABLE, Received, counts, received

DEADLINE = 60.0  # seconds for messages that are still on their way
PAUSE = 0.2  # seconds between two looks
NAMED = 10_000  # differences that a result names; the checks count all of them


def compare(
    d1: D1,
    manifest: Manifest,
    report: Progress = silent,
    deadline: float = DEADLINE,
    *,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], object] = time.sleep,
) -> Comparison:
    """Compare what the consumers wrote with what was handed over, job by job, by id, queue, task and body.

    A message may still be on its way: as long as jobs are missing, it waits, at most `deadline` seconds.  `report`
    receives jobs compared, once.  Differences are the result, not an error: raises CannotFinish only when D1 cannot be
    read, BadInput when the manifest is damaged.
    """
    until, before = clock() + deadline, -1
    while True:
        total = sum(counts(d1))
        late = clock() >= until
        # counting is cheap and reading is not: rows are read when all may be there, or when nobody waits any more
        if late or (total >= manifest.sent and total != before):
            looked, before = _look(d1, manifest), total
            if late or not looked.tally["JO402"]:
                report(manifest.jobs)
                return looked.comparison(manifest)
        pause(PAUSE)


@dataclass
class _Look:
    """One reading of both sides."""

    target: str
    tally: Counter[str] = field(default_factory=Counter)
    named: list[Difference] = field(default_factory=list)

    def add(self, code: str, table: str, key: str, column: str, kind: str, expected: str, found: str) -> None:
        self.tally[code] += 1
        if len(self.named) < NAMED:
            self.named.append(Difference(table, key, column, kind, expected, found))

    def comparison(self, manifest: Manifest) -> Comparison:
        """The reading as a result."""
        good = manifest.jobs - self.tally["wrong"]
        told = f"{manifest.sent:,} handed over, {manifest.parked:,} parked, {manifest.done:,} done"
        rows = [self._check("JO401", f"{manifest.jobs:,}: {told}", f"{good:,} accounted for once", self.tally["wrong"])]
        for code, none, what in (
            ("JO402", "none missing", "missing"),
            ("JO403", "none foreign", "foreign"),
            ("JO404", "the contents told", "differ"),
            ("JO405", "none dead", "in the dead-letter queue"),
            ("JO406", "none twice", "twice"),
        ):
            number = self.tally[code]
            rows.append(self._check(code, none, f"{number:,} {what}" if number else "none", number))
        compared = {"jobs": manifest.jobs, "received": self.tally["received"], "bytes": self.tally["bytes"]}
        return Comparison("jobs", compared, tuple(rows), tuple(self.named))

    def _check(self, code: str, expected: str, found: str, wrong: int) -> Check:
        keys = () if code == "JO401" else self._keys(code)
        return RULES[code].check(self.target, expected, found, not wrong, keys)

    def _keys(self, code: str) -> tuple[str, ...]:
        keys = dict.fromkeys(difference.key for difference in self.named if _code(difference) == code)
        return tuple(keys)[:SAMPLES]


def _look(d1: D1, manifest: Manifest) -> _Look:
    look = _Look(f"D1 {d1.database_id}")
    jobs = {entry.id: _Job(entry) for entry in manifest}
    for table in (TABLE, DEAD):
        for row in received(d1, table):
            look.tally["received"] += 1
            look.tally["bytes"] += row.bytes
            _place(look, jobs.get(row.id), row, table)
    for id, job in jobs.items():
        if job.disposition is Disposition.SEND and not job.rows:
            look.add("JO402", TABLE, id, "", "missing", f"{job.task}, sha256 {job.digest}", "")
            job.wrong = True
    look.tally["wrong"] = sum(job.wrong for job in jobs.values())
    return look


class _Job:
    """What is expected of one job, without its body, and what was found of it."""

    __slots__ = ("digest", "disposition", "queue", "rows", "task", "wrong")

    def __init__(self, entry: Entry) -> None:
        self.disposition, self.queue, self.task, self.digest = entry.disposition, entry.queue, entry.task, entry.digest
        self.rows, self.wrong = 0, False


def _place(look: _Look, job: _Job | None, row: Received, table: str) -> None:
    if job is None:
        look.add("JO403", table, row.id, "", "extra", "", f"{row.task} in {row.queue}")
        return
    job.rows += 1
    if job.disposition is not Disposition.SEND or job.rows > 1:
        where = str(job.disposition) if job.disposition is not Disposition.SEND else TABLE
        look.add("JO406", table, row.id, "disposition", "changed", where, f"{where} and {table}")
        job.wrong = True
    elif table == DEAD:
        look.add("JO405", table, row.id, "reason", "changed", "received", row.reason)
        job.wrong = True
    for column, expected, found in _unlike(job, row):
        look.add("JO404", table, row.id, column, "changed", expected, found)
        job.wrong = True


def _unlike(job: _Job, row: Received) -> Iterator[tuple[str, str, str]]:
    """(column, expected, found); a body by its digest, because a record shows no body twice."""
    if job.disposition is not Disposition.SEND:
        return
    if row.queue != job.queue:
        yield "queue", job.queue, row.queue
    if row.task != job.task:
        yield "task", job.task, row.task
    elif row.digest != job.digest:
        yield "body", f"sha256 {job.digest}", f"sha256 {row.digest}"


def _code(difference: Difference) -> str:
    if difference.kind != "changed":
        return "JO402" if difference.kind == "missing" else "JO403"
    return {"reason": "JO405", "disposition": "JO406"}.get(difference.column, "JO404")
