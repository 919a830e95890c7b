"""How long both sides take: one after the other, the same requests, the first round left out."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from towpath.checks import Progress, silent
from towpath.parity.replay import Standing
from towpath.percentiles import percentile
from towpath.routes.corpus import Recorded

SAMPLES = 200  # at least so many answers of each side
WARM_UP = 1  # rounds before them: connections, caches, the isolate's first start


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds until the last byte, of one side, in order; what was no answer is counted, not timed."""

    side: str
    milliseconds: tuple[float, ...]
    unanswered: int = 0

    def at(self, percent: float) -> float:
        """The percentile; NaN without any answer."""
        return percentile(Counter(self.milliseconds), percent) if self.milliseconds else math.nan


def rounds_for(requests: int, samples: int = SAMPLES) -> int:
    """How often so few requests are sent to get so many answers."""
    return max(1, math.ceil(samples / max(requests, 1)))


def measure(
    requests: Sequence[Recorded], old: Standing, new: Standing, samples: int = SAMPLES, report: Progress = silent
) -> tuple[Times, Times]:
    """Ask both sides in turn, who is first in turn too; (old, new).  `report` counts requests sent."""
    took: dict[str, list[float]] = {"old": [], "new": []}
    sides = [("old", old), ("new", new)]
    for number in range(WARM_UP + rounds_for(len(requests), samples)):
        for recorded in requests:
            for name, one in sides:
                answer = one.side.ask(one.ready(recorded, {}))
                if number >= WARM_UP:
                    took[name].append(answer.seconds * 1000 if answer.status else math.inf)
                report(1)
            sides.reverse()
    return _times("old", took["old"]), _times("new", took["new"])


def _times(side: str, took: Sequence[float]) -> Times:
    answered = sorted(time for time in took if time < math.inf)
    return Times(side, tuple(answered), len(took) - len(answered))
