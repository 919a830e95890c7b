"""A run as its reviewer sees it: every attempt with its verdict, and one verdict over all.

Missing, unreadable, stale, contradictory or unfinished is never a pass; each is said in words.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from towpath.checks import Check, Verdict, worst
from towpath.errors import BadInput
from towpath.runs.files import read_json
from towpath.runs.results import PARTIAL, PROOFS, Artefact, PhaseResult, read_result, result_path, stem

RESULT = ".result.json"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at one phase, as far as its files tell."""

    phase: str
    number: int
    verdict: Verdict
    reason: str  # why it is not PASS, in one line; "" where it is
    result: PhaseResult | None

    @property
    def stem(self) -> str:
        """The name of the attempt's files without the ending."""
        return stem(self.phase, self.number)


@dataclass(frozen=True, slots=True)
class Overview:
    """A run: what a review page says."""

    system: str
    environment: str
    run: str
    plan: str
    opened: str
    verdict: Verdict
    sentence: str
    phases: tuple[str, ...]  # of the runbook, then those that ran and are none of it
    attempts: tuple[Attempt, ...]  # in the order in which they were started
    newest: tuple[Attempt, ...]  # of each phase, in the runbook's order
    not_run: tuple[str, ...]
    problems: tuple[str, ...] = field(default=())  # what is wrong with the record itself
    stale: tuple[str, ...] = field(default=())  # those of them that say that attempts do not fit one another

    @property
    def checks(self) -> list[tuple[str, Check]]:
        """The checks of the newest attempts, as (attempt, check)."""
        return [(one.stem, check) for one in self.newest if one.result for check in one.result.checks]

    @property
    def artefacts(self) -> list[tuple[str, Artefact]]:
        """The artefacts of all attempts, as (attempt, artefact)."""
        return [(one.stem, artefact) for one in self.attempts if one.result for artefact in one.result.artefacts]


def read_attempt(folder: Path, phase: str, number: int) -> Attempt:
    """One attempt, read from its result file; what cannot be read is INCOMPLETE and says why."""
    try:
        result = read_result(result_path(folder, phase, number))
    except BadInput as error:
        return Attempt(phase, number, Verdict.INCOMPLETE, f"{stem(phase, number)}{RESULT} {error.what}", None)
    if (result.phase, result.attempt) != (phase, number):
        return Attempt(phase, number, Verdict.INCOMPLETE, f"its result file is of {result.stem}", None)
    if result.verdict is Verdict.INCOMPLETE:
        reason = result.error or "it did not come to its end"
        return Attempt(phase, number, Verdict.INCOMPLETE, reason, result)
    if result.verdict in (Verdict.PASS, Verdict.DRY_RUN) and (folder / f"{result.stem}{PARTIAL}").is_file():
        reason = f"the result says {result.verdict}, but its runner was killed before the notebook came to its end"
        return Attempt(phase, number, Verdict.INCOMPLETE, reason, result)
    computed = worst(result.checks)
    if computed is not result.verdict:
        verdict = Verdict.FAIL if Verdict.FAIL in (computed, result.verdict) else Verdict.INCOMPLETE
        reason = f"the result says {result.verdict}, its checks say {computed}"
        return Attempt(phase, number, verdict, reason, result)
    return Attempt(phase, number, result.verdict, "" if result.verdict is Verdict.PASS else result.error, result)


def read_overview(folder: Path) -> Overview:
    """Read a run folder.  Never raises for what lies in it: what is wrong becomes a problem of the record."""
    problems: list[str] = []
    head: dict[str, object] = {}
    try:
        read = read_json(folder / "run.json")
        head = read if isinstance(read, dict) else {}
    except BadInput as error:
        problems.append(f"run.json {error.what}")
    expected = [str(phase) for phase in _list(head.get("phases"))]
    named = _named(_list(head.get("attempts")))
    found = sorted(_split(path.name.removesuffix(RESULT)) for path in folder.glob(f"*{RESULT}"))
    for attempt in found:
        if attempt not in named:
            problems.append(f"{stem(*attempt)}{RESULT} is not named by run.json")
            named.append(attempt)
    attempts = tuple(read_attempt(folder, phase, number) for phase, number in named)
    order = expected + sorted({phase for phase, _ in named} - set(expected))
    last = {phase: max((a for a in attempts if a.phase == phase), key=lambda a: a.number) for phase, _ in named}
    newest = tuple(last[phase] for phase in order if phase in last)
    not_run = tuple(phase for phase in expected if phase not in last)
    if not expected:
        problems.append("run.json names no phases: it cannot be said whether all have run")
    stale = _disagreements(newest, str(head.get("plan", "")), [one.stem for one in attempts])
    problems += stale
    verdict, sentence = _over_all(newest, not_run, problems, expected)
    names = folder.resolve().parts
    return Overview(
        system=str(head.get("system") or (names[-3] if len(names) > 2 else "")),
        environment=str(head.get("environment") or (names[-2] if len(names) > 1 else "")),
        run=str(head.get("run") or folder.name),
        plan=str(head.get("plan", "")),
        opened=str(head.get("opened", "")),
        verdict=verdict,
        sentence=sentence,
        phases=tuple(order),
        attempts=attempts,
        newest=newest,
        not_run=not_run,
        problems=tuple(problems),
        stale=tuple(stale),
    )


def _over_all(
    newest: Sequence[Attempt], not_run: Sequence[str], problems: Sequence[str], expected: Sequence[str]
) -> tuple[Verdict, str]:
    passed = [a for a in newest if a.verdict is Verdict.PASS]
    for verdict, word in ((Verdict.FAIL, "failed"), (Verdict.INCOMPLETE, "did not come to its end")):
        first = next((a for a in newest if a.verdict is verdict), None)
        if first is not None:
            reason = first.reason.removeprefix(f"{first.stem}: ").rstrip(".")
            return verdict, f"{first.stem} {word}{': ' + reason if reason else ''}."
    if problems:
        more = f" ({len(problems) - 1} more below)" if len(problems) > 1 else ""
        return Verdict.INCOMPLETE, f"The record does not hold together: {problems[0]}{more}."
    dry = next((a for a in newest if a.verdict is Verdict.DRY_RUN), None)
    if dry is not None:
        return Verdict.DRY_RUN, f"{dry.stem} was a dry run: nothing was written, nothing is proved."
    total = len(newest) + len(not_run)
    if not_run or not newest:
        after = f"; {not_run[0]} has not run yet" if not_run else ""
        return Verdict.INCOMPLETE, f"{len(passed)} of {total} phases passed{after}."
    count = sum(len(a.result.checks) for a in newest if a.result)
    back = next((a.phase for a in newest if a.phase not in expected), "")
    then = f" The last was {back}: the way back was gone, and the source serves again." if back else ""
    return Verdict.PASS, f"All {total} phases passed, with {count:,} checks.{then}"


def _disagreements(newest: Sequence[Attempt], plan: str, order: Sequence[str]) -> list[str]:
    """What does not fit together; which attempt is older says the order in which they were opened, and no clock."""
    problems: list[str] = []
    results = [a.result for a in newest if a.result is not None]
    for result in results:
        if plan and result.plan != plan:
            problems.append(f"{result.stem} ran under plan {result.plan[:12]}…, the run's plan is {plan[:12]}…")
    for word in ("source", "target"):
        named = {str(getattr(result, word)) for result in results if getattr(result, word)}
        if len(named) > 1:
            problems.append(f"the phases name more than one {word}: {', '.join(sorted(named))}")
    for before, after in itertools.pairwise(results):
        if before.phase in PROOFS and before.verdict is Verdict.PASS:
            continue  # nothing was changed: what came after it stands
        if order.index(after.stem) < order.index(before.stem):
            problems.append(f"{after.stem} is older than {before.stem}, which it builds on")
    return problems


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _named(attempts: list[object]) -> list[tuple[str, int]]:
    named = []
    for item in attempts:
        if isinstance(item, dict) and isinstance(item.get("phase"), str) and isinstance(item.get("attempt"), int):
            named.append((item["phase"], item["attempt"]))
    return named


def _split(name: str) -> tuple[str, int]:
    phase, dot, number = name.rpartition(".")
    return (phase, int(number)) if dot and number.isdecimal() else (name, 1)
