"""Two runs of one system held against each other: plan, phases, numbers, rows of each table, findings, code.

A is what one knows (a rehearsal), B is what one looks at (production).  Only what the records say is compared.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from towpath.checks import Check, Verdict
from towpath.runs.code_changes import Code, code_of
from towpath.runs.overview import Attempt, Overview, read_overview
from towpath.runs.review import amounted
from towpath.show.markup import number

ROWS = "TB411"  # the check that counts the rows of one table
NAMES = ("code", "phase", "table", "pattern", "name")  # what tells the items of a list in the plan apart
LONG = 200  # characters from which a changed text is shown line by line


@dataclass(frozen=True, slots=True)
class Pair:
    """One thing as A and as B have it; "" where one has none.  `lines` is a long text's difference, line by line."""

    name: str
    a: str
    b: str
    lines: str = ""


@dataclass(frozen=True, slots=True)
class PhasePair:
    """The newest attempt at one phase in both runs."""

    phase: str
    a: Attempt | None
    b: Attempt | None

    @property
    def seconds(self) -> tuple[float, float]:
        """How long each took; 0 where it is not known."""
        found = [(one.result.number("seconds") if one and one.result else None) or 0.0 for one in (self.a, self.b)]
        return found[0], found[1]


@dataclass(frozen=True, slots=True)
class RunComparison:
    """Everything in which two runs differ, and how much of what was compared is the same."""

    a: Overview
    b: Overview
    plan: Sequence[Pair]
    phases: Sequence[PhasePair]
    numbers: Sequence[tuple[str, Pair]]  # phase, and a number that differs
    same_numbers: int
    rows: Sequence[Pair]  # tables whose rows are not as many
    same_rows: int
    new: Sequence[tuple[str, Check]]  # findings of B that A does not have
    gone: Sequence[tuple[str, Check]]  # findings of A that B does not have
    changed: Sequence[tuple[str, Check, Check]]  # the same object, another verdict or another finding
    code: Sequence[Code]

    @property
    def same_plan(self) -> bool:
        """True when both ran under one plan, by its hash and by its values."""
        return not self.plan and self.a.plan == self.b.plan

    @property
    def lines(self) -> list[str]:
        """What differs, each in a few words."""
        differing = [one.phase for one in self.code if one.text]
        return [
            f"Verdict: A is {self.a.verdict}, B is {self.b.verdict}",
            f"Plan: {'the same' if self.same_plan else _many(self.plan, 'value differs', 'values differ')}",
            f"Findings: {len(self.new)} new in B, {len(self.gone)} gone, {len(self.changed)} changed",
            f"Rows: {_many(self.rows, 'table differs', 'tables differ')}, {self.same_rows} as many in both",
            f"Numbers: {len(self.numbers)} differ, {self.same_numbers} are the same",
            f"Code: {'differs in ' + ', '.join(differing) if differing else 'the same, as far as both ran'}",
        ]


def compare_runs(a: Path, b: Path) -> RunComparison:
    """Compare the records of two runs.  Never raises for what lies in them: what is missing differs."""
    left, right = read_overview(a), read_overview(b)
    ours, theirs = _newest(left), _newest(right)
    phases = [PhasePair(phase, ours.get(phase), theirs.get(phase)) for phase in _union(left.phases, right.phases)]
    numbers, same_numbers = _numbers(phases)
    rows, same_rows = _rows(left, right)
    new, gone, changed = _findings(left, right)
    return RunComparison(
        a=left,
        b=right,
        plan=list(_plan(_read_plan(a), _read_plan(b))),
        phases=phases,
        numbers=numbers,
        same_numbers=same_numbers,
        rows=rows,
        same_rows=same_rows,
        new=new,
        gone=gone,
        changed=changed,
        code=[code_of(one.phase, _notebook(a, one.a), _notebook(b, one.b)) for one in phases if one.a and one.b],
    )


def _newest(view: Overview) -> dict[str, Attempt]:
    return {attempt.phase: attempt for attempt in view.newest}


def _union(one: Sequence[str], two: Sequence[str]) -> list[str]:
    return list(dict.fromkeys([*one, *two]))


def _notebook(folder: Path, attempt: Attempt | None) -> Path:
    return folder / f"{attempt.stem if attempt else ''}.ipynb"


def _read_plan(folder: Path) -> Any:
    try:
        return json.loads((folder / "plan.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}


def _plan(a: Any, b: Any) -> Iterator[Pair]:
    ours, theirs = dict(_leaves(a)), dict(_leaves(b))
    for name in _union(list(ours), list(theirs)):
        one, two = ours.get(name, ""), theirs.get(name, "")
        if one == two:
            continue
        if max(len(one), len(two)) > LONG:
            lines = difflib.unified_diff(one.splitlines(), two.splitlines(), "A", "B", lineterm="", n=1)
            yield Pair(name, f"{len(one.splitlines())} lines", f"{len(two.splitlines())} lines", "\n".join(lines))
        else:
            yield Pair(name, one, two)


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Each single value of a plan with the way to it; items of lists are named by what they are about."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and value:
        for place, item in enumerate(value):
            yield from _leaves(item, f"{path}[{_called(item, place)}]")
    else:
        yield path, value if isinstance(value, str) else json.dumps(value)


def _called(item: Any, place: int) -> str:
    if isinstance(item, Mapping):
        words = [str(item[key]) for key in NAMES if isinstance(item.get(key), str)][:1]
        words += [str(item["object"])] if isinstance(item.get("object"), str) else []
        if words:
            return " ".join(words)
    return str(place)


def _numbers(phases: Sequence[PhasePair]) -> tuple[list[tuple[str, Pair]], int]:
    differing, same = [], 0
    for one in phases:
        ours, theirs = _measured(one.a), _measured(one.b)
        for name in _union(list(ours), list(theirs)):
            pair = Pair(name.replace("_", " "), ours.get(name, ""), theirs.get(name, ""))
            if pair.a == pair.b:
                same += 1
            else:
                differing.append((one.phase, pair))
    return differing, same


def _measured(attempt: Attempt | None) -> dict[str, str]:
    found = attempt.result.numbers if attempt and attempt.result else ()
    return {one.name: amounted(one.value, one.unit) for one in found}


def _rows(a: Overview, b: Overview) -> tuple[list[Pair], int]:
    ours, theirs = _counted(a), _counted(b)
    pairs = [Pair(name, ours.get(name, ""), theirs.get(name, "")) for name in _union(list(ours), list(theirs))]
    differing = [pair for pair in pairs if pair.a != pair.b]
    return differing, len(pairs) - len(differing)


def _counted(view: Overview) -> dict[str, str]:
    """The rows of each table as the last phase that counted them found them."""
    found = {check.object: check.found for _, check in view.checks if check.code == ROWS}
    return {name: _grouped(text) for name, text in found.items()}


def _grouped(text: str) -> str:
    first, _, rest = text.partition(" ")
    return f"{number(int(first))} {rest}" if first.isdecimal() else text


def _findings(
    a: Overview, b: Overview
) -> tuple[list[tuple[str, Check]], list[tuple[str, Check]], list[tuple[str, Check, Check]]]:
    ours, theirs = _keyed(a), _keyed(b)
    new = [(key[0], check) for key, check in theirs.items() if key not in ours and _is_finding(check)]
    gone = [(key[0], check) for key, check in ours.items() if key not in theirs and _is_finding(check)]
    changed = []
    for key, check in ours.items():
        other = theirs.get(key)
        if other is None or not (_is_finding(check) or _is_finding(other)):
            continue
        if (check.verdict, check.found, check.expected) != (other.verdict, other.found, other.expected):
            changed.append((key[0], check, other))
    return new, gone, changed


def _keyed(view: Overview) -> dict[tuple[str, str, str, int], Check]:
    """Checks by phase, code and object; the number tells those apart that share all three."""
    found: dict[tuple[str, str, str, int], Check] = {}
    for attempt in view.newest:
        for check in attempt.result.checks if attempt.result else ():
            count = 0
            while (attempt.phase, check.code, check.object, count) in found:
                count += 1
            found[attempt.phase, check.code, check.object, count] = check
    return found


def _is_finding(check: Check) -> bool:
    """What somebody was told or decided, not what simply was as expected."""
    return check.verdict is not Verdict.PASS or check.expected.startswith(("reported", "decided"))


def _many(things: Sequence[object], one: str, more: str) -> str:
    return f"{len(things):,} {one if len(things) == 1 else more}"
