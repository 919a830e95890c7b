"""What waits in the broker: every job once, counted by queue, task and state, and what stands against moving it."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from towpath.checks import Finding, Progress, silent
from towpath.jobs.broker import Broker, Redis, WrongKindError, named
from towpath.jobs.envelope import size
from towpath.jobs.message import Job, Unreadable, decode
from towpath.jobs.rules import DELAY_SECONDS, MESSAGE_BYTES, Findings

Known = tuple[str, str, str]  # id, queue and task of a job that was seen


class State(StrEnum):
    """Where a job stands.  Scheduled wins: a worker reserves a job with an ETA long before it runs it."""

    WAITING = "waiting"
    RESERVED = "reserved"
    SCHEDULED = "scheduled"


@dataclass(frozen=True, slots=True)
class Place:
    """A message in the broker: `held` if a worker has it."""

    held: bool
    tag: str


@dataclass(frozen=True, slots=True)
class Seen:
    """One job or unreadable message without its body; `codes` are the findings that it has a part in."""

    id: str
    queue: str
    task: str
    state: State
    place: Place
    digest: str
    retries: int
    codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Inventory:
    """What the broker held.  `jobs`: each id once; `consumers`: connections that take jobs or listen as workers do."""

    address: str
    queues: tuple[str, ...]
    jobs: tuple[Seen, ...]
    consumers: int
    findings: tuple[Finding, ...]
    at: dt.datetime

    @property
    def known(self) -> tuple[Known, ...]:
        """Id, queue and task of every job: what a later export must account for."""
        return tuple((job.id, job.queue, job.task) for job in self.jobs)

    @property
    def ids(self) -> frozenset[str]:
        """The ids of all jobs, and the names of messages that have none."""
        return frozenset(job.id for job in self.jobs)

    def count(self, by: str) -> Mapping[str, int]:
        """Jobs by `queue`, `task` or `state`, the most first."""
        counted = Counter(str(getattr(job, by)) for job in self.jobs)
        return MappingProxyType(dict(sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))))


Message = tuple[Job | Unreadable, bool]  # and whether a worker has it


def inventory(
    redis: Redis,
    queues: Sequence[str] | None = None,
    report: Progress = silent,
    *,
    prefix: str = "",
    tasks: Collection[str] | None = None,
    now: dt.datetime | None = None,
) -> Inventory:
    """Read every job in the broker and change nothing.

    `queues` None means all that Celery has bound; `prefix` is Celery's global_keyprefix; `tasks` are the names that the
    new application knows, None where nobody says.  `report` receives messages read.  Raises CannotFinish when Redis
    cannot be read.
    """
    broker, findings = Broker(redis, prefix), Findings()
    at = now or dt.datetime.now(dt.UTC)
    names = _named(broker, queues, findings)
    jobs: dict[str, Seen] = {}
    why: dict[str, str] = {}
    for message, held in read(broker, names, findings, report):
        seen = _seen(message, held, at, tasks)
        other = jobs.get(seen.id)
        if other is not None:
            seen = _kept(other, seen, findings)
        jobs[seen.id] = seen
        if isinstance(message, Unreadable):
            why.setdefault(seen.id, message.why)
    for seen in jobs.values():
        for code in seen.codes:
            detail = why[seen.id] if code in ("JO201", "JO202") else ""
            findings.add(code, seen.task if code == "JO209" else seen.queue, seen.id, detail)
    return Inventory(broker.address, names, tuple(jobs.values()), len(broker.consumers()), findings.sorted(), at)


def read(broker: Broker, queues: Sequence[str], findings: Findings, report: Progress) -> Iterator[Message]:
    """Every message of these queues in the order in which workers would take them; last what workers hold."""
    for queue in queues:
        try:
            for key, length in broker.lists(queue):
                first = broker.oldest(key)
                for raw in broker.messages(key, length):
                    yield decode(raw, queue), False
                    report(1)
                if broker.oldest(key) != first:
                    findings.add("JO107", queue, key)
        except WrongKindError:
            findings.add("JO106", queue, queue)
    bound = broker.queues()
    tags = set()
    for reserved in broker.unacked(bound):
        tags.add(reserved.tag)
        if reserved.since is None:
            findings.add("JO105", "unacked", reserved.tag)
        if reserved.queue in queues or not reserved.queue:
            yield decode(reserved.message, reserved.queue or "unacked"), True
            report(1)
        else:
            findings.add("JO101", reserved.queue, reserved.tag)
    for tag in sorted(broker.unacked_index().keys() - tags):
        findings.add("JO105", "unacked_index", tag)


def name_of(message: Job | Unreadable) -> str:
    """The id of a job, or what stands for it: where a message tells none, its delivery tag or digest."""
    return message.id or f"message {message.tag}"


def place_of(message: Job | Unreadable, held: bool) -> Place:
    """Where a message stands, so that it is found again."""
    return Place(held, message.tag)


def _named(broker: Broker, queues: Sequence[str] | None, findings: Findings) -> tuple[str, ...]:
    bound = broker.queues()
    names = named(queues, bound)
    for queue in sorted(bound.keys() - set(names)):
        if waiting := _waiting(broker, queue):
            findings.add("JO101", queue, f"{waiting:,} messages")
    for queue in names:
        if queue not in bound and not _waiting(broker, queue):
            findings.add("JO102", queue, queue)
    return names


def _waiting(broker: Broker, queue: str) -> int:
    try:
        return sum(length for _, length in broker.lists(queue))
    except WrongKindError:
        return 0


def _seen(message: Job | Unreadable, held: bool, now: dt.datetime, tasks: Collection[str] | None) -> Seen:
    place, id = place_of(message, held), name_of(message)
    if isinstance(message, Unreadable):
        state = State.RESERVED if held else State.WAITING
        return Seen(id, message.queue, message.task, state, place, "", 0, (message.code,))
    later = (message.eta - now).total_seconds() if message.eta is not None else 0.0
    state = State.SCHEDULED if later > 0 else State.RESERVED if held else State.WAITING
    wrong = {
        "JO108": message.priority > 0,
        "JO203": held,
        "JO204": later > 0,
        "JO205": later > DELAY_SECONDS,
        "JO206": size(message) > MESSAGE_BYTES,
        "JO208": message.followed,
        "JO209": tasks is not None and message.task not in tasks,
        "JO210": message.protocol == 1,
    }
    codes = tuple(code for code, holds in wrong.items() if holds)
    if message.expires is not None and message.expires <= now:
        codes = ("JO207",)  # nobody runs it: nothing else counts
    return Seen(id, message.queue, message.task, state, place, message.digest, message.retries, codes)


def _kept(one: Seen, other: Seen, findings: Findings) -> Seen:
    """Of two messages with the same id, the one that Celery would go on with."""
    if one.retries != other.retries:
        findings.add("JO103", other.queue, other.id)
        return max(one, other, key=lambda seen: seen.retries)
    if (one.digest, one.queue) != (other.digest, other.queue):
        findings.add("JO104", other.queue, other.id)
        return one
    findings.add("JO103", other.queue, other.id)
    return min(one, other, key=lambda seen: seen.place.held)
