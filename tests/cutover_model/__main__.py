"""python -m cutover_model [writes] [isolates]: explore the whole table, and every spoiled one."""

from __future__ import annotations

import sys
import time

from cutover_model.explore import explore
from cutover_model.mutations import MUTATIONS
from cutover_model.world import World
from towpath.traffic.steps import back, over


def main(writes: int = 3, isolates: int = 1) -> int:
    """Print what was found; the exit code is 1 when a property is broken, or a spoiled table breaks none."""
    begun = time.monotonic()
    found = explore(World(over(), back(), writes, isolates))
    seconds = time.monotonic() - begun
    print(f"{writes} writes, {isolates} isolates: {found.states:,} states, {found.transitions:,} transitions,")
    print(f"at most {found.depth} events deep, {found.gone:,} states after the point of no return, {seconds:.0f} s")
    for name, story in found.broken.items():
        print(f"BROKEN: {name}: {' → '.join(story)}")
    missed = 0
    for mutation in MUTATIONS:
        spoiled = explore(World(*mutation.spoil(over(), back()), 1, 1), first_only=True)
        hit = set(spoiled.broken) & set(mutation.breaks)
        missed += not hit
        print(f"{'found ' if hit else 'MISSED'}  {mutation.name}: {', '.join(sorted(spoiled.broken)) or 'nothing'}")
    return 1 if found.broken or missed else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
