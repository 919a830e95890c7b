"""What 01-inventory and 02-schema say of the work: the findings weighed, and what becomes of each table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from towpath import show
from towpath.checks import Check, decide
from towpath.fitting.fitted import Fitted
from towpath.workbench.becoming import Becoming, Change, becoming
from towpath.workbench.complexity import Complexity, weigh
from towpath.workbench.panels import sentence
from towpath.workbench.registry import registry
from towpath.workbench.stake import consists_of, sizes
from towpath.workbench.weights import CORRECT, NOTHING, REWRITE, UNIT_MINUTES
from towpath.workbench.workbench import Workbench

NAMED = 3  # objects of a code that are named
ATTENTION = "Table", "Rows", "Bytes", "Changed", "Decided and accepted", "To be looked at", "Score"


def complexity(bench: Workbench, fitted: Fitted | None = None) -> Complexity:
    """How hard the move is, by the findings of 01-inventory and those of this phase."""
    rules = {code: entry.rule for code, entry in registry().items()}
    checks = [*_inventory(bench), *bench.run.checks]

    def answer(check: Check) -> str:
        decision = decide(check.code, check.object, bench.decisions)
        choices = rules[check.code].choices  # one choice, and judged: mapping.yaml decided it under another key
        return decision.do if decision else choices[0] if len(choices) == 1 and not check.undecided else ""

    return weigh(checks, rules, answer, sizes(bench, fitted), consists_of(bench))


def _inventory(bench: Workbench) -> Iterator[Check]:
    found = bench.run.run_folder.newest("01-inventory")
    if found is not None and bench.run.phase != "01-inventory":
        yield from found.checks


def findings(bench: Workbench) -> show.Shown:
    """The findings by code, the most work first; the score goes into the result."""
    found = complexity(bench)
    run, (rows, size) = bench.run, found.stake
    run.number("complexity_level", found.level, f"of 5 ({found.score})")
    run.number("complexity_days", found.days, "person-days")
    run.number("rows_at_stake", rows, "rows")
    run.number("bytes_at_stake", size, "bytes")
    table = []
    for code, (group, units) in found.by_code().items():
        if any(one.work.kind != NOTHING for one in group):
            names = _some([one.check.object for one in group])
            work = group[0].work.kind if len({one.work.kind for one in group}) == 1 else "decide, accept"
            kept = sum(one.rows for one in group), sum(one.bytes for one in group)
            stake = kept if any(one.table for one in group) else (None, None)
            minutes = round(units * UNIT_MINUTES)
            table.append((code, group[0].rule.title, names, len(group), *stake, work, minutes))
    objects = ", ".join(f"{count:,} × {kind}" for kind, count in sorted(found.objects.items()))
    quiet = sum(one.work.kind == NOTHING for one in found.findings)
    said = (
        f"{_verdict(found)} At stake: {rows:,} of {bench.profile.rows:,} rows, {size:,} bytes. {quiet:,} more findings "
        f"are for the record and want nobody. The source consists of {objects}."
    )
    columns = ("Code", "What", "Where", "Findings", "Rows", "Bytes", "Work", "Minutes")
    title = f"{found.score}: {len(found.findings) - quiet:,} findings want somebody"
    return _below(said, show.table(table, columns, title, numeric=("Findings", "Rows", "Bytes", "Minutes")))


def tables(bench: Workbench, fitted: Fitted | None) -> show.Shown:
    """What becomes of each table, what wants attention first; those that are quiet are summed."""
    found = complexity(bench, fitted)
    rows = becoming(bench, fitted, found)
    bench.run.number("complexity_level", found.level, f"of 5 ({found.score})")
    bench.run.number("complexity_days", found.days, "person-days")
    shown = [one.row() for one in rows if one.wants_attention]
    title = f"{len(shown)} of {len(rows)} tables want attention"
    quiet = [one for one in rows if not one.wants_attention]
    for changed, what in ((True, "columns change, nothing else"), (False, "nothing changes")):
        if group := [one for one in quiet if bool(one.changed) is changed]:
            shown.append(_sum(group, what))
    shown += _outside(found)
    whole = f"{sum(one.rows for one in rows):,} rows, {sum(one.bytes for one in rows):,} bytes in {len(rows)} tables."
    return _below(
        f"{_verdict(found)} {whole}", show.table(shown, ATTENTION, title, numeric=("Rows", "Bytes", "Changed"))
    )


def _verdict(found: Complexity) -> str:
    by_hand = [one.rule.title for one in found.findings if one.work.kind in (REWRITE, CORRECT)]
    what = f"; by hand: {', '.join(dict.fromkeys(by_hand))}" if by_hand else "; nothing is rewritten"
    return f"Complexity {found.score}, about {_hours(found.minutes)} of work{what}."


def _below(told: str, table: show.Shown) -> show.Shown:
    said = sentence(told)
    return show.Shown(said.html + table.html, f"{said.text}\n{table.text}")


def changes(bench: Workbench, fitted: Fitted | None) -> show.Shown:
    """In which ways columns change, the most frequent first, each with its reason."""
    columns, where = Counter[Change](), dict[Change, list[str]]()
    for one in becoming(bench, fitted, complexity(bench, fitted)):
        columns.update(one.changed)
        for change in one.changed:
            where.setdefault(change, []).append(one.size.name)
    if not columns:
        return sentence("No column changes.")
    ordered = sorted(columns.items(), key=lambda item: (-item[1], item[0]))
    rows = [(*change, count, _some(where[change])) for change, count in ordered]
    title = f"{columns.total():,} columns change, in {len(rows)} ways"
    return show.table(rows, ("Change", "Why", "Columns", "Tables"), title, numeric=("Columns",))


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED:,} more" if len(names) > NAMED else "")


def _sum(group: list[Becoming], what: str) -> tuple[object, ...]:
    name = f"{len(group)} {'table' if len(group) == 1 else 'tables'} more: {what}"
    columns = sum(sum(one.changed.values()) for one in group)
    return name, sum(one.rows for one in group), sum(one.bytes for one in group), columns, "", "", "A-1, 0 min"


def _outside(found: Complexity) -> list[tuple[object, ...]]:
    """Views, functions and what else belongs to no table, where somebody must look at it."""
    mine = [
        one for one in found.findings if not one.table and one.rule.surface == "tables" and one.work.kind != NOTHING
    ]
    if not mine:
        return []
    names = "; ".join(f"{one.check.object}: {one.rule.title} ({one.check.code})" for one in mine)
    part = Complexity(tuple(mine), {})
    return [("beside the tables", None, None, None, "", names, f"{part.score}, {part.minutes} min")]


def _hours(minutes: int) -> str:
    return f"{minutes} minutes" if minutes < 90 else f"{minutes / 60:.1f} hours"
