"""The rows of a server in a schema that the new application brings: the fit judged, and the rows shaped by it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import apsw

from towpath.checks import Check, Finding, Progress, Severity, Verdict
from towpath.errors import BadInput
from towpath.fitting.account import fit, same_names
from towpath.fitting.adopt import Migrations, adopted, read_migrations
from towpath.fitting.fitted import Fitted
from towpath.fitting.losses import losses
from towpath.fitting.rules import RULES
from towpath.fitting.shape import Shaped, shape
from towpath.fitting.source import Source, source_of
from towpath.fitting.spec import Fit
from towpath.fitting.turned import Turning, turn
from towpath.fitting.violations import violations
from towpath.postgresql.catalog import Catalog
from towpath.postgresql.convert import convert
from towpath.postgresql.generated import Generated
from towpath.postgresql.proving import prove
from towpath.postgresql.rules import RULES as POSTGRESQL
from towpath.tables.conversion import Account, Conversion
from towpath.tables.schema import Schema, reflect
from towpath.tables.virtual import FILLED, read_virtual

if TYPE_CHECKING:
    from towpath.workbench.workbench import Workbench


SHOWN = 5


def declared_by(statements: Sequence[str]) -> Schema:
    """What SQLite makes of statements, run in memory."""
    with closing(apsw.Connection(":memory:")) as db:
        for sql in statements:
            db.execute(sql)
        return reflect(db)


class ServerFit:
    """The rules of mapping.yaml held against what the server declares."""

    def __init__(self, bench: Workbench, catalog: Catalog) -> None:
        self.bench, self.catalog = bench, catalog

    @cached_property
    def generated(self) -> Generated | None:
        """The schema made from the server's; None where the new application brings its own."""
        return convert(self.catalog) if self.bench.run.mapping.tables.mode == "generate" else None

    @cached_property
    def migrations(self) -> Migrations:
        """What the new application declares."""
        return read_migrations(self.bench.root / self.bench.run.mapping.tables.migrations, self.bench.limits)

    @cached_property
    def target(self) -> Schema:
        """The whole schema of the target.  Raises BadInput, with file and line, for what D1 refuses."""
        made = self.generated
        return declared_by([*made.table_statements, *made.after_statements]) if made else self.migrations.schema

    @cached_property
    def _source(self) -> Source:
        return source_of(self.catalog, self.bench.sensitive)

    @cached_property
    def _rules(self) -> Fit:
        return same_names(self._source, self.target) if self.generated else self.bench.run.mapping.tables.fitted

    @cached_property
    def fitted(self) -> Fitted:
        """How the rows go into the target's tables."""
        return fit(self._source, self.target, self._rules)

    @cached_property
    def turning(self) -> Turning:
        """The same turned round: how rows of the target go back."""
        return turn(self.filled()[0], self._rules, self.catalog)

    @cached_property
    def conversion(self) -> Conversion:
        """The target's schema as statements."""
        return adopted(self.target)

    @property
    def accounts(self) -> tuple[Account, ...]:
        """What became of every object of the server, or, where the application brings its schema, of the migrations."""
        if self.generated is None:
            return self.conversion.accounting
        found = self.generated.accounts
        return tuple(Account(a.kind, a.name, a.outcome, a.codes, a.reason, a.before, a.after) for a in found)

    @property
    def left_behind(self) -> list[Finding]:
        """What of the server D1 cannot have; of an adopted schema nothing is asked (FT120 reports it)."""
        return self.generated.left_behind() if self.generated else []

    def judge(self, captured: Path, report: Progress) -> None:
        """Every column accounted for; what is lost; and every row that the target would refuse.  Counts rows."""
        run, fitted = self.bench.run, self.fitted
        findings = [*fitted.findings, *(self.migrations.findings() if self.generated is None else ())]
        refused = any(RULES[finding.code].severity is Severity.REFUSE for finding in fitted.findings)
        none = "no row breaks a constraint of the target"
        if refused:  # nothing can be counted by rules that are wrong, so no decision about counts can be judged
            run.judge(findings, RULES, ["FT1"])
            run.check("FT300", "tables", "rows", none, "not asked: rules are wrong", False, "correct the rules first")
        else:
            counted = losses(captured, fitted)
            broken = violations(captured, self.target, fitted, run.folder, report)
            wrong = self.turning.findings
            run.judge([*findings, *counted.findings, *broken, *wrong], RULES, more=counted.decisions)
            told = f"{sum(finding.count for finding in broken):,} rows do" if broken else "none does"
            run.check("FT300", "tables", "rows", none, told, not broken, "see the rows that FT301 to FT306 name")
        if self.generated is not None:
            run.judge([*self.generated.findings(), *self.left_behind], POSTGRESQL, ["PG3"])
            run.add(prove(self.generated, self.catalog))
        else:
            run.add(self._beside())
        run.add(self._way_back() if not refused else ())
        told = f"{len(fitted.sources)} source columns, {len(fitted.targets)} target columns"
        step = "see the columns that FT101 to FT112 name"
        run.check("FT100", "tables", "fit", "every column accounted for", told, not refused, step)

    def _way_back(self) -> Iterator[Check]:
        """What 07-roll-back could not carry back, said before anybody needs it."""
        lost = [told for turned in self.turning.tables.values() for told in turned.told()]
        if lost:
            told = f"{len(lost)}: {'; '.join(lost[:SHOWN])}{' …' if len(lost) > SHOWN else ''}"
            step = (
                "say under back and follows in mapping.yaml what becomes of them, or accept that 07 would refuse them"
            )
            yield Check(
                "CU212", "cutover", "way back", "every change of the target", told, Verdict.WARN, step, tuple(lost)
            )

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
        own = [t.name for t in self.target.tables if t.kind == "virtual" and read_virtual(t).way == FILLED]
        if own:
            told = f"{len(own)} hold content of their own, and triggers that would fill them come after the rows"
            step = "fill them by a statement of the new application after the move"
            yield Check(
                "FT120", "tables", "virtual tables of the migrations", "none", told, Verdict.WARN, step, tuple(own)
            )

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
