"""Rules, findings, checks: the words in which every surface reports.

A *rule* is a row of data: a code, what it looks for, how bad it is, which decisions answer it.  A *finding* is what
a rule found in one object.  A *check* is one row of a phase's result: expected, found, verdict.  `judge` turns
findings into checks with the decisions of mapping.yaml and the waivers of waivers.yaml, and subtracts nothing else.
"""

from __future__ import annotations

import datetime as dt
import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

WANTS_DECISION, WANTS_WAIVER = "a decision: ", "a waiver"  # how `expected` begins, or is, where one is missing
SOON = 30  # days before its last day in which a waiver is a warning


class Verdict(StrEnum):
    """The verdict of one check or of a whole phase."""

    PASS = "PASS"
    WARN = "WARN"  # said to the reviewer, does not stop
    WAIVED = "WAIVED"  # a loss that a waiver names, with owner, reason, count and expiry
    FAIL = "FAIL"
    DRY_RUN = "DRY RUN"  # nothing was written, so nothing is proved: opens no gate
    INCOMPLETE = "INCOMPLETE"  # the phase did not come to its end: opens no gate


class Severity(StrEnum):
    """What a finding of a rule means."""

    REFUSE = "refuse"  # no decision helps: the source must change first
    DECIDE = "decide"  # mapping.yaml must say what becomes of it
    WARN = "warn"  # reported, does not stop
    NOTE = "note"  # a fact for the record


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: data, with one row in docs/checks.md and one fixture in the tests."""

    code: str
    surface: str
    title: str
    severity: Severity
    advice: str  # what to do next, one sentence
    choices: tuple[str, ...] = ()  # the decisions that answer it (severity DECIDE)
    lossy: tuple[str, ...] = ()  # those of them that lose or leave something: they need a waiver too
    loses: str = ""  # what such an answer loses, for the person who signs the waiver

    @classmethod
    def of(cls, surface: str, code: str, title: str, severity: Severity, advice: str, *words: str) -> Rule:
        """A row of a table of rules; `words`: the choices, those of them that lose, and what they lose."""
        choices, lossy, loses = (*words, "", "", "")[:3]
        return cls(code, surface, title, severity, advice, tuple(choices.split()), tuple(lossy.split()), loses)

    @property
    def default(self) -> str:
        """The answer that is proposed, never taken unasked: the first that loses nothing, "" if each does."""
        return next((choice for choice in self.choices if choice not in self.lossy), "")

    def check(
        self, object: str, expected: object, found: object, good: bool, keys: Iterable[str] = (), *, step: str = ""
    ) -> Check:
        """What this rule looked for, as a row of a phase's result; `step`: what to do next, in place of its advice."""
        bad = Verdict.WARN if self.severity is Severity.WARN else Verdict.FAIL
        verdict, step = (Verdict.PASS, "") if good else (bad, step or self.advice)
        return Check(self.code, self.surface, object, str(expected), str(found), verdict, step, tuple(keys))


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule found in one object; `samples` are keys, never values."""

    code: str
    object: str
    count: int
    message: str
    samples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """One row of mapping.yaml's `decisions`: what becomes of a finding."""

    code: str
    object: str  # a pattern as in fnmatch: * and ?
    do: str
    reason: str


@dataclass(frozen=True, slots=True)
class Waiver:
    """One row of waivers.yaml: an accepted loss, exactly this many, until that day.

    `count` None accepts however many there are: for what stays behind as a whole, such as a column.
    """

    code: str
    object: str
    count: int | None
    owner: str
    reason: str
    expires: dt.date


@dataclass(frozen=True, slots=True)
class Check:
    """One row of a phase's flat result table."""

    code: str
    surface: str
    object: str
    expected: str
    found: str
    verdict: Verdict
    next: str = ""
    keys: tuple[str, ...] = ()
    count: int = 0  # what the finding counted; 0 where the check judges no finding

    @property
    def undecided(self) -> bool:
        """True for a finding that mapping.yaml must answer and does not."""
        return self.verdict is Verdict.FAIL and self.expected.startswith(WANTS_DECISION)

    @property
    def unwaived(self) -> bool:
        """True for a decided finding whose loss nobody has accepted."""
        return self.verdict is Verdict.FAIL and self.expected == WANTS_WAIVER

    def row(self) -> dict[str, Any]:
        """The check as plain data for result.json."""
        plain = {name: getattr(self, name) for name in self.__slots__}  # asdict takes 20 times as long
        return {**plain, "verdict": str(self.verdict), "keys": list(self.keys)}


@dataclass(frozen=True, slots=True)
class Comparison:
    """The result of a comparison that came to its end, differences or not."""

    surface: str
    compared: Mapping[str, int]  # what was looked at, e.g. {"tables": 28, "rows": 200000, "cells": 1700000}
    checks: tuple[Check, ...] = ()
    differences: tuple[Difference, ...] = ()

    @property
    def equal(self) -> bool:
        """True when nothing differs beyond what a waiver names."""
        return all(check.verdict is not Verdict.FAIL for check in self.checks)


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference, named by object, key and column with both values as text."""

    object: str
    key: str
    column: str  # "" where the whole row or object is meant
    kind: str  # missing | extra | changed
    expected: str
    found: str


def worst(checks: Iterable[Check]) -> Verdict:
    """The verdict over a table of checks: FAIL if any fails or if there is none, else PASS."""
    verdicts = [check.verdict for check in checks]
    if not verdicts or any(v in (Verdict.FAIL, Verdict.INCOMPLETE) for v in verdicts):
        return Verdict.FAIL
    return Verdict.DRY_RUN if Verdict.DRY_RUN in verdicts else Verdict.PASS


def decide(finding_code: str, object: str, decisions: Sequence[Decision]) -> Decision | None:
    """The first decision for this finding; an exact object wins over a pattern."""
    mine = [d for d in decisions if d.code == finding_code]
    for decision in mine:
        if decision.object == object:
            return decision
    return next((d for d in mine if fnmatch.fnmatchcase(object, d.object)), None)


@dataclass
class Judgement:
    """Checks for a list of findings, and the decisions taken."""

    checks: list[Check] = field(default_factory=list)
    decided: list[tuple[Finding, Decision]] = field(default_factory=list)


def judge(
    findings: Sequence[Finding],
    rules: Mapping[str, Rule],
    decisions: Sequence[Decision],
    waivers: Sequence[Waiver],
    today: dt.date,
) -> Judgement:
    """Turn findings into checks.

    A decision that matches no finding, and a waiver that matches no finding, another count, or is past its day, FAILs:
    what the files say must be what the source holds.
    """
    out = Judgement()
    used: set[Decision | Waiver] = set()
    for finding in findings:
        rule = rules[finding.code]
        decision = decide(finding.code, finding.object, decisions)
        verdict, expected, step = _rule_verdict(rule, finding, decision)
        if decision is not None:
            used.add(decision)
            out.decided.append((finding, decision))
            if verdict is Verdict.PASS and decision.do in rule.lossy:
                waiver = next((w for w in waivers if w.code == finding.code and w.object == finding.object), None)
                verdict, expected, step = _waived(finding, waiver, today)
                if waiver is not None:
                    used.add(waiver)
        out.checks.append(
            Check(
                code=finding.code,
                surface=rule.surface,
                object=finding.object,
                expected=expected,
                found=finding.message + (f" → {decision.do}: {decision.reason}" if decision else ""),
                verdict=verdict,
                next=step,
                keys=finding.samples,
                count=finding.count,
            )
        )
    out.checks += ending([item for item in used if isinstance(item, Waiver)], today)
    everything: list[Decision | Waiver] = [*decisions, *waivers]
    out.checks += _unused([item for item in everything if item not in used])
    return out


def _rule_verdict(rule: Rule, finding: Finding, decision: Decision | None) -> tuple[Verdict, str, str]:
    if rule.severity is Severity.REFUSE:
        return Verdict.FAIL, "none", rule.advice
    if rule.severity is Severity.DECIDE:
        choices = ", ".join(rule.choices)
        if decision is None:
            step = f"add a decision for {finding.code} {finding.object} to mapping.yaml ({choices}): {rule.advice}"
            return Verdict.FAIL, f"{WANTS_DECISION}{choices}", step
        if decision.do not in rule.choices:
            return Verdict.FAIL, f"{WANTS_DECISION}{choices}", f"mapping.yaml says {decision.do!r}; allowed: {choices}"
        return Verdict.PASS, f"decided: {decision.do}", ""
    return (Verdict.WARN if rule.severity is Severity.WARN else Verdict.PASS), "reported", rule.advice


def _waived(finding: Finding, waiver: Waiver | None, today: dt.date) -> tuple[Verdict, str, str]:
    name = f"{finding.code} {finding.object}"
    if waiver is None:
        return Verdict.FAIL, WANTS_WAIVER, f"add a waiver for {name} with count {finding.count} to waivers.yaml"
    if waiver.count not in (None, finding.count):
        step = f"waivers.yaml accepts {waiver.count}, the source holds {finding.count}: look at {name} again"
        return Verdict.FAIL, f"waived: exactly {waiver.count}", step
    if waiver.expires < today:
        return Verdict.FAIL, f"a waiver valid on {today}", f"the waiver for {name} expired on {waiver.expires}"
    return Verdict.WAIVED, f"waived by {waiver.owner} until {waiver.expires}: {waiver.reason}", ""


def ending(waivers: Iterable[Waiver], today: dt.date) -> list[Check]:
    """A warning for each waiver whose last day is near, the first to end first."""
    near = [one for one in waivers if 0 <= (one.expires - today).days < SOON]
    return [
        Check(
            code="PL015",
            surface="plan",
            object=f"{one.code} {one.object}",
            expected=f"valid for {SOON} days more",
            found=f"{one.owner} accepted it until {one.expires}: {(one.expires - today).days} days more",
            verdict=Verdict.WARN,
            next=f"ask {one.owner} before that day: a phase that runs later fails",
        )
        for one in sorted(near, key=lambda one: (one.expires, one.code, one.object))
    ]


def _unused(leftover: Sequence[Decision | Waiver]) -> list[Check]:
    checks = []
    for item in leftover:
        file, name = "waivers.yaml" if isinstance(item, Waiver) else "mapping.yaml", f"{item.code} {item.object}"
        found = f"{file} names it, the source does not hold it"
        step = f"remove it from {file}, or look why the inventory no longer finds it"
        checks.append(Check("PL001", "plan", name, "matches a finding", found, Verdict.FAIL, step))
    return checks


class Progress(Protocol):
    """Called by long work with the number of items (rows, bytes, files) done since the last call."""

    def __call__(self, done: int, /) -> None: ...


def silent(done: int, /) -> None:
    """The progress that shows nothing."""
