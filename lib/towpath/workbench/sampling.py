"""A few requests of the corpus at each step of the ramp: does the new side still answer as the old one does?

Users have written meanwhile, so contents may differ; what is compared is the status.  Only reading requests are sent.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from towpath.parity.replay import made_up
from towpath.routes.corpus import Recorded
from towpath.workbench import parity
from towpath.workbench.workbench import Workbench

SAMPLES = 20  # at each step
ALLOWED = 0.10  # of them may be unlike: somebody may have deleted what a request asks for


@dataclass(frozen=True, slots=True)
class Sampled:
    """What came of the samples of one step; `unlike` names routes with both statuses."""

    asked: int
    unlike: tuple[str, ...]
    why: str = ""  # why nothing was asked

    @property
    def holds(self) -> bool:
        """Whether few enough are unlike."""
        return len(self.unlike) <= ALLOWED * max(self.asked, 1)

    @property
    def line(self) -> str:
        """The samples in words."""
        if self.why:
            return self.why
        named = f": {'; '.join(self.unlike[:5])}" if self.unlike else ""
        return f"{self.asked} asked, {len(self.unlike)} unlike{named}"


class Sampler:
    """Takes samples, step after step, each time the next requests of the corpus."""

    def __init__(self, bench: Workbench) -> None:
        self._parity = parity.prepare(bench)
        requests = [] if self._parity.why else self._parity.reading
        self._next: Iterator[Recorded] = itertools.cycle(requests)
        self._count = min(SAMPLES, len(requests))

    def take(self) -> Sampled:
        """Ask both sides the next requests.  Raises CannotFinish when a side is not there."""
        if not self._count:
            return Sampled(0, (), self._parity.why or "The corpus holds no request that only reads.")
        unlike, asked = [], 0
        with ExitStack() as stack:
            old, new = parity.standings(self._parity, stack)
            for recorded in itertools.islice(self._next, self._count):
                if old.lacking(recorded) | new.lacking(recorded):
                    continue
                values = made_up(recorded)
                one, other = (side.side.ask(side.ready(recorded, values)).status for side in (old, new))
                asked += 1
                if one != other:
                    unlike.append(f"{recorded.route} {one} and {other}")
        return Sampled(asked, tuple(unlike))
