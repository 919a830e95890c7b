"""How hard a move is, from its findings alone: a letter, a level and an amount of work, as ora2pg gives them.

A: nothing is rewritten.  B: something is, in up to five person-days in all.  C: more.
1 trivial: tables and indexes alone.  2 easy: views or triggers too, all of which move.  3 simple: virtual tables or
functions, and nothing is rewritten.  4 manual: something is rewritten.  5 difficult: triggers, functions or row
security are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from towpath.checks import Check, Rule, Verdict
from towpath.workbench.weights import (
    AGAIN,
    CORRECT,
    DAY_UNITS,
    FEW_DAYS,
    LOGIC,
    NOTHING,
    REWRITE,
    UNIT_MINUTES,
    Work,
    work_of,
)

VALUES = ("TB102", "TB2", "PG2", "FT2", "FT3")  # codes whose findings count rows; the others concern a whole table
EASY, SIMPLE = ("view", "trigger"), ("virtual table", "function", "materialized view")


@dataclass(frozen=True, slots=True)
class Size:
    """A table of the census."""

    name: str
    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Weighed:
    """One finding with its work and what it concerns; `rows` and `bytes` are 0 for what is no row."""

    check: Check
    rule: Rule
    answer: str  # what mapping.yaml decides about it; "" where it decides nothing
    work: Work
    table: str  # of the census, "" where the finding is about no table
    rows: int
    bytes: int  # of those rows, at the table's average


@dataclass(frozen=True, slots=True)
class Complexity:
    """A whole system, or one table of it."""

    findings: tuple[Weighed, ...]
    objects: Mapping[str, int]  # kind -> how many the source has

    @property
    def units(self) -> float:
        """All of the work, in units of five minutes."""
        return sum(units for _, units in self.by_code().values())

    @property
    def minutes(self) -> int:
        """The same in minutes."""
        return round(self.units * UNIT_MINUTES)

    @property
    def days(self) -> float:
        """The same in person-days of seven hours."""
        return round(self.units / DAY_UNITS, 2)

    @property
    def letter(self) -> str:
        """A, B or C."""
        by_hand = any(one.work.kind in (REWRITE, CORRECT) for one in self.findings)
        return ("C" if self.units > FEW_DAYS * DAY_UNITS else "B") if by_hand else "A"

    @property
    def level(self) -> int:
        """1 to 5."""
        if any(one.check.code in LOGIC for one in self.findings):
            return 5
        if self.letter != "A":
            return 4
        return 3 if any(map(self.objects.get, SIMPLE)) else 2 if any(map(self.objects.get, EASY)) else 1

    @property
    def score(self) -> str:
        """Both, as ora2pg writes them: B-4."""
        return f"{self.letter}-{self.level}"

    @property
    def stake(self) -> tuple[int, int]:
        """Rows and bytes that findings concern which want somebody's attention: of each table its widest finding."""
        widest: dict[str, tuple[int, int]] = {}
        for one in self.findings:
            if one.work.kind != NOTHING and one.table:
                widest[one.table] = max(widest.get(one.table, (0, 0)), (one.rows, one.bytes))
        return sum(rows for rows, _ in widest.values()), sum(size for _, size in widest.values())

    def by_code(self) -> dict[str, tuple[tuple[Weighed, ...], float]]:
        """The findings of each code and their work in units, the most work first."""
        found: dict[str, list[Weighed]] = {}
        for one in self.findings:
            found.setdefault(one.check.code, []).append(one)
        weighed = {code: (tuple(group), _together([one.work for one in group])) for code, group in found.items()}
        return dict(sorted(weighed.items(), key=lambda item: (-item[1][1], item[0])))

    def of(self, table: str, objects: Mapping[str, int]) -> Complexity:
        """The same for one table."""
        return Complexity(tuple(one for one in self.findings if one.table == table), objects)


def _together(works: Sequence[Work]) -> float:
    """By hand each costs as much as the first; what is looked at, decided or accepted is quicker the second time."""
    hand = sum(work.units for work in works if work.kind in (REWRITE, CORRECT))
    quick = sorted((work.units for work in works if work.kind not in (REWRITE, CORRECT)), reverse=True)
    return hand + sum(units * (AGAIN if nth else 1) for nth, units in enumerate(quick))


def weigh(
    checks: Iterable[Check],
    rules: Mapping[str, Rule],
    answer: Callable[[Check], str],
    table_of: Callable[[str], Size | None],
    objects: Mapping[str, int],
) -> Complexity:
    """Weigh the findings among these checks; the newest of the same code and object counts.

    `answer` gives what mapping.yaml decides about a finding, `table_of` the table that an object's name belongs to.
    """
    found = {(check.code, check.object): check for check in checks if check.count and check.code in rules}
    out = []
    for check in found.values():
        rule, size = rules[check.code], table_of(check.object)
        rows = 0 if size is None else min(check.count, size.rows) if check.code.startswith(VALUES) else size.rows
        share = size.bytes * rows // size.rows if size is not None and size.rows else 0
        given, name = answer(check), size.name if size is not None else ""
        out.append(Weighed(check, rule, given, work_of(rule, given), name, rows, share))
    order = sorted(out, key=lambda one: (one.check.verdict is not Verdict.FAIL, one.check.code, one.check.object))
    return Complexity(tuple(order), Counter(objects))
