"""Jobs out of the broker into a manifest, each with what becomes of it.  The broker itself is only read."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from towpath.checks import Check, Decision, Finding, Progress, Severity, decide, silent
from towpath.jobs.broker import Broker, Redis
from towpath.jobs.envelope import when
from towpath.jobs.inventory import Inventory, Known, Seen, inventory, name_of, read
from towpath.jobs.manifest import NAME, Disposition, Entry, Manifest, write
from towpath.jobs.message import Job, Unreadable
from towpath.jobs.rules import RULES, SAMPLES, Findings

LEFT = "it left the broker: a worker finished it"
EXPIRED = "JO207: it has expired"


@dataclass(frozen=True, slots=True)
class Exported:
    """The result of an export: the manifest, and what the rules found in the broker at that moment."""

    manifest: Manifest
    inventory: Inventory
    missing: tuple[str, ...]  # ids that were seen and stand nowhere in the manifest; must be none

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the rules found; to be judged with mapping.yaml and waivers.yaml."""
        return self.inventory.findings

    @property
    def checks(self) -> tuple[Check, ...]:
        """The export as rows of a phase's result."""
        manifest = self.manifest
        found = f"{manifest.jobs:,}: {manifest.sent:,} to send, {manifest.parked:,} parked, {manifest.done:,} done"
        expected = f"{manifest.jobs + len(self.missing):,}"
        keys = self.missing[:SAMPLES]
        return (RULES["JO303"].check(self.inventory.address, expected, found, not self.missing, keys),)


def export(
    redis: Redis,
    queues: Sequence[str] | None,
    folder: Path,
    report: Progress = silent,
    *,
    decisions: Sequence[Decision] = (),
    known: Iterable[Known] = (),
    prefix: str = "",
    tasks: Collection[str] | None = None,
    now: dt.datetime | None = None,
) -> Exported:
    """Write `folder`/jobs.jsonl: every job that the broker holds, and every `known` one that it held before.

    A job goes to the queue unless it has expired, or a finding says otherwise: one that is decided as `park`, or that
    nobody has decided, stays here.  A known job that is gone was finished by a worker.  `report` receives messages
    read, each of them twice.  Raises CannotFinish when Redis cannot be read; then there is no manifest.
    """
    seen = inventory(redis, queues, report, prefix=prefix, tasks=tasks, now=now)
    jobs = {job.id: job for job in seen.jobs}
    broker = Broker(redis, prefix)
    messages = (message for message, _ in read(broker, seen.queues, Findings(), report))
    before = {id: (queue, task) for id, queue, task in known}
    manifest = write(folder / NAME, _entries(messages, jobs, before, decisions))
    listed = {entry.id for entry in manifest}
    missing = tuple(sorted((jobs.keys() | before.keys()) - listed))
    return Exported(manifest, seen, missing)


def _entries(
    messages: Iterable[Job | Unreadable],
    jobs: dict[str, Seen],
    before: dict[str, tuple[str, str]],
    decisions: Sequence[Decision],
) -> Iterator[Entry]:
    left = dict(jobs)
    for message in messages:
        job = left.get(name_of(message))
        if job is not None and job.place.tag == message.tag:
            del left[job.id]
            yield _entry(message, job, decisions)
    for job in left.values():
        yield Entry(job.id, job.queue, job.task, job.state, Disposition.DONE, LEFT)
    for id, (queue, task) in before.items():
        if id not in jobs:
            yield Entry(id, queue, task, "", Disposition.DONE, LEFT)


def _entry(message: Job | Unreadable, job: Seen, decisions: Sequence[Decision]) -> Entry:
    disposition, why = _disposition(job, decisions)
    if isinstance(message, Unreadable):
        raw = base64.b64encode(message.raw).decode()
        return Entry(job.id, job.queue, job.task, job.state, Disposition.PARK, f"{why} ({message.why})", raw=raw)
    eta, expires = when(message.eta), when(message.expires)
    return Entry(job.id, job.queue, job.task, job.state, disposition, why, eta, expires, message.body)


def _disposition(job: Seen, decisions: Sequence[Decision]) -> tuple[Disposition, str]:
    if "JO207" in job.codes:
        return Disposition.DONE, EXPIRED
    reasons = []
    for code in (code for code in job.codes if RULES[code].severity is Severity.DECIDE):
        decision = decide(code, job.task if code == "JO209" else job.queue, decisions)
        if decision is None or decision.do not in RULES[code].choices:
            return Disposition.PARK, f"{code}: nobody has decided"
        if decision.do == "park":
            return Disposition.PARK, f"{code}: {decision.reason}"
        reasons.append(f"{code}: {decision.reason}")
    return Disposition.SEND, "; ".join(reasons)
