"""Before the export: nobody takes jobs any more, and what was taken is finished or accounted for."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from towpath.checks import Check
from towpath.jobs.broker import Broker, Consumer, Redis
from towpath.jobs.rules import RULES, SAMPLES

DEADLINE = 300.0  # seconds
PAUSE = 0.5  # seconds between two looks


@dataclass(frozen=True, slots=True)
class Drained:
    """What was found when the waiting ended.  `reserved`: delivery tags of jobs that no worker acknowledged."""

    address: str
    consumers: tuple[Consumer, ...]
    reserved: tuple[str, ...]
    finished: int  # reserved at the first look, and acknowledged or given back since
    waited: float  # seconds

    @property
    def quiet(self) -> bool:
        """True when nobody takes jobs."""
        return not self.consumers

    @property
    def checks(self) -> tuple[Check, ...]:
        """The drain as rows of a phase's result."""
        workers = tuple(f"{one.address} {one.name}".strip() for one in self.consumers)
        connected = f"{len(workers):,} connections after {self.waited:.0f} s" if workers else "none"
        held = f"{len(self.reserved):,}, {self.finished:,} finished meanwhile"
        return (
            RULES["JO301"].check(self.address, "none", connected, not workers, workers[:SAMPLES]),
            RULES["JO302"].check(self.address, "none", held, not self.reserved, self.reserved[:SAMPLES]),
        )


def drain(
    redis: Redis,
    *,
    prefix: str = "",
    deadline: float = DEADLINE,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], object] = time.sleep,
) -> Drained:
    """Wait until no worker is connected and no job is reserved, at most `deadline` seconds; change nothing.

    It does not stop workers: whoever runs the old side does.  Jobs that stay reserved when no worker is left were held
    by one that was killed; waiting cannot help them, so it ends there.  Raises CannotFinish when Redis cannot be read.
    """
    broker, start = Broker(redis, prefix), clock()
    first: set[str] | None = None
    while True:
        consumers = broker.consumers()
        reserved = tuple(sorted(broker.tags()))
        first = set(reserved) if first is None else first
        waited = clock() - start
        if not consumers or waited >= deadline:
            return Drained(broker.address, consumers, reserved, len(first - set(reserved)), waited)
        pause(min(PAUSE, deadline - waited))
