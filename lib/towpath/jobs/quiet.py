"""Waiting until a queue of Cloudflare has been drained into what its consumers keep.

Nothing says so for certain: the backlog that Cloudflare tells is a best effort, and it counts messages that are only
delayed, which a queue of scheduled jobs always holds.  So it is waited until nothing was kept, taken up or finished for
some seconds; what comes later all the same is kept by the consumer, and found by the proof.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from towpath.cloudflare.d1 import D1
from towpath.jobs.target import DEAD, STATES, TABLE, says_what_ran

QUIET = 10.0  # seconds: ten times as long as a batch of the consumer waits for more
DEADLINE = 120.0  # seconds
PAUSE = 0.5  # seconds between two looks


@dataclass(frozen=True, slots=True)
class Quiet:
    """What was found when the waiting ended.  `under_way`: jobs that a consumer took up and has not finished."""

    jobs: int
    under_way: tuple[str, ...]
    quiet: float  # seconds for which nothing happened
    waited: float  # seconds


def wait_until_quiet(
    d1: D1,
    quiet: float = QUIET,
    deadline: float = DEADLINE,
    *,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], object] = time.sleep,
) -> Quiet:
    """Wait until nothing happened for `quiet` seconds and no job is under way, at most `deadline` seconds.

    Raises CannotFinish where the consumers do not keep what became of a job.
    """
    says_what_ran(d1)
    begun, last, since = clock(), None, clock()
    while True:
        seen, under_way = _look(d1)
        now = clock()
        if seen != last:
            last, since = seen, now
        if (now - since >= quiet and not under_way) or now - begun >= deadline:
            return Quiet(seen[0] + seen[1], under_way, now - since, now - begun)
        pause(PAUSE)


def _look(d1: D1) -> tuple[tuple[int, ...], tuple[str, ...]]:
    numbers = [
        f'SELECT count(*) FROM "{TABLE}"',
        f'SELECT count(*) FROM "{DEAD}"',
        f'SELECT count(*) FROM "{STATES}"',
        f'SELECT count(begun_at) FROM "{STATES}"',
        f'SELECT count(ran_at) FROM "{STATES}"',
    ]
    unfinished = f"""SELECT id FROM "{STATES}" s WHERE begun_at IS NOT NULL AND ran_at IS NULL
        AND NOT EXISTS (SELECT 1 FROM "{DEAD}" d WHERE d.id = s.id) ORDER BY id"""
    *counted, ids = d1.batch([*numbers, unfinished], idempotent=True)
    return tuple(int(one.rows[0][0]) for one in counted), tuple(row[0] for row in ids.rows)
