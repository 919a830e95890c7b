"""One fault after another: seed it, ask the product's comparison, hold the answer against what was done, undo it."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from towpath.checks import Check, Difference, Verdict
from towpath.errors import TowpathError

Name = tuple[str, str, str, str]  # object, key, column, kind of difference
Failing = tuple[str, str]  # code and object of a check that fails
TRIES = 20  # draws of one fault: another may have no effect, as when a value becomes itself
KEPT = 50  # faults of which the story is kept


@dataclass(frozen=True)
class Fault:
    """One thing that is done to a target, and exactly what must be named because of it."""

    kind: str
    names: frozenset[Name]
    checks: frozenset[Failing]
    seed: tuple[object, ...]  # what the target's own `seed` understands: statements, requests
    undo: tuple[object, ...]
    tables: tuple[str, ...] = ()  # which tables it touches; empty: none
    probe: str = ""  # SQL that must answer otherwise after the seed than before
    stops: bool = False  # the comparison cannot come to its end, and must say so


Maker = Callable[[random.Random], Fault | None]  # None: this source offers nothing for such a fault


def called(makers: Mapping[str, Maker]) -> dict[str, Maker]:
    """Makers whose faults bear the name under which they stand."""

    def named(kind: str, make: Maker) -> Maker:
        def made(rng: random.Random) -> Fault | None:
            fault = make(rng)
            return fault and replace(fault, kind=kind)

        return made

    return {kind: named(kind, make) for kind, make in makers.items()}


class Target(Protocol):
    """A target that is equal to its source, and the faults that can be done to it."""

    group: str
    makers: Mapping[str, Maker]

    def seed(self, fault: Fault) -> bool:
        """Do it; False if it had no effect."""
        ...

    def undo(self, fault: Fault) -> None:
        """Take it back."""
        ...

    def look(self, fault: Fault | None, whole: bool) -> tuple[list[Check], Collection[Difference]]:
        """Ask the product; `whole`: everything 05-validate asks, not only what the fault touched."""
        ...


@dataclass
class Score:
    """What became of the faults of one class."""

    seeded: int = 0
    caught: int = 0
    named: int = 0
    whole: int = 0  # of these, looked for by everything that 05-validate asks


@dataclass
class Tally:
    """The scores of all classes, by (group, class), and what went wrong."""

    scores: dict[tuple[str, str], Score] = field(default_factory=dict)
    codes: dict[tuple[str, str], set[str]] = field(default_factory=dict)  # of the checks that failed
    stories: list[str] = field(default_factory=list)
    void: int = 0  # draws without effect, not counted as faults
    alarms: int = 0  # looks at an undamaged target that found something
    calm: int = 0  # looks at an undamaged target
    targets: int = 0

    @property
    def seeded(self) -> int:
        """Faults of all classes."""
        return sum(score.seeded for score in self.scores.values())

    @property
    def caught(self) -> int:
        """Faults after which any check failed."""
        return sum(score.caught for score in self.scores.values())

    @property
    def named(self) -> int:
        """Faults after which exactly the right things were named, and nothing else."""
        return sum(score.named for score in self.scores.values())

    @property
    def perfect(self) -> bool:
        """True if every fault was named exactly and nothing else ever was."""
        return self.seeded == self.caught == self.named and not self.alarms

    def tell(self, story: str) -> None:
        """Keep a story for the report."""
        if len(self.stories) < KEPT:
            self.stories.append(story)


def failing(checks: Iterable[Check]) -> frozenset[Failing]:
    """Code and object of every check that fails."""
    return frozenset((check.code, check.object) for check in checks if check.verdict is Verdict.FAIL)


def names(differences: Iterable[Difference]) -> frozenset[Name]:
    """Where the differences are, without the values."""
    return frozenset((d.object, d.key, d.column, d.kind) for d in differences)


def calm(target: Target, tally: Tally) -> None:
    """Look at the target while nothing is wrong with it."""
    checks, differences = target.look(None, whole=True)
    tally.calm += 1
    if failing(checks) or differences:
        tally.alarms += 1
        tally.tell(f"alarm in {target.group}: {sorted(failing(checks))} {list(differences)[:3]}")


def strike(target: Target, rng: random.Random, faults: int, tally: Tally, whole_every: int) -> None:
    """Seed `faults` single faults, class by class in turn; each `whole_every`th is looked for by everything."""
    tally.targets += 1
    calm(target, tally)
    kinds = list(target.makers)
    rng.shuffle(kinds)
    done = 0
    while done < faults and kinds:
        for kind in list(kinds):
            if done >= faults:
                break
            fault = _draw(target, target.makers[kind], rng, tally)
            if fault is None:
                kinds.remove(kind)
                continue
            done += 1
            whole = tally.seeded % whole_every == 0
            _judge(target, fault, whole, tally)
            target.undo(fault)
    calm(target, tally)


def _draw(target: Target, make: Maker, rng: random.Random, tally: Tally) -> Fault | None:
    for _ in range(TRIES):
        fault = make(rng)
        if fault is None:
            return None
        if target.seed(fault):
            return fault
        tally.void += 1
        target.undo(fault)
    return None


def _judge(target: Target, fault: Fault, whole: bool, tally: Tally) -> None:
    score = tally.scores.setdefault((target.group, fault.kind), Score())
    score.seeded += 1
    score.whole += whole
    try:
        checks, differences = target.look(fault, whole)
    except TowpathError as error:
        tally.tell(f"{target.group}, {fault.kind}: stopped: {error.line}; seeded {fault.seed}")
        return
    failed, found = failing(checks), names(differences)
    caught = bool(failed)
    exact = failed == fault.checks and found == fault.names and len(found) == len(differences)
    tally.codes.setdefault((target.group, fault.kind), set()).update(code for code, _ in failed)
    score.caught += caught
    score.named += caught and exact
    if not (caught and exact):
        tally.tell(
            f"{target.group}, {fault.kind}: expected {sorted(fault.checks)} {sorted(fault.names)[:4]},"
            f" found {sorted(failed)} {sorted(found)[:4]}; seeded {str(fault.seed)[:600]}"
        )
