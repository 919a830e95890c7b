"""Walking through the steps of `traffic.steps`: each is looked at, done, looked at again, and noted.

The table says what may be done; who walks knows how.  A step that finds its facts in place is noted and not done again,
so a walk that was cut is walked anew from its beginning.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from towpath.errors import CannotFinish, WrongUse
from towpath.traffic.rules import RULES
from towpath.traffic.steps import Step, Turn, Work, look


@dataclass(frozen=True, slots=True)
class Noted:
    """One step that was noted.  `seconds` were spent on it; `found`: nothing was to be done."""

    name: str
    at: str  # UTC
    seconds: float
    found: bool
    words: str  # what was done, for people


class Walk:
    """One way through the steps.

    `facts` asks the world, `fresh` says which evidence is fresh, `does` holds for each step what to do and gives back
    words for people; `tell` hears of every step that is noted.
    """

    def __init__(
        self,
        steps: Sequence[Step],
        facts: Callable[[], Mapping[str, str]],
        fresh: Callable[[], Collection[str]],
        does: Mapping[str, Callable[[], str]],
        tell: Callable[[Noted], None],
    ) -> None:
        self.steps, self.noted = tuple(steps), list[Noted]()
        self._facts, self._fresh, self._does, self._tell = facts, fresh, does, tell

    def to(self, name: str) -> None:
        """Walk until this step is noted.

        Raises CannotFinish (TR106) where a step may not be begun, or is not done after it was done; whatever `does`
        raises passes through, and the same call goes on from there.
        """
        last = self._place(name)
        while len(self.noted) <= last:
            begun = time.monotonic()
            step, found = self.steps[len(self.noted)], True
            turn, why = self._look()
            words = ""
            if turn in (Turn.DO, Turn.WAIT) and step.work is Work.NONE and step.name in self._does:
                words, found = self._does[step.name](), False
                turn, why = self._look()
            if turn is not Turn.NOTE:
                raise _refused(step, turn, why)
            self._note(step, time.monotonic() - begun, found, words)

    def worked(self, name: str, seconds: float, words: str) -> None:
        """Note a step whose work somebody else has done.  Raises WrongUse when another one is next."""
        if len(self.noted) != self._place(name):
            raise WrongUse("is not the next step", object=name, next="execute the cells in their order")
        turn, why = self._look()
        step = self.steps[len(self.noted)]
        if turn not in (Turn.DO, Turn.NOTE):
            raise _refused(step, turn, why)
        self._note(step, seconds, False, words)

    def has(self, name: str) -> bool:
        """Whether this step is noted."""
        return any(one.name == name for one in self.noted)

    def _place(self, name: str) -> int:
        return next(at for at, step in enumerate(self.steps) if step.name == name)

    def _look(self) -> tuple[Turn, list[str]]:
        turn, _, why = look(self.steps, len(self.noted), self._facts(), list(self._fresh()))
        return turn, why

    def _note(self, step: Step, seconds: float, found: bool, words: str) -> None:
        at = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
        self.noted.append(Noted(step.name, at, seconds, found, words))
        self._tell(self.noted[-1])


def _refused(step: Step, turn: Turn, why: Sequence[str]) -> CannotFinish:
    what = f"it may not be begun: {'; '.join(why)}" if turn is Turn.REFUSED else f"it is not done: {'; '.join(why)}"
    again = f"; the work since `{step.otherwise}` is out of date, begin it again" if turn is Turn.AGAIN else ""
    return CannotFinish(what, object=f"step `{step.name}`", next=f"{RULES['TR106'].advice}{again}", code="TR106")
