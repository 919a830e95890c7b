"""What the page of a run says beyond its verdict: what needs a decision, how long it took, what was counted."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from towpath.checks import Check, Verdict
from towpath.plan.ends import UNSIGNED
from towpath.runs.overview import Attempt, Overview
from towpath.runs.rendering import fitting, in_order, said, time_of
from towpath.runs.standing import SIGNED, Standing
from towpath.show.markup import amount, duration, number

MEANING: Mapping[Verdict, str] = {
    Verdict.PASS: "Everything that was looked at is as expected, decided beforehand, or accepted by name.",
    Verdict.FAIL: "Something is not as expected. Nothing goes on until each line below is repaired or decided.",
    Verdict.DRY_RUN: "Nothing was written. What would be done is shown; it starts when somebody approves this plan.",
    Verdict.INCOMPLETE: "The run is not at its end, so it proves nothing about what is missing.",
}
ATTEMPTS = 200  # on the page; a run rarely has ten
ROOM = 60_000  # bytes for each of the tables of what needs a decision
_WAIVED = re.compile(r"^waived by (?P<owner>.+?) until (?P<until>\d{4}-\d\d-\d\d): (?P<why>.*)$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Loss:
    """One accepted loss with all the phases that met it."""

    code: str
    object: str
    what: str
    owner: str
    until: str
    why: str
    phases: str


@dataclass(frozen=True, slots=True)
class Needs:
    """What somebody must decide now, the gravest first."""

    lines: Sequence[str]
    broken: Sequence[Attempt]
    tables: Sequence[tuple[str, Sequence[tuple[str, Check]], int]]  # title, rows, how many are left out
    waived: Sequence[Loss]
    waived_left: int


@dataclass(frozen=True, slots=True)
class Timeline:
    """Every attempt with its bar in per cent of the whole time that was worked."""

    sentence: str
    rows: Sequence[Mapping[str, Any]]
    left: int


@dataclass(frozen=True, slots=True)
class Numbers:
    """What was measured: a row for each number, a column for each phase."""

    stems: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]
    left: int


def needs_of(folder: Path, view: Overview, signed: Standing) -> Needs:
    """What needs a decision in a run."""
    checks = in_order(view.checks)
    groups: dict[Verdict, list[tuple[str, Check]]] = {}
    for item in checks:
        groups.setdefault(item[1].verdict, []).append(item)
    broken = [a for a in view.newest if a.verdict is not Verdict.PASS and not _is_explained(a)]
    tables = []
    for verdict, title in (
        (Verdict.FAIL, "Failed checks"),
        (Verdict.INCOMPLETE, "Checks that did not come to their end"),
        (Verdict.DRY_RUN, "Dry runs: what to do to go on"),
        (Verdict.WARN, "Warnings"),
    ):
        if rows := groups.get(verdict):
            tables.append((title, *fitting(rows, ROOM)))
    losses = _losses(groups.get(Verdict.WAIVED, []))
    waived, left = fitting(losses, 2 * ROOM)
    lines = [
        *_counted(groups.get(Verdict.FAIL, []), "failed check", "failed checks"),
        *_counted(broken, "phase did not pass", "phases did not pass"),
        *_counted(view.problems, "thing in the record does not fit", "things in the record do not fit"),
        *_unfinished(view),
        *_approvals(folder, view, signed),
        *_seals(view, signed),
        *_counted(groups.get(Verdict.WARN, []), "warning", "warnings"),
        *_counted(losses, "accepted loss: is it still right?", "accepted losses: are they still right?"),
    ]
    return Needs(lines, broken, tables, waived, left)


def demanded(folder: Path) -> dict[str, int]:
    """How many approvals each phase needs, by the plan of the run; empty where that cannot be read."""
    try:
        steps = json.loads((folder / "plan.json").read_bytes())["runbook"]["steps"]
        return {str(step["phase"]): int(step["approvers"]) for step in steps if step["approvers"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def timeline_of(folder: Path, view: Overview) -> Timeline:
    """The attempts of a run, in the order in which they were started."""
    newest = {attempt.stem for attempt in view.newest}
    attempts = view.attempts[-ATTEMPTS:]
    took = [(a.result.number("seconds") if a.result else None) or 0.0 for a in attempts]
    whole = sum(took)
    begun, rows = 0.0, []
    for attempt, seconds in zip(attempts, took, strict=True):
        share = 100 / whole if whole else 0.0
        rows.append(_row(folder, attempt, attempt.stem not in newest, min(begun * share, 99.4), seconds * share))
        begun += seconds
    if not whole:
        return Timeline("No attempt has measured its time yet.", rows, len(view.attempts) - len(attempts))
    longest = max(zip(took, attempts, strict=True), key=lambda pair: pair[0])
    count = f"{len(attempts)} {'attempt' if len(attempts) == 1 else 'attempts'}"
    sentence = (
        f"{count} worked {duration(whole)} in all; the longest was {longest[1].stem} with {duration(longest[0])}."
    )
    frozen = next((a.result.number("freeze_seconds") for a in reversed(view.newest) if a.result), None)
    sentence += f" The source was frozen for {duration(frozen)}." if frozen is not None else ""
    return Timeline(sentence, rows, len(view.attempts) - len(attempts))


def numbers_of(view: Overview, most: int = 60) -> Numbers:
    """Every measured number of the newest attempts."""
    results = [attempt.result for attempt in view.newest if attempt.result]
    names = list(dict.fromkeys(one.name for result in results for one in result.numbers))
    rows = []
    for name in names[:most]:
        values = [next((amounted(n.value, n.unit) for n in r.numbers if n.name == name), "") for r in results]
        rows.append((name.replace("_", " "), values))
    return Numbers([result.stem for result in results], rows, max(len(names) - most, 0))


def amounted(value: float, unit: str) -> str:
    """A measured number as people read it."""
    return duration(value) if unit == "s" else amount(value, unit)


def _row(folder: Path, attempt: Attempt, is_old: bool, start: float, length: float) -> Mapping[str, Any]:
    result = attempt.result
    seconds = result.number("seconds") if result else None
    memory = result.number("kernel_peak_memory") if result else None
    rows = result.number("rows") if result else None
    files = [("page", ".html"), ("notebook", ".ipynb"), ("notebook, cut", ".partial.ipynb"), ("result", ".result.json")]
    return {
        "stem": attempt.stem,
        "is_old": is_old,
        "verdict": attempt.verdict,
        "start": start,
        "length": length,
        "started": time_of(result.started).removesuffix(" UTC") if result else "",
        "took": duration(seconds) if seconds is not None else "",
        "rows": number(rows) if rows is not None else "",
        "memory": amount(memory, "bytes") if memory else "",
        "counts": said(Counter(check.verdict for check in result.checks)) if result else "",
        "links": [
            (label, f"{attempt.stem}{end}") for label, end in files if (folder / f"{attempt.stem}{end}").is_file()
        ],
    }


def _is_explained(attempt: Attempt) -> bool:
    """A failed attempt whose failed checks stand in the table needs no line of its own."""
    checks = attempt.result.checks if attempt.result else ()
    return attempt.verdict is Verdict.FAIL and any(check.verdict is Verdict.FAIL for check in checks)


def _counted(things: Sequence[object], one: str, more: str) -> list[str]:
    return [f"{len(things):,} {one if len(things) == 1 else more}"] if things else []


def _unfinished(view: Overview) -> list[str]:
    return [f"not run yet: {', '.join(view.not_run)}"] if view.not_run else []


def _approvals(folder: Path, view: Overview, signed: Standing) -> list[str]:
    """The approvals that are void, and those that the next phase waits for."""
    lines = [f"the approval of {name} is void" for name, _, _, state in signed.approvals if state.startswith("void")]
    newest = {attempt.phase: attempt.verdict for attempt in view.newest}
    upcoming = next((phase for phase in view.phases if newest.get(phase) is not Verdict.PASS), "")
    wanted = demanded(folder).get(upcoming, 0) if view.environment not in UNSIGNED else 0
    given = sum(state == "stands" for _, _, _, state in signed.approvals)
    if given < wanted:
        words = f"{upcoming} needs {wanted} {'approval' if wanted == 1 else 'approvals'}, {given} given"
        lines.append(f"{words}: towpath approve {view.run} --as NAME")
    return lines


def _seals(view: Overview, signed: Standing) -> list[str]:
    if not signed.sentence or all(state.startswith(SIGNED) for _, state in signed.seals):
        return []
    allowed = f" (allowed in {view.environment})" if view.environment in UNSIGNED else ""
    return [f"{signed.sentence}{allowed}"]


def _losses(items: Sequence[tuple[str, Check]]) -> list[Loss]:
    """Each accepted loss once."""
    phases: dict[tuple[str, ...], list[str]] = {}
    for phase, check in items:
        phases.setdefault((check.code, check.object, check.found, check.expected), []).append(phase)
    losses = []
    for (code, object_, found, expected), met in phases.items():
        by = _WAIVED.match(expected)
        owner, until, why = (by["owner"], by["until"], by["why"]) if by else ("", "", expected)
        losses.append(Loss(code, object_, found, owner, until, why, ", ".join(met)))
    return losses
