"""The rows of a server in a schema that the new application brings: the fit judged, and the rows shaped by it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from towpath.checks import Check, Progress, Severity, Verdict
from towpath.errors import BadInput
from towpath.fitting.account import fit
from towpath.fitting.adopt import Migrations, read_migrations
from towpath.fitting.fitted import Fitted
from towpath.fitting.losses import losses
from towpath.fitting.rules import RULES
from towpath.fitting.shape import Shaped, shape
from towpath.fitting.source import source_of
from towpath.fitting.violations import violations
from towpath.postgresql.catalog import Catalog
from towpath.tables.schema import Schema

if TYPE_CHECKING:
    from towpath.workbench.workbench import Workbench


def read_target(bench: Workbench) -> Schema:
    """What the new application's migrations declare.  Raises BadInput, with file and line, for what D1 refuses."""
    return _migrations(bench).schema


def _migrations(bench: Workbench) -> Migrations:
    return read_migrations(bench.root / bench.run.mapping.tables.migrations, bench.limits)


class ServerFit:
    """The rules of mapping.yaml held against what the server declares."""

    def __init__(self, bench: Workbench, catalog: Catalog) -> None:
        self.bench, self.catalog = bench, catalog

    @cached_property
    def migrations(self) -> Migrations:
        """What the new application declares."""
        return _migrations(self.bench)

    @property
    def target(self) -> Schema:
        """The whole schema of the target."""
        return self.migrations.schema

    @cached_property
    def fitted(self) -> Fitted:
        """How the rows go into the target's tables."""
        return fit(source_of(self.catalog), self.target, self.bench.run.mapping.tables.fitted)

    def judge(self, captured: Path, report: Progress) -> None:
        """Every column accounted for; what is lost; and every row that the target would refuse.  Counts rows."""
        run, fitted = self.bench.run, self.fitted
        findings = [*fitted.findings, *self.migrations.findings()]
        refused = any(RULES[finding.code].severity is Severity.REFUSE for finding in fitted.findings)
        if refused:  # nothing can be counted by rules that are wrong
            run.judge(findings, RULES)
        else:
            counted = losses(captured, fitted)
            broken = violations(captured, self.target, fitted, run.folder, report)
            run.judge([*findings, *counted.findings, *broken], RULES, more=counted.decisions)
            told = f"{sum(finding.count for finding in broken):,} rows do" if broken else "none does"
            run.check("FT300", "tables", "rows", "no row breaks a constraint of the target", told, not broken)
        run.add(self._beside())
        told = f"{len(fitted.sources)} source columns, {len(fitted.targets)} target columns"
        run.check("FT100", "tables", "fit", "every column accounted for", told, not refused)

    def _beside(self) -> Iterator[Check]:
        """An adopted schema takes nothing of the source but rows: what else was declared is named, kind by kind."""
        found = self.catalog
        for kind, names in (
            ("views", [view.qualified for view in found.views]),
            ("triggers", [f"{trigger.table}.{trigger.name}" for trigger in found.triggers]),
            ("functions", [function.qualified for function in found.functions]),
            ("constraints", [f"{t.qualified}.{c.name}" for t in found.moving for c in t.constraints]),
            ("indexes", [f"{t.qualified}.{i.name}" for t in found.moving for i in t.indexes]),
        ):
            if names:
                told = f"{len(names)}: the migrations bring their own, or do without"
                step = "look whether the new application needs what they did"
                yield Check("FT120", "tables", kind, "reported", told, Verdict.WARN, step, tuple(names))

    def filled(self) -> tuple[Fitted, Schema]:
        """Without the tables that stay empty: what others write into them is not held against the source."""
        empty = {name.lower() for name in self.bench.run.mapping.tables.empty}
        target, kept = self.target, [t for t in self.fitted.tables if t.table.name.lower() not in empty]
        return replace(self.fitted, tables=tuple(kept)), replace(
            target,
            tables=tuple(t for t in target.tables if t.name.lower() not in empty),
            triggers=tuple(t for t in target.triggers if t.table.lower() not in empty),
            objects=tuple(o for o in target.objects if o.table.lower() not in empty),
        )

    def shape(self, captured: Path, path: Path) -> Shaped:
        """Write the rows as they must arrive.  Raises BadInput when a row breaks a constraint; the checks name them."""
        filled, target = self.filled()
        try:
            return shape(captured, target, filled, path)
        except BadInput:
            broken = violations(captured, self.target, self.fitted, self.bench.run.folder)
            self.bench.run.judge(broken, RULES, ["FT3"])
            raise
