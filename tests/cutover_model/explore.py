"""Breadth first through every state that can be reached, and back from each of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cutover_model.layout import States
from cutover_model.world import Move, World

STALE, NO_WAY_BACK = "a gate is passed on stale evidence", "the way back is shut"


@dataclass(frozen=True)
class Found:
    """What an exploration found.  `broken`: property → the story of the first state in which it does not hold."""

    states: int
    transitions: int
    depth: int  # events until the last new state
    gone: int  # states after the point of no return
    broken: dict[str, list[str]]


def explore(world: World, *, first_only: bool = False) -> Found:
    """Look at every state.  `first_only` ends at the first broken property, and then leaves out the way back."""
    levels = [np.array([world.start], dtype=np.int64)]
    visited, transitions = levels[0], 0
    broken: dict[str, list[str]] = {}
    while len(levels[-1]):
        here = levels[-1]
        for name, mask in world.violations(here).items():
            if name not in broken and mask.any():
                broken[name] = _story(world, levels, int(here[mask][0]))
        reached: list[States] = []
        for move in world.moves:
            sources = here[move.may(here)]
            if not len(sources):
                continue
            if STALE not in broken and (at := _stale(world, move, sources)) is not None:
                broken[STALE] = [*_story(world, levels, at), move.name]
            reached.append(move.then(sources))
            transitions += len(sources)
        if first_only and broken:
            break
        new = np.unique(np.concatenate(reached)) if reached else levels[0][:0]
        at = np.searchsorted(visited, new)
        at[at == len(visited)] = 0
        new = new[visited[at] != new]
        visited = np.sort(np.concatenate([visited, new]), kind="stable")
        levels.append(new)
    if not broken:
        lost = _without_return(world, visited)
        if lost is not None:
            broken[NO_WAY_BACK] = _story(world, levels, lost)
    gone = int((world.flags["old side"].get(visited) == 1).sum())
    return Found(len(visited), transitions, len(levels) - 2, gone, broken)


def reachable(world: World) -> States:
    """Every state that can be reached."""
    visited = here = np.array([world.start], dtype=np.int64)
    while len(here):
        reached = [move.then(here[move.may(here)]) for move in world.moves]
        here = np.setdiff1d(np.concatenate(reached), visited)
        visited = np.union1d(visited, here)
    return visited


def _stale(world: World, move: Move, sources: States) -> int | None:
    for evidence in move.gate:
        stale = sources[~world.fresh(sources, evidence)]
        if len(stale):
            return int(stale[0])
    return None


def _without_return(world: World, visited: States) -> int | None:
    """A state before the point of no return from which our own moves do not lead home; None if there is none."""
    before, after = [], []
    for move in world.moves:
        if move.ours:
            at = np.flatnonzero(move.may(visited))
            before.append(at.astype(np.int32))
            after.append(np.searchsorted(visited, move.then(visited[at])).astype(np.int32))
    source, target = np.concatenate(before), np.concatenate(after)
    good = world.home(visited)
    while True:
        now = good[target]
        good[source[now]] = True
        left = ~good[source]
        if not (now & ~good[target]).any() and not good[target[left]].any():
            break
        source, target = source[left], target[left]
    bad = visited[~good & (world.flags["old side"].get(visited) == 0)]
    return int(bad[0]) if len(bad) else None


def _story(world: World, levels: list[States], state: int) -> list[str]:
    """The events that lead to a state of the last level that holds it, the first event first."""
    depth = next(at for at, level in enumerate(levels) if state in level)
    story: list[str] = []
    for level in reversed(levels[:depth]):
        for move in world.moves:
            sources = level[move.may(level)]
            hit = np.flatnonzero(move.then(sources) == state) if len(sources) else ()
            if len(hit):
                state = int(sources[hit[0]])
                story.append(move.name)
                break
    return story[::-1]
