"""The way back of jobs: what did not run on the new side waits in Celery's broker, once; what ran is gone there.

The broker was only read on the way there, so it still holds what was handed over.  What the new side has run is taken
out of it; what it has not run stays, and the consumer is told to leave it alone; what the broker does not hold (a job
of the new side's own, or one that somebody took out) is pushed.  Receipts stand in Redis, written in the transaction
that pushes, or before it for what stays.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from towpath.checks import Progress, silent
from towpath.cloudflare.d1 import D1
from towpath.errors import BadInput, CannotFinish
from towpath.jobs.broker import Broker, Consumer, Redis
from towpath.jobs.envelope import celery_message
from towpath.jobs.manifest import Entry, Manifest
from towpath.jobs.message import decode
from towpath.jobs.target import Kept, hand_back, kept

RECEIPTS = "_towpath/jobs-back"  # a set of ids, in the broker's database
RECEIPT_SECONDS = 7 * 86_400
TOGETHER = 100  # changes in one transaction
NOTED = 1_000  # receipts in one command
UNDER_WAY = "a consumer of the new side has taken it up and not finished it"
UNKNOWN = "job_states names it, and neither table of jobs holds it"
FOREIGN_QUEUE = "its queue is not one of jobs.queues in mapping.yaml"
FOREIGN_TASK = "its task is not one of jobs.tasks in mapping.yaml: would Celery know it?"


@dataclass(frozen=True, slots=True)
class Held:
    """One message in the broker: in a list under `key`, or, with "" as key, taken by a worker under the tag `value`."""

    id: str
    key: str
    value: bytes
    message: bytes


@dataclass(frozen=True, slots=True)
class Given:
    """A job that is to be pushed."""

    id: str
    queue: str
    task: str
    message: bytes


@dataclass(frozen=True, slots=True)
class Back:
    """What becomes of every job that the new side knows.  `conflicts` are ids with the reason why nothing is done."""

    give: tuple[Given, ...]  # the broker lacks them
    take: tuple[Held, ...]  # the new side has run them, and the broker still holds them
    stay: tuple[str, ...]  # the broker holds them, and nobody has run them
    done: tuple[str, ...]  # the new side has run them
    over: tuple[str, ...]  # nobody would run them: they have expired, or are no jobs at all
    given: tuple[str, ...]  # Celery's since an earlier attempt: pushed by it or left there, and taken by a worker since
    conflicts: tuple[tuple[str, str], ...]
    consumers: tuple[Consumer, ...]  # connections that take jobs; there must be none

    @property
    def returned(self) -> tuple[str, ...]:
        """The ids that are Celery's again."""
        return (*(one.id for one in self.give), *self.stay, *self.given)

    @property
    def count(self) -> int:
        """Messages that are to be written into the broker, or taken out of it."""
        return len(self.give) + len(self.take)


@dataclass(frozen=True, slots=True)
class Proved:
    """Both sides looked at again: ids that Celery does not hold and must, holds and must not, and that came since."""

    jobs: int
    missing: tuple[str, ...]
    twice: tuple[str, ...]
    came: tuple[str, ...]

    @property
    def wrong(self) -> tuple[str, ...]:
        """What is wrong, named."""
        told = [(self.missing, "not in the broker"), (self.twice, "run on the new side, and in the broker")]
        told.append((self.came, "came to the new side since"))
        return tuple(f"{id}: {what}" for ids, what in told for id in ids)


@dataclass(slots=True)
class _Found:
    give: list[tuple[int, Given]] = field(default_factory=list)  # with the second in which it arrived
    take: list[Held] = field(default_factory=list)
    stay: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    over: list[str] = field(default_factory=list)
    given: list[str] = field(default_factory=list)
    conflicts: list[tuple[str, str]] = field(default_factory=list)


def find_back(
    d1: D1,
    redis: Redis,
    manifest: Manifest | None,
    queues: Sequence[str],
    tasks: Collection[str] | None = None,
    report: Progress = silent,
    *,
    now: dt.datetime | None = None,
) -> Back:
    """Hold what the consumers know against the broker; `report` counts jobs.  `manifest`: what was handed over.

    Raises CannotFinish when one side cannot be read, or the consumers do not say what ran.
    """
    at, broker = now or dt.datetime.now(dt.UTC), Broker(redis)
    handed = {entry.id: entry for entry in manifest.handed_over} if manifest is not None else {}
    known = {job.id: job for job in kept(d1)}
    held: dict[str, list[Held]] = {}
    for message in _messages(broker, queues):
        held.setdefault(message.id, []).append(message)
    receipts = {one.decode() for one in broker.attempt(lambda: redis.smembers(RECEIPTS))}
    found = _Found()
    for id in sorted(known.keys() | handed.keys()):
        places, job = held.get(id, []), _job(known.get(id), handed.get(id))
        report(1)
        if job.ran:
            found.done.append(id)
            found.take += places
        elif job.begun and not job.dead:
            found.conflicts.append((id, UNDER_WAY))
        elif not job.queue and not job.dead:
            found.conflicts.append((id, UNKNOWN))
        elif places:
            found.stay.append(id)
        elif id in receipts:
            found.given.append(id)
        elif _expired(job, at) or not job.queue:
            found.over.append(id)
        else:
            _give(found, job, id in handed, queues, tasks)
    return Back(
        give=tuple(one for _, one in sorted(found.give, key=lambda pair: (pair[0], pair[1].id))),
        take=tuple(found.take),
        stay=tuple(found.stay),
        done=tuple(found.done),
        over=tuple(found.over),
        given=tuple(found.given),
        conflicts=tuple(found.conflicts),
        consumers=broker.consumers(),
    )


def carry_jobs_back(d1: D1, redis: Redis, back: Back, report: Progress = silent, *, now: int) -> int:
    """Tell the consumer to leave them alone, then change the broker; returns the number of messages; safe to repeat.

    `report` counts messages; `now` in seconds since 1970.  Raises CannotFinish when a consumer took one up meanwhile:
    then nothing was pushed.
    """
    broker = Broker(redis)
    for start in range(0, len(back.stay), NOTED):  # before anything: if a worker runs one now, it is not pushed later
        broker.attempt(partial(_note, redis, back.stay[start : start + NOTED]))
    hand_back(d1, back.returned, now)
    wanted = set(back.returned)
    if begun := [job.id for job in kept(d1) if job.id in wanted and not job.returned and not job.dead]:
        what = f"a consumer took up {len(begun):,} jobs meanwhile, such as {begun[0]}"
        raise CannotFinish(what, object=f"D1 {d1.database_id}", next="run the phase again: they count as done then")
    changes: list[Given | Held] = [*back.give, *back.take]
    for start in range(0, len(changes), TOGETHER):
        some = changes[start : start + TOGETHER]
        broker.attempt(partial(_change, redis, some))
        report(len(some))
    return len(changes)


def prove_jobs_back(d1: D1, redis: Redis, back: Back, queues: Sequence[str]) -> Proved:
    """Look at both sides again: every job that is Celery's is there, none that ran is, and none came since."""
    held = {message.id for message in _messages(Broker(redis), queues)}
    known = {*back.returned, *back.done, *back.over, *(id for id, _ in back.conflicts)}
    came = [job.id for job in kept(d1) if job.id not in known or (job.ran and job.id not in back.done)]
    before = set(back.given)  # an old worker may have run those since
    missing = [id for id in back.returned if id not in held and id not in before]
    return Proved(len(known), tuple(missing), tuple(id for id in back.done if id in held), tuple(sorted(came)))


def _job(job: Kept | None, entry: Entry | None) -> Kept:
    """A job as both sides tell it; what was handed over knows its times best."""
    if entry is None:
        assert job is not None
        return job
    return Kept(
        id=entry.id,
        queue=entry.queue,
        task=entry.task,
        body=entry.body or "",
        received=job.received if job else 0,
        eta=entry.eta,
        expires=entry.expires,
        begun=bool(job and job.begun),
        ran=bool(job and job.ran),
        returned=bool(job and job.returned),
        dead=bool(job and job.dead),
    )


def _expired(job: Kept, now: dt.datetime) -> bool:
    try:
        time = dt.datetime.fromisoformat(job.expires) if job.expires else None
    except ValueError:
        return False
    return time is not None and (time if time.tzinfo else time.replace(tzinfo=dt.UTC)) <= now


def _give(found: _Found, job: Kept, handed: bool, queues: Sequence[str], tasks: Collection[str] | None) -> None:
    if job.queue not in queues:
        found.conflicts.append((job.id, FOREIGN_QUEUE))
    elif not handed and tasks is not None and job.task not in tasks:
        found.conflicts.append((job.id, FOREIGN_TASK))
    else:
        try:
            message = celery_message(job.id, job.queue, job.task, job.body, job.eta, job.expires)
        except BadInput as error:
            found.conflicts.append((job.id, error.what))
        else:
            found.give.append((job.received, Given(job.id, job.queue, job.task, message)))


def _messages(broker: Broker, queues: Sequence[str]) -> Iterator[Held]:
    """Every message of the broker of which the id can be read."""
    for queue in queues:
        for key, length in broker.lists(queue):
            for raw in broker.messages(key, length):
                if id := decode(raw, queue).id:
                    yield Held(id, key, raw, raw)
    for reserved in broker.unacked(broker.queues()):
        if id := decode(reserved.message, reserved.queue).id:
            yield Held(id, "", reserved.tag.encode(), reserved.message)


def _change(redis: Redis, changes: Sequence[Given | Held]) -> None:
    """One transaction; what was Celery's before is left out."""
    with redis.pipeline(transaction=True) as made:
        pipeline: Any = made
        pipeline.watch(RECEIPTS)
        receipts: Mapping[bytes, Any] = dict.fromkeys(pipeline.smembers(RECEIPTS))
        pipeline.multi()
        for one in changes:
            if isinstance(one, Held):
                _take(pipeline, one)
            elif one.id.encode() not in receipts:
                pipeline.lpush(one.queue, one.message)
                pipeline.sadd(RECEIPTS, one.id)
        pipeline.expire(RECEIPTS, RECEIPT_SECONDS)
        pipeline.execute()


def _note(redis: Redis, ids: Sequence[str]) -> None:
    """Receipts for jobs that are in the broker, and need not be pushed."""
    with redis.pipeline(transaction=True) as made:
        pipeline: Any = made
        pipeline.sadd(RECEIPTS, *ids)
        pipeline.expire(RECEIPTS, RECEIPT_SECONDS)
        pipeline.execute()


def _take(pipeline: Any, held: Held) -> None:
    if held.key:
        pipeline.lrem(held.key, 1, held.value)
    else:
        pipeline.hdel("unacked", held.value)
        pipeline.zrem("unacked_index", held.value)
