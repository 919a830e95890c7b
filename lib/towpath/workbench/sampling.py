"""A few requests of the corpus at each step of the ramp: does the new side still answer as the old one does?

Users write on the new side meanwhile, so contents differ: they are counted and told.  What is judged is the shape of an
answer, its status, its type, and the names and kinds of its JSON.  Only reading requests are sent.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from towpath.parity.answers import tree_of
from towpath.parity.forms import Forms
from towpath.parity.replay import Outcome, Replay, Standing, made_up
from towpath.parity.shape import TYPE, typed, unlike
from towpath.routes.corpus import Recorded
from towpath.workbench import parity
from towpath.workbench.workbench import Workbench

SAMPLES = 20  # at each step
ALLOWED = 0.10  # of them may be unlike: somebody may have deleted what a request asks for


@dataclass(frozen=True, slots=True)
class Sampled:
    """What came of the samples of one step; `unlike` names routes with what is otherwise."""

    asked: int
    unlike: tuple[str, ...]
    why: str = ""  # why nothing was asked
    otherwise: int = 0  # of one shape, with other contents

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
        return f"{self.asked} asked, {self.otherwise} with other contents, {len(self.unlike)} unlike{named}"


class Sampler:
    """Takes samples, step after step, each time the next requests of the corpus."""

    def __init__(self, bench: Workbench) -> None:
        self._parity = parity.prepare(bench)
        requests = [] if self._parity.why else self._parity.reading
        self._next: Iterator[Recorded] = itertools.cycle(requests)
        self._count = min(SAMPLES, len(requests))

    def take(self) -> Sampled:
        """Ask the old side, the new one, and the old one again, the next requests.

        Raises CannotFinish when a side is not there, BadInput when it refuses a login.
        """
        if not self._count:
            return Sampled(0, (), self._parity.why or "The corpus holds no request that only reads.")
        wrong, asked, otherwise = [], 0, 0
        with ExitStack() as stack:
            old, new = parity.standings(self._parity, stack)
            for recorded in itertools.islice(self._next, self._count):
                if old.lacking(recorded) | new.lacking(recorded):
                    continue
                asked += 1
                found, same = self._ask(recorded, old, new)
                wrong += [f"{recorded.route} {', '.join(found)}"] if found else []
                otherwise += not found and not same
        if not asked:
            return Sampled(0, (), "Nothing is known for the placeholders of these requests.")
        return Sampled(asked, tuple(wrong), otherwise=otherwise)

    def _ask(self, recorded: Recorded, old: Standing, new: Standing) -> tuple[list[str], bool]:
        """What of the new answer has another shape, and whether it says the same; noise is neither."""
        values, headers = made_up(recorded), [*self._parity.bench.run.mapping.traffic.parity.headers, TYPE]
        answers = [one.side.ask(one.ready(recorded, values)) for one in (old, new, old)]
        trees = [typed(tree_of(answer, headers)) for answer in answers]
        forms = Forms(self._parity.rules, recorded.route)
        first, other, second = (forms.applied(tree) for tree in trees)
        compared = Replay(headers, self._parity.rules).compared(recorded, trees)
        return unlike([first, second], other), compared.outcome is not Outcome.DIFFERS
