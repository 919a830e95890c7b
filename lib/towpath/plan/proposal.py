"""What mapping.yaml could say about the findings that it does not answer yet: a proposal, made of data alone.

A row is proposed only where its rule has a default, the answer that loses nothing.  Everything else is for a person: it
is written as comments, with every answer, what each loses, and the waiver that it would need.
"""

from __future__ import annotations

import fnmatch
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from towpath.checks import Check, Decision, Severity, Verdict, decide
from towpath.plan.answers import SURFACES
from towpath.plan.elsewhere import ANSWERED, hints
from towpath.plan.inline import secret_kind
from towpath.plan.mapping import SystemMapping
from towpath.plan.waivers import WHOLE
from towpath.plan.written import comment, field

FEWEST = 3  # findings that a pattern must answer, or it says less than its rows would
NAMED = 5  # objects of a pattern that are named beside it
_WILD = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Row:
    """One decision that is proposed, and the findings that it answers: several where its object is a pattern."""

    decision: Decision
    findings: tuple[Check, ...]

    def lines(self) -> list[str]:
        """The row as mapping.yaml holds it, with what was found above it."""
        first = self.findings[0]
        told = [comment(f"{first.object}: {first.found}")]
        if len(self.findings) > 1:
            names = ", ".join(one.object for one in self.findings[:NAMED])
            more = f" and {len(self.findings) - NAMED:,} more" if len(self.findings) > NAMED else ""
            told = [comment(f"{len(self.findings):,} findings and no other column: {names}{more}")]
        d = self.decision
        return [*told, *_row(("code", d.code), ("object", d.object), ("do", d.do), ("reason", d.reason))]


@dataclass(frozen=True, slots=True)
class Open:
    """One finding that only a person can answer."""

    finding: Check

    def lines(self) -> list[str]:
        """Comments: every answer, what each loses, the row to complete, and the waiver that it would need."""
        one, rule = self.finding, SURFACES[self.finding.code]
        if not nameable(one.object):
            told = f"{one.code}: a finding about an object whose name cannot be written here ({one.count:,})"
            return [comment(told), comment(f"answer it by a pattern with * and ?; answers: {', '.join(rule.choices)}")]
        lines = [comment(f"{one.code} {one.object}: {one.found}")]
        answers = ", ".join(field("do", choice) for choice in rule.choices)
        lines.append(comment(f"{answers}; {rule.advice}"))
        if rule.loses:
            lines.append(comment(f"needs a waiver: {', '.join(rule.lossy)}; loses: {rule.loses}"))
        row = _row(("code", one.code), ("object", one.object), ("do", ""), ("reason", ""))
        lines += [f"# {line}" for line in row]
        return [*lines, *self.waiver()] if rule.lossy else lines

    def waiver(self) -> list[str]:
        """The waiver that a loss needs, as comments; owner, reason and last day are for whoever accepts it."""
        one = self.finding
        row = _row(("code", one.code), ("object", one.object), ("owner", ""), ("reason", ""), ("expires", ""))
        row.insert(2, f"  count: {'all' if one.code in WHOLE else one.count}")
        told = comment("and in waivers.yaml, where the answer loses something:")
        return [told, *(f"# {line}" for line in row)]


@dataclass(frozen=True, slots=True)
class Proposal:
    """Everything that stands between the findings and a mapping that answers all of them."""

    rows: tuple[Row, ...]
    open: tuple[Open, ...]
    elsewhere: tuple[str, ...]  # what other keys of mapping.yaml must say, one sentence each
    unwaived: tuple[Check, ...]  # decided, and nobody has accepted the loss yet
    refused: tuple[Check, ...]  # no decision helps: what is found must change first

    def parts(self, text: str, heading: str) -> tuple[list[list[str]], list[list[str]]]:
        """Rows and notes as lines, the first of them under the heading; notes that the text holds are left out."""
        rows = [row.lines() for row in self.rows]
        notes = [*(one.lines() for one in self.open), *([comment(hint)] for hint in self.elsewhere)]
        notes = [lines for lines in notes if not _holds(text, lines)]
        for first in (rows or notes)[:1]:
            first.insert(0, comment(heading))
        return rows, notes


def propose(checks: Sequence[Check], mapping: SystemMapping, columns: Collection[str] = ()) -> Proposal:
    """What mapping.yaml lacks for these checks of 01-inventory and 02-schema.

    `columns`: every column of the source as findings name it (table.column).  A pattern is proposed only where each of
    its findings is one of them and no other column, and no other finding, would match it.
    """
    decided = mapping.decided()
    latest = {(check.code, check.object): check for check in checks}  # the later phase has the last word
    found = [latest[name] for name in sorted(latest)]
    undecided = [c for c in found if c.undecided and c.code in SURFACES and decide(c.code, c.object, decided) is None]
    safe = [check for check in undecided if SURFACES[check.code].default and nameable(check.object)]
    rows: list[Row] = []
    for code in dict.fromkeys(check.code for check in safe):
        mine = [check for check in safe if check.code == code]
        others = [check.object for check in found if check.code == code and check not in mine]
        rows += _rows(code, mine, columns, others)
    failed = [c for c in found if c.verdict is Verdict.FAIL and c.code in SURFACES and c.code not in ANSWERED]
    return Proposal(
        rows=tuple(sorted(rows, key=lambda row: (row.decision.code, row.decision.object))),
        open=tuple(Open(check) for check in undecided if check not in safe),
        elsewhere=tuple(hints(found, mapping)),
        unwaived=tuple(check for check in found if check.unwaived),
        refused=tuple(check for check in failed if SURFACES[check.code].severity is Severity.REFUSE),
    )


def nameable(object: str) -> bool:
    """Whether mapping.yaml may hold this name: it is a text, and does not have the shape of a secret."""
    return bool(object) and not any("\ud800" <= c <= "\udfff" for c in object) and not secret_kind(object, name=True)


def _holds(text: str, lines: Sequence[str]) -> bool:
    """Whether an earlier proposal wrote these comments already; the numbers in them may have changed since."""
    there = "\n".join(line.strip() for line in text.splitlines())
    row = [at for at, line in enumerate(lines) if line.startswith("# - code:")][:1]
    wanted = lines[row[0] : row[0] + 2] if row else lines
    return "\n".join(line.strip() for line in wanted) in there


def _row(*fields: tuple[str, str]) -> list[str]:
    lines = [field(key, value) for key, value in fields]
    return [f"- {lines[0]}", *(f"  {line}" for line in lines[1:])]


def _rows(code: str, findings: Sequence[Check], columns: Collection[str], others: Iterable[str]) -> list[Row]:
    """One row for each pattern that fits exactly, and one for each finding that is left."""
    rule = SURFACES[code]
    reason = f"proposed, it loses nothing: {rule.advice}"
    left = {check.object: check for check in findings}
    known = {*columns, *others, *left}
    rows = []
    for pattern in _patterns([name for name in left if name in set(columns)]):
        matched = sorted(name for name in known if fnmatch.fnmatchcase(name, pattern))
        if len(matched) >= FEWEST and all(name in left for name in matched):
            rows.append(Row(Decision(code, pattern, rule.default, reason), tuple(left.pop(n) for n in matched)))
    return rows + [Row(Decision(code, name, rule.default, reason), (check,)) for name, check in left.items()]


def _patterns(names: Sequence[str]) -> list[str]:
    """Patterns by one column name, by one ending of it, by one table; those for the most findings first."""
    counted: Counter[str] = Counter()
    for name in names:
        table, _, column = name.rpartition(".")
        counted[f"*.{column}"] += 1
        if "_" in column:
            counted[f"*_{column.rpartition('_')[2]}"] += 1
        counted[f"{table}.*"] += 1
    plain = [pattern for pattern in counted if not _WILD & set(pattern.replace("*", "", 1))]
    return sorted(plain, key=lambda pattern: (-counted[pattern], pattern))
