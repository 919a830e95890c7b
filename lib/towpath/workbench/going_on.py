"""A cutover that was cut after it had opened the new side: what it had done stands, and the ramp goes on.

Nothing before the opening may be done again: the new side holds more than the source by now.  The cells of those steps
show when they were done, and their checks are taken over from the attempt that did them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar, cast

from towpath import show
from towpath.show.markup import escaped
from towpath.tables.fence import Fence

P = ParamSpec("P")
R = TypeVar("R")
# each attempt says them itself; what a step of the ramp was found to be is not what it is when it is watched again
OWN = ("PL011", "CU108", *(f"TR{number}" for number in (101, 102, 103, 104, 105, 107, 109, 110, 112, 113)))


@dataclass(frozen=True, slots=True)
class DoneBefore:
    """Stands for what a step would have given back."""

    words: str


def once(function: Callable[P, R]) -> Callable[P, R]:
    """A step of a phase, whose first argument is the workbench: done only where no earlier attempt has done it."""

    @functools.wraps(function)
    def around(*args: P.args, **given: P.kwargs) -> R:
        bench: Any = args[0]
        return cast(R, bench.done_before) if bench.done_before is not None else function(*args, **given)

    return around


def shown(function: Callable[P, show.Shown]) -> Callable[P, show.Shown]:
    """What shows the result of a step: a sentence where an earlier attempt has done the step."""

    @functools.wraps(function)
    def around(*args: P.args, **given: P.kwargs) -> show.Shown:
        before = next((arg for arg in args if isinstance(arg, DoneBefore)), None)
        if before is None:
            return function(*args, **given)
        return show.Shown(f"<p>{escaped(before.words)}</p>", before.words)

    return around


def taken_up(bench: Any, stands: Fence) -> DoneBefore | None:
    """What an earlier attempt of this run has done, where the ramp may go on from there; None where it may not.

    It may while the new side is open, was opened by this very phase of this run, and nobody has begun the way back.
    """
    run = bench.run
    results = list(run.run_folder.results())
    opened = {
        f"towpath {run.run_folder.run_id} {result.stem}": result for result in results if result.phase == run.phase
    }
    earlier = opened.get(stands.changed_by)
    if stands.closed or earlier is None or any(r.phase == "07-roll-back" and r.verdict != "DRY RUN" for r in results):
        return None
    run.add(check for check in earlier.checks if check.code not in OWN)
    at = stands.changed_at[11:19]
    return DoneBefore(f"Done in {earlier.stem}, before the new side was opened at {at} UTC; its checks stand below.")
