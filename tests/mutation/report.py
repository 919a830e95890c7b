"""The score as text for a terminal and as a page."""

from __future__ import annotations

import datetime as dt
import os
import platform
from collections import defaultdict
from collections.abc import Iterator
from importlib.metadata import version

import apsw

from mutation.campaign import Result
from mutation.harness import Score

INTRODUCTION = """# The validator's own score

Made by `python -m mutation --to`; do not edit. Each fault is one single change, written over the API into a real local
target that was equal to its generated source. Then the functions that 05-validate calls are asked. *Caught*: a check
failed. *Named*: exactly the right checks failed, and exactly the right table, key and column, object or job was named,
with nothing else beside it. The fault is undone and the next one follows; one that was not undone would be named by the
next comparison of its table. What the proof sees and why stands in [validation.md](validation.md).
"""
NOTES = """
- Faults in rows are looked for by the product's `compare`, given the manifest's entries of the tables that the fault
  touched: the same function compares all tables, one after another. Faults around the rows are looked for by what is
  asked around them. *By all* counts the faults for which everything that 05-validate asks about a database was asked;
  objects, keys and jobs have no smaller look.
- Places and values are drawn with a seed, so a fault may come twice; every 500 faults have sources of their own.
- *Rows of many pages*: the source was exported with chunks of about 900 bytes, so that each table has many pages.
- A draw without effect (a text that a column of numbers takes back as a number; a value that a constraint refuses) is
  no fault and is not counted; there were {void:,} of them. A probe on the target, not the comparison, tells.
- Two seconds are the smallest change of a key's life: KV holds whole seconds, and the proof allows one for rounding.
"""


def page(result: Result) -> str:
    """The page that is committed."""
    lines = [INTRODUCTION, *_facts(result), "", "| group | class | seeded | caught | named | missed | by all |"]
    lines.append("|---|---|---|---|---|---|---|")
    for (group, kind), score in sorted(result.tally.scores.items()):
        lines.append(f"| {group} | {kind.replace('|', '&#124;')} | {' | '.join(_numbers(score))} |")
    total = _total(result)
    lines.append(f"| **all** | {len(result.tally.scores)} classes | {' | '.join(_numbers(total))} |")
    lines.append(NOTES.format(void=result.tally.void).rstrip())
    if stories := [*result.tally.stories, *result.false]:
        lines += ["", "## Not as it should be", "", *(f"- `{story.replace('`', ' ')}`" for story in stories[:20])]
    return "\n".join(lines) + "\n"


def plain(result: Result) -> str:
    """The table for a terminal."""
    rows = [[group, kind, *_numbers(score)] for (group, kind), score in sorted(result.tally.scores.items())]
    sums: dict[str, Score] = defaultdict(Score)
    for (group, _), score in result.tally.scores.items():
        _add(sums[group], score)
    rows += [[group, "(all classes)", *_numbers(score)] for group, score in sums.items()]
    rows.append(["all", "", *_numbers(_total(result))])
    table = [["group", "class", "seeded", "caught", "named", "missed", "by all"], *rows]
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    lines = ["  ".join(_aligned(row, widths)).rstrip() for row in table]
    return "\n".join([*lines, "", *_facts(result), *result.tally.stories[:20], *result.false[:20]])


def _aligned(row: list[str], widths: list[int]) -> Iterator[str]:
    for i, (cell, width) in enumerate(zip(row, widths, strict=True)):
        yield cell.ljust(width) if i < 2 else cell.rjust(width)


def _facts(result: Result) -> list[str]:
    tally = result.tally
    versions = ", ".join(f"{name} {version}" for name, version in sorted(result.versions.items()))
    missed = tally.seeded - tally.caught
    percent = 100 * tally.caught / tally.seeded if tally.seeded else 0
    named = 100 * tally.named / tally.seeded if tally.seeded else 0
    return [
        f"- {tally.seeded:,} faults: {tally.caught:,} caught ({percent:.2f} %), {tally.named:,} named exactly"
        f" ({named:.2f} %), {missed:,} missed, in {result.fault_seconds:,.0f} s.",
        f"- {result.clean:,} generated clean sources with {result.clean_rows:,} rows: {len(result.false):,} false"
        f" alarms, in {result.clean_seconds:,.0f} s.",
        f"- {tally.calm:,} looks at {tally.targets:,} undamaged targets before and after their faults:"
        f" {tally.alarms:,} false alarms.",
        f"- At this rate 10,000 faults take {_minutes(result.fault_seconds, tally.seeded, 10_000)} and 1,000 clean"
        f" sources {_minutes(result.clean_seconds, result.clean, 1_000)}; {os.cpu_count()} cores with a load of"
        f" {os.getloadavg()[2]:.1f}\n  over the last 15 minutes.",
        f"- Seed {result.seed}, {dt.datetime.now(dt.UTC).date()}, Towpath {version('towpath')}, Python"
        f" {platform.python_version()}, SQLite {apsw.sqlite_lib_version()}, {versions}.",
    ]


def _minutes(seconds: float, done: int, wanted: int) -> str:
    return f"{seconds / done * wanted / 60:.0f} minutes" if done else "an unknown time"


def _numbers(score: Score) -> list[str]:
    missed = score.seeded - score.caught
    return [f"{n:,}" for n in (score.seeded, score.caught, score.named, missed, score.whole)]


def _add(to: Score, score: Score) -> None:
    to.seeded += score.seeded
    to.caught += score.caught
    to.named += score.named
    to.whole += score.whole


def _total(result: Result) -> Score:
    out = Score()
    for score in result.tally.scores.values():
        _add(out, score)
    return out
