"""Fits a source to a target schema: every column of both sides is accounted for, or the fit names it.

`fit` looks at declarations alone.  What the values say is counted by `losses` and `violations`, on the capture.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from towpath.fitting import fitted as words
from towpath.fitting.fitted import Fitted, FittedTable, Part, SourceAccount, TargetAccount
from towpath.fitting.ledger import Ledger
from towpath.fitting.part import Maker
from towpath.fitting.source import Source, SourceTable
from towpath.fitting.spec import ColumnRule, Constant, Fit, TableRule
from towpath.tables.schema import Schema, Table


def fit(source: Source, target: Schema, rules: Fit) -> Fitted:
    """Hold rules against both schemas.  Whatever is wrong is a finding FT1xx; nothing is raised."""
    return _Fitter(source, target, rules).run()


def same_names(source: Source, target: Schema) -> Fit:
    """The rules of a target that was made from the source (mode generate): every column in its captured form.

    Tables are those of the capture's names.  What the target computes itself is left to it.
    """
    tables = {table.name.lower(): table for table in target.moving}
    rules = []
    for table in source.tables:
        made = tables.get(table.captured.lower())
        if made is not None:
            stored = {column.name.lower(): column.name for column in made.stored}
            there = [column.name for column in table.columns if column.name.lower() in stored]
            columns = {stored[name.lower()]: ColumnRule(source=name) for name in there}
            if not table.columns:  # SQLite has no table without columns: it has one that stays NULL
                columns = {name: ColumnRule(constant=Constant(None)) for name in stored.values()}
            rules.append(TableRule(table.name, made.name, columns))
    return Fit(tuple(rules))


class _Fitter:
    def __init__(self, source: Source, target: Schema, rules: Fit) -> None:
        self.source, self.target, self.rules = source, target, rules
        self.ledger = Ledger(source)
        self.filled: dict[str, list[Part]] = {}

    def run(self) -> Fitted:
        left = {name: why for name, why in self.rules.left.items() if self.ledger.table(name, "left") is not None}
        empty = {name.lower() for name in self.rules.empty}
        known = {table.name.lower(): table for table in self.target.moving}
        for name in self.rules.empty:
            if name.lower() not in known:
                self.ledger.unknown(name, "empty", "target table", (t.name for t in self.target.moving))
        for rule in self.rules.tables:
            self._rule(rule, known, empty)
        tables = tuple(FittedTable(t, tuple(self.filled.get(t.name, ()))) for t in self.target.moving)
        for table in tables:
            if not table.parts and table.table.name.lower() not in empty:
                self.ledger.find("FT105", table.table.name, "no rule goes to it, and it is not named under empty")
            if not table.parts:
                self.ledger.targets.append(TargetAccount(table.table.name, "", "", words.EMPTY, "stays empty"))
        return Fitted(
            self.source,
            tables,
            tuple(self._sources(left)),
            tuple(self.ledger.targets),
            tuple(dict.fromkeys(self.ledger.findings)),
            self.ledger.dropped,
            left,
        )

    # -- one rule

    def _rule(self, rule: TableRule, known: dict[str, Table], empty: set[str]) -> None:
        where = f"fit {rule.source} → {rule.target}"
        source, target = self.ledger.table(rule.source, where), known.get(rule.target.lower())
        if target is None:
            self.ledger.unknown(rule.target, where, "target table", (t.name for t in known.values()))
        if source is None or target is None:
            return
        if target.name.lower() in empty:
            self.ledger.find("FT111", target.name, f"{where}: the table is also named under empty")
        if rule.source in self.rules.left:
            self.ledger.find("FT111", rule.source, f"{where}: the table is also named under left")
        maker = Maker(self.ledger, rule, source, target)
        part = maker.part()
        for column, why in rule.drop.items():
            of, name = maker.named(column)
            if self.ledger.has(of, name, f"drop in {where}"):
                self.ledger.dropped.setdefault(of.name, {})[name] = why
        if part is not None:
            self.filled.setdefault(target.name, []).append(part)

    # -- the source's side

    def _sources(self, left: dict[str, str]) -> Iterable[SourceAccount]:
        ruled = {rule.source for rule in self.rules.tables}
        ruled |= {rule.join.table for rule in self.rules.tables if rule.join is not None}
        for table in self.source.tables:
            if table.name in left:
                yield SourceAccount(table.name, "", "", words.LEFT, "", left[table.name])
            elif table.name not in ruled:
                self.ledger.find("FT102", table.name, "no rule reads its rows, and it is not named under left")
                yield SourceAccount(table.name, "", "", words.UNMAPPED, "")
            else:
                yield from self._columns(table)

    def _columns(self, table: SourceTable) -> Iterable[SourceAccount]:
        dropped = self.ledger.dropped.get(table.name, {})
        for column in table.columns:
            at = (table.name, column.name)
            into = tuple(dict.fromkeys(self.ledger.into.get(at, ())))
            row = SourceAccount(table.name, column.name, column.declared, words.MAPPED, ", ".join(into))
            if column.name in dropped and into:
                self.ledger.find("FT111", f"{table.name}.{column.name}", f"it is dropped, and mapped to {row.into}")
            elif column.name in dropped:
                row = replace(row, outcome=words.DROPPED, reason=dropped[column.name])
            elif not into and at in self.ledger.used:
                row = replace(row, outcome=words.USED, into=", ".join(dict.fromkeys(self.ledger.used[at])))
            elif not into and column.generated:
                row = replace(row, outcome=words.COMPUTED, reason="the source computes it from other columns")
            elif not into:
                self.ledger.find("FT101", f"{table.name}.{column.name}", "no rule takes it, and it is not dropped")
                row = replace(row, outcome=words.UNMAPPED)
            yield row
