"""What becomes of each table: the columns that change, what hangs on it, what was decided, and what was given up."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from towpath.checks import Verdict
from towpath.fitting.fitted import Fitted, FittedTable, Part
from towpath.fitting.source import source_of
from towpath.postgresql.generated import Generated
from towpath.tables.conversion import KEPT
from towpath.workbench.complexity import Complexity, Size
from towpath.workbench.registry import registry
from towpath.workbench.server_origin import ServerOrigin
from towpath.workbench.stake import on_table, sizes
from towpath.workbench.workbench import Workbench

Change = tuple[str, str]  # from what to what, and why
_LENGTH = re.compile(r"\(.*\)")


@dataclass(frozen=True, slots=True)
class Becoming:
    """One table on its way."""

    size: Size
    target: str  # the tables that its rows go to
    changed: Mapping[Change, int]  # how many columns change in which way
    beside: tuple[str, ...]  # what hangs on the table and does not stay as it is
    decided: tuple[str, ...]
    accepted: tuple[str, ...]
    broken: tuple[str, ...]  # findings that fail
    complexity: Complexity

    @property
    def rows(self) -> int:
        """Its rows."""
        return self.size.rows

    @property
    def bytes(self) -> int:
        """The bytes of its values."""
        return self.size.bytes

    @property
    def wants_attention(self) -> bool:
        """False where at most declared types change, by themselves."""
        return bool(self.beside or self.decided or self.accepted or self.broken or self.complexity.units)

    @property
    def order(self) -> tuple[object, ...]:
        """What fails first, then losses, then the most work."""
        return (not self.broken, not self.accepted, -self.complexity.units, not self.decided, self.size.name)

    def row(self) -> tuple[object, ...]:
        """The table as a reader sees it."""
        name = self.size.name if self.target in ("", self.size.name) else f"{self.size.name} → {self.target}"
        said = (*(f"FAIL {one}" for one in self.broken), *self.accepted, *self.decided)
        minutes = f"{self.complexity.score}, {self.complexity.minutes} min"
        columns = sum(self.changed.values())
        return name, self.rows, self.bytes, columns, "; ".join(said), "; ".join(self.beside), minutes


def becoming(bench: Workbench, fitted: Fitted | None, found: Complexity) -> list[Becoming]:
    """Every table of the census, what wants attention first."""
    waivers = {(waiver.code, waiver.object): waiver for waiver in bench.run.plan.waivers}
    beside = _beside(bench)
    out = []
    for table in bench.profile.tables:
        mine = found.of(table.name, on_table(bench, table.name))
        target, changed = _columns(bench, fitted, table.name)
        decided, broken, accepted = [], [], dict[tuple[str, object], list[str]]()
        for one in mine.findings:
            part = one.check.object.rpartition(".")[2] if "." in one.check.object else one.check.object
            waiver = waivers.get((one.check.code, one.check.object))
            if one.check.verdict is Verdict.FAIL:
                broken.append(f"{one.check.code} {part}")
            elif one.check.verdict is Verdict.WAIVED and waiver is not None:
                lost = f"{one.check.code} {part}{f' {one.answer}' if one.answer else ''} × {one.check.count:,}"
                accepted.setdefault((waiver.owner, waiver.expires), []).append(lost)
            elif one.rule.choices:
                decided.append(f"{one.check.code} {part}: {one.answer}")
        size = Size(table.name, table.rows, table.bytes)
        hanging = beside.get(table.name, ())
        warned = [one for one in mine.findings if one.check.verdict is Verdict.WARN]
        untold = [one for one in warned if not any(one.check.code in what for what in hanging)]
        seen = Counter(f"{one.rule.title} ({one.check.code})" for one in untold)
        around = (*hanging, *(f"{count:,} × {what}" if count > 1 else what for what, count in seen.items()))
        out.append(Becoming(size, target, changed, around, tuple(decided), _accepted(accepted), tuple(broken), mine))
    return sorted(out, key=lambda one: one.order)


def _accepted(losses: Mapping[tuple[str, object], list[str]]) -> tuple[str, ...]:
    """What was given up, by who accepted it and until when."""
    return tuple(f"{', '.join(lost)}: accepted by {owner} until {day}" for (owner, day), lost in losses.items())


def _columns(bench: Workbench, fitted: Fitted | None, table: str) -> tuple[str, Mapping[Change, int]]:
    """Where the rows go, and how many columns change in which way."""
    if not isinstance(bench.origin, ServerOrigin):
        made = next((one for one in bench.conversion.tables if one.name.lower() == table.lower()), None)
        if made is None:
            return "not made", {}
        changes = [(c.source_type, c.target_type, c.code) for c in made.columns if c.code]
        return made.name, Counter(_change(*change) for change in changes)
    source = next(one for one in source_of(bench.origin.catalog).tables if one.captured == table)
    generated = bench.origin.fit.generated
    if generated is not None:
        return _generated(generated, source.name)
    parts = fitted.parts_of(source.name) if fitted is not None else []
    changed: Counter[Change] = Counter()
    for target, part in parts:
        changed.update(_fitted(target, part))
    dropped = len(fitted.dropped.get(source.name, ())) if fitted is not None else 0
    changed.update({("left behind", "mapping.yaml: drop"): dropped} if dropped else {})
    return ", ".join(dict.fromkeys(target.table.name for target, _ in parts)) or "left behind", changed


def _change(before: str, after: str, why: str) -> Change:
    """A kind of change; lengths are left out, so that char(3) and char(32) count together."""
    why = f"{why} {registry()[why].rule.title}" if why in registry() else why
    return f"{_LENGTH.sub('', before) or 'no type'} → {after or 'no type'}", why


def _generated(made: Generated, source: str) -> tuple[str, Mapping[Change, int]]:
    table = made.table(source)
    return table.name, Counter(_change(c.source_type, c.target_type, c.codes[0]) for c in table.columns if c.codes)


def _fitted(target: FittedTable, part: Part) -> list[Change]:
    """The columns of a rule whose type or form changes, and those that are made of something else than one column."""
    types = {column.name: column.declared for column in target.table.columns}
    out = []
    for value in part.values:
        after, form = types[value.column], value.told.partition(" as ")[2]
        if not value.origin:
            out.append((f"{after} made anew", "mapping.yaml: an expression, a constant or a lookup"))
            continue
        before = part.table.column(value.origin).declared
        if form or before.lower() != after.lower():
            out.append(_change(before, after, f"mapping.yaml: as {form}" if form else "the migrations declare it so"))
    return out


def _beside(bench: Workbench) -> dict[str, tuple[str, ...]]:
    """What hangs on each table and is changed or dropped; an adopted schema brings its own."""
    if isinstance(bench.origin, ServerOrigin):
        if bench.origin.fit.generated is None:
            return {}
        owners = {(item.kind, item.name): item.table for item in bench.origin.catalog.objects}
    else:
        owners = {(item.kind, item.name): item.table for item in bench.schema.objects}
    table_of, found = sizes(bench), dict[str, Counter[str]]()
    for one in bench.origin.accounts:
        size = table_of(owners.get((one.kind, one.name), ""))
        if size is not None and one.outcome != KEPT and one.kind != "table" and one.codes:
            found.setdefault(size.name, Counter())[f"{one.kind} {one.outcome} ({', '.join(one.codes)})"] += 1
    return {
        name: tuple(f"{count:,} × {what}" if count > 1 else what for what, count in counted.items())
        for name, counted in found.items()
    }
