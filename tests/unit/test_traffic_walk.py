"""Walking the steps over a small world: in their order, from wherever it stands, and never past what does not hold."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towpath.errors import CannotFinish, WrongUse
from towpath.traffic import steps
from towpath.traffic.steps import Work
from towpath.traffic.walk import Noted, Walk

OLD = {
    "setting": "origin",
    "seen": "yes",
    "old writes": "open",
    "old quiet": "no",
    "new writes": "shut",
    "ahead": "no",
    "equal": "no",
    "carried back": "no",
    "fallback": "origin",
    "old side": "there",
}


class Killed(Exception):
    """The process ended here."""


@dataclass
class World:
    """Facts that steps change: a dictionary in place of gateway, switch and fence."""

    facts: dict[str, str] = field(default_factory=lambda: dict(OLD))
    fresh: set[str] = field(default_factory=lambda: set(steps.EVIDENCE))
    done: list[str] = field(default_factory=list)
    told: list[Noted] = field(default_factory=list)
    dies_at: int = -1  # before or after so many steps were done

    def does(self, table: tuple[steps.Step, ...]) -> dict[str, Callable[[], str]]:
        return {step.name: self._doing(step) for step in table if step.work is Work.NONE}

    def _doing(self, step: steps.Step) -> Callable[[], str]:
        def do() -> str:
            if len(self.done) == self.dies_at:
                raise Killed
            self.done.append(step.name)
            self.facts.update({**step.makes, **step.until})
            if "setting" in step.makes:
                self.facts["seen"] = "no"
            if len(self.done) == self.dies_at:
                raise Killed
            return f"{step.name} was done"

        return do

    def walk(self, table: tuple[steps.Step, ...]) -> Walk:
        return Walk(table, lambda: self.facts, lambda: self.fresh, self.does(table), self.told.append)


def through(world: World, walk: Walk) -> None:
    """As a phase does: what the cells do is noted, what they prove is known, everything else is walked."""
    for step in walk.steps:
        if step.name in ("prove", "prove back"):
            world.facts.update(step.until)
        if step.work is Work.NONE:
            walk.to(step.name)
        else:
            walk.worked(step.name, 1.0, "the cells did it")


def over() -> tuple[steps.Step, ...]:
    table = steps.over()
    return table[: next(at for at, step in enumerate(table) if step.name == "all new seen") + 1]


def test_the_way_over_and_back_in_the_order_of_the_tables() -> None:
    world = World()
    through(world, world.walk(over()))
    assert (world.facts["setting"], world.facts["new writes"], world.facts["ahead"]) == ("worker", "open", "yes")
    assert [noted.name for noted in world.told] == [step.name for step in over()]
    assert world.told[0].words == "freeze was done"
    world.told.clear()
    through(world, world.walk(steps.back()))
    assert (world.facts["setting"], world.facts["old writes"], world.facts["ahead"]) == ("origin", "open", "no")
    assert [noted.name for noted in world.told] == [step.name for step in steps.back()]


@given(st.integers(0, 30))
def test_killed_anywhere_on_the_way_over_the_way_back_leads_home(moment: int) -> None:
    world = World(dies_at=moment)
    with contextlib.suppress(Killed):
        through(world, world.walk(over()))
    world.dies_at = -1
    through(world, world.walk(steps.back()))
    wanted = {"setting": "origin", "old writes": "open", "new writes": "shut", "ahead": "no"}
    assert {name: world.facts[name] for name in wanted} == wanted


@given(st.integers(0, 12), st.integers(0, 12))
def test_killed_twice_on_the_way_back_it_is_walked_again(first: int, second: int) -> None:
    world = World()
    through(world, world.walk(over()))
    for moment in (first, second, -1):
        world.done.clear()
        world.dies_at = moment
        try:
            through(world, world.walk(steps.back()))
        except Killed:
            continue
    assert (world.facts["setting"], world.facts["old writes"]) == ("origin", "open")


def test_a_step_that_is_in_place_is_noted_and_not_done() -> None:
    world = World(facts={**OLD, "setting": "frozen", "seen": "yes"})
    world.walk(over()).to("freeze seen")
    assert world.done == []
    assert [noted.found for noted in world.told] == [True, True]


@pytest.mark.parametrize("missing", ["validated", "rehearsed", "approved"])
def test_the_first_step_wants_its_evidence(missing: str) -> None:
    world = World()
    world.fresh.discard(missing)
    with pytest.raises(CannotFinish, match=f"TR106 step `freeze`: it may not be begun: stale or missing: {'.*'}"):
        world.walk(over()).to("freeze")
    assert (world.done, world.facts) == ([], OLD)


def test_a_ramp_that_nobody_watched_goes_no_further() -> None:
    world = World()
    walk = world.walk(over())
    world.fresh.discard("watched")
    with pytest.raises(
        CannotFinish, match=r"step `split 50`: it may not be begun: stale or missing: the watch has said"
    ):
        through(world, walk)
    assert world.facts["setting"] == "split 10"


def test_a_proof_that_does_not_hold_says_that_the_work_is_out_of_date() -> None:
    world = World()
    walk = world.walk(over())
    walk.to("old quiet")
    for work in ("snapshot", "delta"):
        walk.worked(work, 0.0, "the cells did it")
    with pytest.raises(CannotFinish, match=r"step `prove`: it is not done.*the work since `snapshot` is out of date"):
        walk.to("prove")
    assert world.facts["new writes"] == "shut"


def test_work_is_noted_in_its_turn_only() -> None:
    world = World()
    walk = world.walk(over())
    with pytest.raises(WrongUse, match="delta: is not the next step"):
        walk.worked("delta", 0.0, "")


def test_what_a_step_raises_passes_through_and_the_same_call_goes_on() -> None:
    world = World()
    table = over()
    once: list[Any] = [ConnectionError("the gateway is away")]
    doing = world.does(table)

    def stumbles() -> str:
        if once:
            raise once.pop()
        return doing["freeze"]()

    walk = Walk(table, lambda: world.facts, lambda: world.fresh, {**doing, "freeze": stumbles}, world.told.append)
    with pytest.raises(ConnectionError):
        walk.to("freeze seen")
    assert world.told == []
    walk.to("freeze seen")
    assert [noted.name for noted in world.told] == ["freeze", "freeze seen"]
