"""The steps of the cutover and of the way back, as data: what each needs, what it makes, what must be fresh for it.

What moves traffic walks through these tuples by `look`, and tests/cutover_model explores every order in which
they, the clients, the gateway's isolates and accidents can come: one table, so that what was explored is what runs.

A *fact* is something that can be asked of the world, with the values of FACTS.  A step

- is *done* when all that it `makes` holds: then it is noted and nothing is changed, however often it is asked for;
- may be *begun* when every fact of `needs` has one of the values named, and everything of `fresh` (a gate) is fresh;
- *waits* until every fact of `until` holds;
- goes back to the step `otherwise` when what it waits for, or its gate, shows that the work before it is out of date.

A runner notes a step after it has been done.  If it dies between the two, the step is looked at again, and found done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

RAMP = (10, 50, 100)  # per cent of the sessions

FACTS: Mapping[str, tuple[str, ...]] = {
    "setting": ("origin", "frozen", *(f"split {percent}" for percent in RAMP), "worker"),  # what stands in KV
    "seen": ("no", "yes"),  # every isolate works by it: `setting.wait_until_seen`
    "old writes": ("open", "shut"),  # the maintenance switch
    "old quiet": ("no", "yes"),  # no write that was let in before the switch is still under way
    "new writes": ("shut", "open"),  # the fence in D1
    "ahead": ("no", "yes"),  # D1 may hold what the source does not: noted beside the fence, with the opening
    "equal": ("no", "yes"),  # D1 is the snapshot, and the source has not changed since the snapshot
    "carried back": ("no", "yes"),  # the source holds all that D1 holds otherwise than the snapshot
    "fallback": ("origin", "worker"),  # who answers when the gateway knows no setting
    "old side": ("there", "gone"),
}
EVIDENCE: Mapping[str, str] = {
    "validated": "05-validate has passed, after the newest import",
    "rehearsed": "the way back was rehearsed, by this plan",
    "approved": "the approvers of this step have signed",
    "equal": "D1 and the frozen source were compared, and neither has changed since",
    "watched": "the watch has said ENOUGH of the step that holds now",
}


class Turn(StrEnum):
    """What a runner does next."""

    NOTE = "note"  # the step is done: note it, go to the next
    DO = "do"
    WAIT = "wait"  # until what it waits for holds
    AGAIN = "again"  # go back to the step `otherwise`
    REFUSED = "refused"  # somebody must do something first, or go the way back
    END = "end"


class Work(StrEnum):
    """What a step moves besides facts."""

    NONE = ""
    SNAPSHOT = "snapshot"
    DELTA = "delta"
    CARRY_BACK = "carry back"


@dataclass(frozen=True, slots=True)
class Step:
    """One step; see the top of the module.  `does` and `refused` are for people."""

    name: str
    does: str
    needs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    fresh: tuple[str, ...] = ()
    makes: Mapping[str, str] = field(default_factory=dict)
    until: Mapping[str, str] = field(default_factory=dict)
    work: Work = Work.NONE
    otherwise: str = ""

    def done(self, facts: Mapping[str, str]) -> bool:
        """Whether there is nothing left to do; work is done again unless it was noted."""
        if self.work is not Work.NONE:
            return False
        return all(facts[name] == value for name, value in (*self.makes.items(), *self.until.items()))

    def missing(self, facts: Mapping[str, str], fresh: Sequence[str]) -> list[str]:
        """Why it may not be begun, in words; empty if it may."""
        wrong = [
            f"{name} is {facts[name]}, not {' or '.join(values)}"
            for name, values in self.needs.items()
            if facts[name] not in values
        ]
        return wrong + [f"stale or missing: {EVIDENCE[one]}" for one in self.fresh if one not in fresh]


def look(
    steps: Sequence[Step], noted: int, facts: Mapping[str, str], fresh: Sequence[str]
) -> tuple[Turn, Step | None, list[str]]:
    """What is next after `noted` steps: the turn, the step, and why it is refused or done again.

    A step with work is done when its caller says so; here it is never.
    """
    if noted >= len(steps):
        return Turn.END, None, []
    step = steps[noted]
    if step.done(facts):
        return Turn.NOTE, step, []
    missing = step.missing(facts, fresh)
    if missing:
        outdated = step.otherwise and step.missing(facts, (*fresh, "equal")) == []
        return (Turn.AGAIN if outdated else Turn.REFUSED), step, missing
    if step.until:
        return (Turn.AGAIN if step.otherwise else Turn.WAIT), step, [f"{step.name}: not yet"]
    return Turn.DO, step, []


def over(ramp: Sequence[int] = RAMP) -> tuple[Step, ...]:
    """The way over: from everything on the old side to everything on the new one, and the old one gone."""
    before = {"new writes": ("shut",), "ahead": ("no",), "fallback": ("origin",)}
    # Asked twice: who begins anew in the middle of a way back finds everything frozen without the first gate.
    evidence = ("validated", "rehearsed", "approved")
    return (
        Step(
            "freeze",
            "the gateway refuses writes",
            needs={"setting": ("origin",), **before},
            fresh=evidence,
            makes={"setting": "frozen"},
        ),
        Step("freeze seen", "every isolate refuses them", needs={"setting": ("frozen",)}, until={"seen": "yes"}),
        Step("shut old", "the old side refuses writes itself", needs=before, makes={"old writes": "shut"}),
        Step("old quiet", "writes under way come to their end", until={"old quiet": "yes"}),
        Step(
            "snapshot",
            "the frozen source is read once more",
            needs={"setting": ("frozen",), "old writes": ("shut",), "old quiet": ("yes",), **before},
            work=Work.SNAPSHOT,
        ),
        Step(
            "delta",
            "what has changed since the export is written to D1",
            needs={"setting": ("frozen",), "old writes": ("shut",), **before},
            work=Work.DELTA,
        ),
        Step("prove", "D1 is compared with the frozen source", until={"equal": "yes"}, otherwise="snapshot"),
        Step(
            "open new",
            "in one transaction D1 accepts writes, and notes that it may be ahead of the source",
            needs={"setting": ("frozen",), "old writes": ("shut",), "old quiet": ("yes",), **before},
            fresh=(*evidence, "equal"),
            makes={"new writes": "open", "ahead": "yes"},
            otherwise="snapshot",
        ),
        *_ramp(ramp),
        Step(
            "all new",
            "everything goes to the new side",
            needs={"setting": (f"split {ramp[-1]}",), "new writes": ("open",)},
            fresh=("watched",),
            makes={"setting": "worker"},
        ),
        Step("all new seen", "every isolate does so", needs={"setting": ("worker",)}, until={"seen": "yes"}),
        Step(
            "settle",
            "the gateway is deployed with FALLBACK worker: what it cannot know it gives to the new side",
            needs={"setting": ("worker",)},
            makes={"fallback": "worker"},
        ),
        Step(
            "retire",
            "the point of no return: the old side is switched off for good",
            needs={"setting": ("worker",), "seen": ("yes",), "fallback": ("worker",), "old writes": ("shut",)},
            fresh=("approved", "watched"),
            makes={"old side": "gone"},
        ),
    )


def back() -> tuple[Step, ...]:
    """The way back, open from every moment before the old side is gone: no gate stands in it."""
    return (
        Step("all old", "reads go to the old side, writes nowhere", makes={"setting": "frozen"}),
        Step(
            "fall back",
            "the gateway is deployed with FALLBACK origin, if it had another",
            makes={"fallback": "origin"},
        ),
        Step("all old seen", "every isolate does so", until={"seen": "yes"}),
        Step("shut new", "D1 refuses writes", makes={"new writes": "shut"}),
        Step(
            "carry back",
            "what D1 holds otherwise than the snapshot is written to the source",
            needs={"new writes": ("shut",)},
            work=Work.CARRY_BACK,
        ),
        Step(
            "prove back",
            "the source is compared with D1",
            needs={"new writes": ("shut",)},
            until={"carried back": "yes"},
            otherwise="carry back",
        ),
        Step(
            "even",
            "D1 notes that the source holds all it has: from here on nothing is carried back again",
            needs={"new writes": ("shut",), "carried back": ("yes",)},
            makes={"ahead": "no"},
        ),
        Step(
            "open old",
            "the old side accepts writes again",
            needs={"new writes": ("shut",), "ahead": ("no",)},
            makes={"old writes": "open"},
        ),
        Step(
            "to old",
            "reads and writes go to the old side",
            needs={"old writes": ("open",)},
            makes={"setting": "origin"},
        ),
        Step("to old seen", "every isolate does so", needs={"setting": ("origin",)}, until={"seen": "yes"}),
    )


def _ramp(ramp: Sequence[int]) -> list[Step]:
    steps: list[Step] = []
    before = "frozen"
    for percent in ramp:
        setting = f"split {percent}"
        steps += [
            Step(
                setting,
                f"{percent} % of the sessions read on the new side, all write there",
                needs={"setting": (before,), "new writes": ("open",), "ahead": ("yes",)},
                fresh=("watched",) if before != "frozen" else (),
                makes={"setting": setting},
            ),
            Step(f"{setting} seen", "every isolate does so", needs={"setting": (setting,)}, until={"seen": "yes"}),
        ]
        before = setting
    return steps
