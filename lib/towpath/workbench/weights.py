"""What a finding costs the people who move a system, as data: the table of docs/complexity.md.

In the manner of ora2pg's cost assessment: a unit is five minutes of somebody who knows the application, a day has seven
hours.  What Towpath does by itself costs nothing, however many rows it does it to.
"""

from __future__ import annotations

from dataclasses import dataclass

from towpath.checks import Rule

UNIT_MINUTES, DAY_UNITS = 5, 84
FEW_DAYS = 5  # person-days up to which rewriting is level B
AGAIN = 0.25  # what each further finding of a code costs, where one look or one answer serves for all

NOTHING, LOOK, DECIDE, ACCEPT, CORRECT, REWRITE = "nothing", "look", "decide", "accept", "correct", "rewrite"


@dataclass(frozen=True, slots=True)
class Work:
    """What somebody has to do about one finding."""

    kind: str
    units: float


USUAL: dict[str, Work] = {
    "note": Work(NOTHING, 0),
    "warn": Work(LOOK, 1),
    "decide": Work(DECIDE, 2),
    "accept": Work(ACCEPT, 6),  # an answer that loses something: an owner must be found, and must agree
    "refuse": Work(CORRECT, 24),
}
# What the new application must do because D1 does not; everything else is as its severity says.
REWRITTEN: dict[str, float] = {
    "TB108": 12,  # an object that calls a function
    "TB109": 24,  # a virtual table of another module
    "TB113": 4,  # foreign keys that go
    "TB114": 4,
    "PG105": 24,  # more columns than D1 takes
    "PG107": 24,  # row security
    "PG108": 12,  # triggers
    "PG109": 12,  # functions
    "PG110": 12,  # materialized views
    "PG111": 6,  # exclusion constraints
    "PG115": 6,  # inheritance
    "PG117": 6,  # citext
    "PG118": 6,  # extensions
    "PG121": 24,  # large objects
    "PG123": 12,  # rewrite rules
    "PG312": 3,  # numbers, defaults, checks and columns that the application must compute
    "PG314": 3,
    "PG316": 3,
    "PG317": 3,
    "PG320": 12,  # views
    "PG321": 4,  # references
    "PG322": 4,  # UNIQUE
    "JO208": 12,  # chains and callbacks
    "JO209": 12,  # tasks that the new application does not know
}
LOGIC = ("PG107", "PG108", "PG109", "PG123")  # code that runs inside the source: its rewriting is the hardest level


def work_of(rule: Rule, answer: str = "") -> Work:
    """What a finding of this rule costs; `answer` is what mapping.yaml decides about it, "" while it is undecided."""
    if rule.code in REWRITTEN:
        return Work(REWRITE, REWRITTEN[rule.code])
    losing = answer in rule.lossy if answer else bool(rule.choices) and not rule.default
    return USUAL["accept" if losing else str(rule.severity)]
