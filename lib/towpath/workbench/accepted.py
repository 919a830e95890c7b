"""05-validate and 06-cutover: the losses that the proof does not hold against the target, each with who accepted it.

The snapshot is what the decisions left, so a comparison with it says nothing of what they gave up.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from towpath.checks import Check, Verdict, Waiver, ending
from towpath.parity.rules import RULES as PARITY
from towpath.workbench.workbench import Workbench


def accepted_losses(bench: Workbench) -> None:
    """Each waiver of the plan as a check: WAIVED until its last day, FAIL after it; a warning where the day is near."""
    run, today = bench.run, dt.datetime.now(dt.UTC).date()
    earlier = [check for result in run.run_folder.results() for check in result.checks]
    told = {(check.code, check.object) for check in run.checks}
    # parity is no data: 05-validate judges what was accepted there when it asks both applications
    mine = [one for one in run.plan.waivers if one.code not in PARITY]
    waivers = [one for one in mine if (one.code, one.object) not in told]
    run.add([*losses(waivers, earlier, today), *ending(waivers, today)])


def losses(waivers: Sequence[Waiver], earlier: Iterable[Check], today: dt.date) -> Iterator[Check]:
    """One check for each waiver, in the words of the newest check that used it."""
    used = {(check.code, check.object): check for check in earlier if check.verdict is Verdict.WAIVED}
    for waiver in waivers:
        name = f"{waiver.code} {waiver.object}"
        check = used.get((waiver.code, waiver.object))
        if check is None:
            step = "run the phases before this one again: none of them met what it accepts"
            found = "no phase of this run used it"
            yield Check(waiver.code, "plan", waiver.object, "a waiver in use", found, Verdict.FAIL, step)
        elif waiver.expires < today:
            step = f"the waiver for {name} expired on {waiver.expires}: ask {waiver.owner}"
            yield replace(check, expected=f"a waiver valid on {today}", verdict=Verdict.FAIL, next=step)
        else:
            yield check
