"""The table, spoiled on purpose: each spoiled table must break a property, or the exploration is worth nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from towpath.traffic.steps import Step

Table = tuple[tuple[Step, ...], tuple[Step, ...]]


@dataclass(frozen=True)
class Mutation:
    """One way to spoil the table, and the properties of which at least one is then broken."""

    name: str
    spoil: Callable[[Sequence[Step], Sequence[Step]], Table]
    breaks: tuple[str, ...]


def without(steps: Sequence[Step], name: str) -> tuple[Step, ...]:
    """The steps without that one."""
    assert any(step.name == name for step in steps)
    return tuple(step for step in steps if step.name != name)


def swapped(steps: Sequence[Step], first: str, second: str) -> tuple[Step, ...]:
    """The steps with these two in each other's place."""
    names = [step.name for step in steps]
    at, to = names.index(first), names.index(second)
    changed = list(steps)
    changed[at], changed[to] = changed[to], changed[at]
    return tuple(changed)


def careless(steps: Sequence[Step], name: str, **fields: object) -> tuple[Step, ...]:
    """The steps with other fields in that one; `needs=None` and `fresh=None` name what is left out."""
    assert any(step.name == name for step in steps)
    return tuple(replace(step, **fields) if step.name == name else step for step in steps)  # type: ignore[arg-type]


def unneeded(steps: Sequence[Step], fact: str) -> tuple[Step, ...]:
    """The steps, none of which asks for that fact."""
    return tuple(
        replace(step, needs={name: values for name, values in step.needs.items() if name != fact}) for step in steps
    )


WRITERS, LOST, READER = "two writers", "a write is lost", "no reader"
STALE, SHUT = "a gate is passed on stale evidence", "the way back is shut"

MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "the maintenance switch is forgotten",
        lambda over, back: (unneeded(without(over, "shut old"), "old writes"), tuple(back)),
        (WRITERS,),
    ),
    Mutation(
        "nobody waits for the writes that are inside",
        lambda over, back: (unneeded(without(over, "old quiet"), "old quiet"), tuple(back)),
        (WRITERS,),
    ),
    Mutation(
        "the fence opens without a proof",
        lambda over, back: (careless(without(over, "prove"), "open new", fresh=()), tuple(back)),
        (STALE,),
    ),
    Mutation(
        "the fence opens on the proof of yesterday",
        lambda over, back: (careless(over, "open new", fresh=("validated", "rehearsed", "approved")), tuple(back)),
        (STALE,),
    ),
    Mutation(
        "nobody notes that D1 may be ahead",
        lambda over, back: (
            unneeded(careless(over, "open new", makes={"new writes": "open"}), "ahead"),
            tuple(back),
        ),
        (SHUT, LOST),
    ),
    Mutation(
        "that D1 may be ahead is noted only with the ramp",
        lambda over, back: (
            careless(
                unneeded(careless(over, "open new", makes={"new writes": "open"}), "ahead"),
                "split 10",
                makes={"setting": "split 10", "ahead": "yes"},
            ),
            tuple(back),
        ),
        (SHUT, LOST),
    ),
    Mutation(
        "06 may begin anew over what is not carried back",
        lambda over, back: (
            careless(
                careless(over, "snapshot", needs={"old writes": ("shut",), "old quiet": ("yes",)}),
                "delta",
                needs={"old writes": ("shut",)},
            ),
            tuple(back),
        ),
        (LOST,),
    ),
    Mutation(
        "the way back leaves the fence open",
        lambda over, back: (tuple(over), unneeded(without(back, "shut new"), "new writes")),
        (WRITERS,),
    ),
    Mutation(
        "the source is unfrozen before the fence is shut",
        lambda over, back: (
            tuple(over),
            unneeded(unneeded(swapped(back, "shut new", "open old"), "new writes"), "ahead"),
        ),
        (WRITERS,),
    ),
    Mutation(
        "the source is unfrozen before everything is carried back",
        lambda over, back: (tuple(over), unneeded(swapped(back, "carry back", "open old"), "ahead")),
        (LOST,),
    ),
    Mutation(
        "nothing is carried back",
        lambda over, back: (
            tuple(over),
            careless(careless(without(back, "carry back"), "prove back", until={}), "even", needs={}),
        ),
        (LOST,),
    ),
    Mutation(
        "carrying back begins while the fence is open",
        lambda over, back: (
            tuple(over),
            careless(unneeded(swapped(back, "shut new", "prove back"), "new writes"), "even", needs={}),
        ),
        (LOST,),
    ),
    Mutation(
        "D1 counts as even before it is carried back",
        lambda over, back: (tuple(over), careless(swapped(back, "carry back", "even"), "even", needs={})),
        (LOST,),
    ),
    Mutation(
        "D1 counts as even only after the source was unfrozen",
        lambda over, back: (
            tuple(over),
            unneeded(swapped(back, "even", "open old"), "ahead"),
        ),
        (LOST,),
    ),
    Mutation(
        "nobody waits for the isolates before the delta",
        lambda over, back: (without(over, "freeze seen"), without(back, "all old seen")),
        (READER,),
    ),
    Mutation(
        "nobody waits for the isolates before the old side goes",
        lambda over, back: (
            unneeded(tuple(step for step in over if not step.name.endswith("seen")), "seen"),
            tuple(back),
        ),
        (READER,),
    ),
    Mutation(
        "the gateway falls back to a side that is gone",
        lambda over, back: (unneeded(without(over, "settle"), "fallback"), tuple(back)),
        (READER,),
    ),
    Mutation(
        "the gateway still falls back to the new side when 06 begins anew",
        lambda over, back: (unneeded(over, "fallback"), (*without(back, "fall back"), back[1])),
        (READER,),
    ),
    Mutation(
        "the way back was never rehearsed",
        lambda over, back: (careless(over, "freeze", fresh=("validated", "approved")), tuple(back)),
        (STALE,),
    ),
    Mutation(
        "a step of the ramp is not watched",
        lambda over, back: (careless(over, "split 50", fresh=()), tuple(back)),
        (STALE,),
    ),
    Mutation(
        "the old side goes without approval",
        lambda over, back: (careless(over, "retire", fresh=("watched",)), tuple(back)),
        (STALE,),
    ),
    Mutation(
        "the way back stands behind a gate",
        lambda over, back: (tuple(over), careless(back, "open old", fresh=("approved",))),
        (SHUT,),
    ),
)
