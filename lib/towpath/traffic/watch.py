"""One step of the ramp under watch: do users of the new side get their answers, in time?

The judgement is a function of what was counted so far and knows no clock.  Before the least number of requests is there
it is as strict as it can be without guessing: it says OVER BUDGET as soon as even faultless requests could not bring
the share down again.  No data is no success.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from towpath.checks import Check
from towpath.traffic.rules import RULES

SLOW_SHARE = 0.05  # of the requests may be slower than p95
LOST_SHARE = 0.10  # of the lines may be lost before the rest proves nothing
PAUSE = 1.0  # seconds between two looks


class Word(StrEnum):
    """What becomes of a step."""

    KEEP_GOING = "keep going"
    ENOUGH = "enough"
    OVER_BUDGET = "over budget"
    NO_DATA = "no data"


@dataclass(frozen=True, slots=True)
class Budget:
    """What a step must show.  Shares are 0.0 … 1.0, times seconds unless said otherwise."""

    error_rate: float = 0.01
    p95_ms: int = 500
    requests: int = 100  # at least, answered by the new side
    bake: float = 60.0  # at least that long
    silence: float = 30.0  # without a new line
    patience: float = 600.0  # until the least number of requests must be there


@dataclass(frozen=True, slots=True)
class Sample:
    """What was counted at the new side from the beginning of the step on."""

    seconds: float  # since the beginning
    requests: int
    errors: int
    slow: int  # slower than the budget's p95
    lost: int  # lines of any side
    quiet: float  # seconds since the newest line, of any side


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a step ended: what was said of its last sample, by which rule ("" for ENOUGH), and all samples."""

    word: Word
    code: str
    why: str
    samples: tuple[Sample, ...]

    def checks(self, step: str) -> list[Check]:
        """The step as rows of a result: its outcome, and a warning when lines were lost."""
        last = self.samples[-1]
        rule = RULES[self.code or "TR102"]
        rows = [rule.check(step, "within its budgets", self.why, self.word is Word.ENOUGH)]
        if last.lost:
            rows.append(RULES["TR105"].check(step, "none", f"{last.lost} lines", False))
        return rows


def judge(sample: Sample, budget: Budget) -> tuple[Word, str, str]:
    """What is to be done after this sample, the code of the rule that says so, and why in words."""
    said = f"{sample.requests} requests, {sample.errors} errors, {sample.slow} over {budget.p95_ms} ms"
    said += f" in {sample.seconds:.0f} s"
    base = max(sample.requests, budget.requests, 1)
    if sample.errors > budget.error_rate * base:
        return Word.OVER_BUDGET, "TR102", f"{said}: {budget.error_rate:.1%} errors are allowed"
    if sample.slow > SLOW_SHARE * base:
        return Word.OVER_BUDGET, "TR103", f"{said}: {SLOW_SHARE:.0%} may be that slow"
    if sample.lost > LOST_SHARE * (sample.requests + sample.lost):
        return Word.NO_DATA, "TR104", f"{said}, and {sample.lost} lines are lost"
    if sample.quiet >= budget.silence:
        return Word.NO_DATA, "TR104", f"{said}, none for {sample.quiet:.0f} s"
    if sample.requests >= budget.requests and sample.seconds >= budget.bake:
        return Word.ENOUGH, "", said
    if sample.seconds >= max(budget.patience, budget.bake):
        return Word.NO_DATA, "TR104", f"{said}: {budget.requests} requests were to be seen"
    return Word.KEEP_GOING, "", said


def watch(
    look: Callable[[], Sample],
    budget: Budget,
    *,
    seen: Callable[[Sample], None] = lambda _: None,
    pause: Callable[[float], None] = time.sleep,
) -> Outcome:
    """Look until there is enough, or too much; `look` counts, `seen` is told each sample (a live chart).

    An error of `look` is not data either: the caller aborts on any exception.
    """
    samples: list[Sample] = []
    while True:
        sample = look()
        samples.append(sample)
        seen(sample)
        word, code, why = judge(sample, budget)
        if word is not Word.KEEP_GOING:
            return Outcome(word, code, why, tuple(samples))
        pause(PAUSE)
