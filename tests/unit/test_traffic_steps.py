"""The single writer: every state that a cutover can be in, explored over the table that 06 and 07 walk through."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from cutover_model.explore import Found, explore, reachable
from cutover_model.mutations import MUTATIONS, Mutation
from cutover_model.world import GATES, World

from towpath.traffic.steps import EVIDENCE, FACTS, Step, Turn, Work, back, look, over

STEPS = [*over(), *back()]
# A world at rest, before anything: what 06 finds.
BEFORE = {name: values[0] for name, values in FACTS.items()} | {
    "seen": "yes",
    "old quiet": "yes",
    "carried back": "yes",
}


@pytest.fixture(scope="module")
def found() -> Found:
    return explore(World(over(), back(), writes=2, isolates=2))


def test_no_property_is_broken_in_any_state(found: Found) -> None:
    assert found.broken == {}


def test_it_looked_at_more_than_a_million_states_and_beyond_the_point_of_no_return(found: Found) -> None:
    assert found.states > 1_000_000
    assert found.transitions > 10 * found.states
    assert found.gone > 1000


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_spoiled_table_is_found_out(mutation: Mutation) -> None:
    spoiled = explore(World(*mutation.spoil(over(), back()), writes=1, isolates=1), first_only=True)
    assert set(spoiled.broken) & set(mutation.breaks), spoiled.broken
    assert all(spoiled.broken.values())  # each with the story that leads there


def test_the_story_of_a_violation_can_be_read() -> None:
    spoiled = next(one for one in MUTATIONS if one.name == "the maintenance switch is forgotten")
    found = explore(World(*spoiled.spoil(over(), back()), writes=1, isolates=1), first_only=True)
    story = found.broken["two writers"]
    assert story[-1] == "do: open new"
    assert "do: freeze" in story
    assert "do: shut old" not in story


def test_the_runner_turns_as_the_exploration_does() -> None:
    world = World(over(), back(), writes=1, isolates=1)
    states = np.random.default_rng(5).permutation(reachable(world))[:1500]
    turned: Counter[Turn] = Counter()
    for state in map(int, states):
        s = np.array([state], dtype=np.int64)
        if world.flags["old side"].one(state):
            continue
        facts = {
            name: next(value for value in values if world.fact(s, name, value)[0]) for name, values in FACTS.items()
        }
        fresh = [name for name in EVIDENCE if world.fresh(s, name)[0]]
        steps = world.ways[world.way.one(state)]
        turn, at, _ = look(steps, world.at.one(state), facts, fresh)
        turned[turn] += 1
        if at is None:
            expected = set()
        elif at.work is not Work.NONE and world.progress.one(state) == 2:
            continue  # it is done, as its caller knows
        else:
            part = f"{at.name}, part {world.progress.one(state) + 1}"
            expected = {
                Turn.NOTE: {f"note: {at.name}"},
                Turn.DO: {part if at.work is not Work.NONE else f"do: {at.name}"},
                Turn.AGAIN: {f"again from {at.otherwise}: {at.name}"},
            }.get(turn, set())
        assert {move.name for move in world.moves if move.runner and move.may(s)[0]} == expected, world.told(state)
    assert set(turned) == set(Turn)


# -- the table itself


def test_names_and_words_are_those_of_the_lists() -> None:
    assert [name for name, count in Counter(step.name for step in STEPS).items() if count > 1] == []
    for step in STEPS:
        for name, values in step.needs.items():
            assert set(values) <= set(FACTS[name]), step.name
        for name, value in (*step.makes.items(), *step.until.items()):
            assert value in FACTS[name], step.name
        assert set(step.fresh) <= set(EVIDENCE)
        assert step.makes or step.until or step.work is not Work.NONE
        assert step.does


def test_the_gates_are_where_the_exploration_looks_for_them() -> None:
    assert {step.name: set(step.fresh) for step in STEPS if step.fresh} == {
        name: set(evidence) for name, evidence in GATES.items()
    }


def test_no_gate_stands_in_the_way_back() -> None:
    assert [step.name for step in back() if step.fresh] == []


def test_a_step_back_is_a_step_of_the_same_way() -> None:
    for steps in (over(), back()):
        names = [step.name for step in steps]
        for at, step in enumerate(steps):
            assert not step.otherwise or names.index(step.otherwise) < at


def step(name: str) -> Step:
    return next(one for one in STEPS if one.name == name)


def test_what_is_done_is_not_done_again() -> None:
    frozen = BEFORE | {"setting": "frozen"}
    assert not step("freeze").done(BEFORE)
    assert step("freeze").done(frozen)
    assert not step("snapshot").done(frozen)
    assert not step("freeze seen").done(frozen | {"seen": "no"})


def test_what_is_missing_is_said_in_words() -> None:
    everything = tuple(EVIDENCE)
    assert step("freeze").missing(BEFORE, everything) == []
    assert step("freeze").missing(BEFORE | {"new writes": "open"}, ("validated", "approved")) == [
        "new writes is open, not shut",
        "stale or missing: the way back was rehearsed, by this plan",
    ]


def test_the_ramp_is_a_parameter() -> None:
    names = [one.name for one in over((5, 100))]
    assert [name for name in names if name.startswith("split")] == [
        "split 5",
        "split 5 seen",
        "split 100",
        "split 100 seen",
    ]
    last = next(one for one in over((5, 100)) if one.name == "all new")
    assert last.needs["setting"] == ("split 100",)
