"""The corpus sent to both sides, and what came of it, request by request and route by route.

A request that reads goes to the old side, to the new one, and to the old one again, so that time passes equally on both
sides of the new answer.  A request that writes goes to two copies of the old side and to one of the new, each of which
has seen every write before it: nothing is written twice on any side, and noise is still seen.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from towpath.checks import Progress, silent
from towpath.parity.answers import Answer, Side, tree_of
from towpath.parity.diff import Change, without_noise
from towpath.parity.forms import Forms, Rule
from towpath.parity.naming import renamed
from towpath.parity.paths import ROWS
from towpath.routes.corpus import Recorded
from towpath.routes.filling import filled, placeholders

Watch = Callable[[], Mapping[str, Any]]  # the rows that changed since it was last asked: table → what → rows


class Outcome(StrEnum):
    """What came of a request, or of a route; the worst of its requests."""

    SAME = "same"
    NOISE = "noise only"
    NOT_EXERCISED = "not exercised"
    DIFFERS = "differs"


_WORSE = list(Outcome)
NEW = "new:"


@dataclass(frozen=True, slots=True)
class Exercised:
    """One request and what came of it."""

    recorded: Recorded
    outcome: Outcome
    why: str = ""  # of NOT_EXERCISED
    differences: tuple[Change, ...] = ()
    noise: tuple[Change, ...] = ()
    answers: tuple[Answer, ...] = ()  # old, new, old

    @property
    def of_rows(self) -> tuple[Change, ...]:
        """The differences between the rows that were written."""
        return tuple(one for one in self.differences if one.path[:1] == (ROWS,))

    @property
    def of_answers(self) -> tuple[Change, ...]:
        """The differences between the answers."""
        return tuple(one for one in self.differences if one.path[:1] != (ROWS,))


@dataclass(frozen=True, slots=True)
class Route:
    """A route and all of its requests."""

    name: str
    requests: tuple[Exercised, ...]

    @property
    def outcome(self) -> Outcome:
        """The worst of its requests; not exercised without any."""
        if not self.requests:
            return Outcome.NOT_EXERCISED
        return max((one.outcome for one in self.requests), key=_WORSE.index)

    def why(self) -> str:
        """Why a request of it was not exercised, the first reason."""
        return next((one.why for one in self.requests if one.why), "the corpus has no request of it")


@dataclass(frozen=True, slots=True)
class Standing:
    """A side, what its placeholders stand for, and what it calls a request's path; a writing one with its rows."""

    side: Side
    values: Mapping[str, str] = field(hash=False)
    names: Mapping[str, str] = field(default_factory=dict, hash=False)  # route → what this side calls it
    watch: Watch = dict

    def ready(self, recorded: Recorded, made_up: Mapping[str, str]) -> Recorded:
        """The request as this side is asked, with the values that were made up for it.  Raises BadInput."""
        return renamed(filled(recorded, {**self.values, **made_up}), self.names.get(recorded.route, ""))

    def lacking(self, recorded: Recorded) -> set[str]:
        """The placeholders that nothing is known for."""
        return {name for name in placeholders(recorded) - set(self.values) if not name.startswith(NEW)}


@dataclass(slots=True)
class Replay:
    """What is compared, and how.  `met` are the rules that met something."""

    headers: Sequence[str]
    rules: Sequence[Rule]
    met: set[Rule] = field(default_factory=set)

    def run(
        self,
        requests: Iterable[Recorded],
        old: Standing,
        new: Standing,
        again: Standing | None = None,
        report: Progress = silent,
    ) -> list[Exercised]:
        """Send requests in their order: to `old`, `new`, and `again`, which is `old` itself for requests that read."""
        done = []
        for recorded in requests:
            done.append(self._one(recorded, (old, new, again or old)))
            report(1)
        return done

    def _one(self, recorded: Recorded, sides: tuple[Standing, Standing, Standing]) -> Exercised:
        if lacking := sorted({name for one in sides for name in one.lacking(recorded)}):
            return Exercised(recorded, Outcome.NOT_EXERCISED, f"nothing is known for {', '.join(lacking)}")
        answers, trees, new = [], [], made_up(recorded)
        for one in sides:
            answer = one.side.ask(one.ready(recorded, new))
            answers.append(answer)
            trees.append({**tree_of(answer, self.headers), ROWS: one.watch()})
        if why := _no_example(recorded, (answers[0], answers[2])):
            return Exercised(recorded, Outcome.NOT_EXERCISED, why, answers=tuple(answers))
        return self.compared(recorded, trees, answers)

    def compared(self, recorded: Recorded, trees: Sequence[Any], answers: Sequence[Answer] = ()) -> Exercised:
        """Compare three trees: old, new, old."""
        forms = Forms(self.rules, recorded.route)
        first, new, second = (forms.applied(tree) for tree in trees)
        self.met |= forms.used
        differences, noise = without_noise(first, second, new, forms.same)
        outcome = Outcome.DIFFERS if differences else Outcome.NOISE if noise else Outcome.SAME
        return Exercised(recorded, outcome, "", tuple(differences), tuple(noise), tuple(answers))


def made_up(recorded: Recorded) -> dict[str, str]:
    """Values for `{new:…}`: never used before, and the same for each side."""
    names = sorted(name for name in placeholders(recorded) if name.startswith(NEW))
    return {name: f"towpath-{secrets.token_hex(6)}" for name in names}


def not_exercised(requests: Iterable[Recorded], why: str) -> list[Exercised]:
    """Requests that were not sent, with the reason."""
    return [Exercised(one, Outcome.NOT_EXERCISED, why) for one in requests]


def by_route(exercised: Iterable[Exercised], routes: Iterable[str] = ()) -> list[Route]:
    """What came of each route, also of those that no request is of, in the order in which they are named."""
    found: dict[str, list[Exercised]] = {name: [] for name in routes}
    for one in exercised:
        found.setdefault(one.recorded.route, []).append(one)
    return [Route(name, tuple(requests)) for name, requests in found.items()]


def _no_example(recorded: Recorded, old: tuple[Answer, Answer]) -> str:
    """Why the old side's answers are none to hold the new one against; "" when they are."""
    if silent_ones := [answer.problem for answer in old if not answer.status]:
        return f"the old side gives {silent_ones[0]}"
    statuses = " and ".join(dict.fromkeys(str(answer.status) for answer in old))
    if recorded.expects and any(answer.status != recorded.expects for answer in old):
        return f"the old side answers {statuses}, and {recorded.expects} is expected"
    if old[0].status != old[1].status or (not recorded.expects and any(answer.status >= 500 for answer in old)):
        return f"the old side answers {statuses}"
    return ""
