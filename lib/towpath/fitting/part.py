"""One rule of mapping.yaml held against its two tables: a part, or findings."""

from __future__ import annotations

from dataclasses import replace

from towpath.errors import BadInput
from towpath.fitting import fitted as words
from towpath.fitting import values
from towpath.fitting.expressions import parse
from towpath.fitting.fitted import Loss, Part, Taken, TargetAccount, Value
from towpath.fitting.language import BASE, JOINED, Node, column_type
from towpath.fitting.ledger import Ledger
from towpath.fitting.source import SourceTable
from towpath.fitting.spec import ColumnRule, TableRule
from towpath.fitting.values import Misfit
from towpath.tables.schema import Column, Table, quoted


class Maker:
    """Makes the part of one rule."""

    def __init__(self, ledger: Ledger, rule: TableRule, source: SourceTable, target: Table) -> None:
        self.ledger, self.rule, self.source, self.target = ledger, rule, source, target
        self.where = f"fit {rule.source} → {rule.target}"
        self.taken: list[Taken] = []
        self.joined: SourceTable | None = None
        self.occurrences: list[Node] = []
        self.sound = True
        if rule.join is not None:
            self.joined = ledger.table(rule.join.table, f"join in {self.where}")
            if self.joined is not None:
                self._take(JOINED, self.joined, rule.join.match, rule.join.using)

    def named(self, name: str) -> tuple[SourceTable, str]:
        """The table and the column that a name in a rule means: `theme`, or `settings.theme` of the joined table."""
        qualifier, dot, column = name.partition(".")
        if dot and self.joined is not None and qualifier == self.joined.short:
            return self.joined, column
        return self.source, column if dot and qualifier == self.source.short else name

    def part(self) -> Part | None:
        """The part; None where findings say why there is none."""
        rows = self._expression(self.rule.rows, "rows") if self.rule.rows is not None else None
        if rows is not None and rows.type not in ("boolean", "null"):
            self._wrong("FT109", "rows", f"rows wants a condition, {self.rule.rows!r} is {rows.type}")
            rows = None
        rules = {name.lower(): (name, rule) for name, rule in self.rule.columns.items()}
        columns = {column.name.lower(): column for column in self.target.columns}
        for name, _ in rules.values():
            if name.lower() not in columns:
                self.sound = False
                self.ledger.unknown(f"{self.target.name}.{name}", self.where, "column", self._names())
        made = [
            value for column in self.target.columns if (value := self._column(column, rules.get(column.name.lower())))
        ]
        if not self.sound:
            return None
        return Part(self.source, tuple(made), tuple(self.taken), tuple(self.occurrences), rows)

    def _names(self) -> list[str]:
        return [f"{self.target.name}.{column.name}" for column in self.target.columns]

    def _wrong(self, code: str, column: str, message: str) -> None:
        self.sound = False
        self.ledger.find(code, f"{self.target.name}.{column}", message)

    def _expression(self, text: str, column: str) -> Node | None:
        try:
            node = parse(text, self.source, self.joined, f"{self.target.name}.{column}")
        except BadInput as error:
            self._wrong("FT109", column, f"{error.what}; {error.next}")
            return None
        for occurrence in node.occurrences():
            if occurrence not in self.occurrences:
                self.occurrences.append(occurrence)
        return node

    def _take(self, alias: str, table: SourceTable, match: str, using: str) -> bool:
        where = f"{self.where}, {table.name}"
        there = [self.ledger.has(table, match, where), self.ledger.has(self.source, using, where)]
        if not all(there):
            self.sound = False
            return False
        kinds = {column_type(table.column(match)), column_type(self.source.column(using))}
        if len(kinds) > 1 or kinds & {"real", "blob"}:
            self._wrong("FT111", using, f"{table.name}.{match} and {using} are of types that cannot be compared")
            return False
        self.taken.append(Taken(alias, table, match, using))
        for at in ((table.name, match), (self.source.name, using)):
            self.ledger.used.setdefault(at, []).append(f"finds the row of {table.name}")
        return True

    def _column(self, column: Column, rule: tuple[str, ColumnRule] | None) -> Value | None:
        name = f"{self.target.name}.{column.name}"
        account = TargetAccount(self.target.name, column.name, column.declared, words.FILLED, "")
        value: Value | None = None
        try:
            if column.hidden:
                if rule is not None:
                    raise Misfit("FT111", "the target computes this column: no rule can fill it")
                account = replace(account, outcome=words.GENERATED, by="the target computes it")
            elif rule is not None:
                value = self._ruled(column, rule[1])
            elif column.default is not None:
                value = values.of_default(column)
                account = replace(account, outcome=words.DEFAULTED)
            elif column.notnull or column.key:
                what = "part of the key" if column.key else "NOT NULL"
                raise Misfit("FT103", f"{what}, without a rule and without a default")
            else:
                value = values.of_constant(column.name, None, "nothing")
                account = replace(account, outcome=words.EMPTY)
                self.ledger.find("FT104", name, "no rule fills it")
        except Misfit as misfit:
            account = replace(account, outcome=words.UNFILLED, by=misfit.message)
            self._wrong(misfit.code, column.name, misfit.message)
        self.ledger.targets.append(replace(account, by=value.told) if value is not None else account)
        return value

    def _ruled(self, column: Column, rule: ColumnRule) -> Value | None:
        given = [p for p in (rule.source, rule.expression, rule.constant, rule.lookup) if p is not None]
        if len(given) != 1:
            raise Misfit("FT111", "exactly one of from, expression, constant, lookup gives the value")
        if rule.form != "default" and (rule.expression is not None or rule.constant is not None):
            raise Misfit("FT111", "as converts a column: it stands beside from or lookup")
        value, kind = self._given(column, rule)
        if value is None:
            return None
        if rule.rewrite is not None:
            value = values.rewritten(value, rule.rewrite, kind)
        if rule.default is not None:
            value = values.defaulted(value, rule.default)
        return values.stored_as(value, column, self.target.strict, kind)

    def _given(self, column: Column, rule: ColumnRule) -> tuple[Value | None, str]:
        """The value before it is rewritten, and its kind; None where a finding says why there is none."""
        name = f"{self.target.name}.{column.name}"
        as_ = "" if rule.form == "default" else f" as {rule.form}"
        if rule.constant is not None:
            return values.of_constant(column.name, rule.constant.value, f"constant {rule.constant.value!r}"), ""
        if rule.expression is not None:
            node = self._expression(rule.expression, column.name)
            if node is None:
                return None, ""
            for alias, read in node.columns():
                table = self.joined if alias == JOINED and self.joined is not None else self.source
                self.ledger.into.setdefault((table.name, read.name), []).append(name)
            return values.of_expression(column.name, node, self.occurrences, rule.expression), ""
        if rule.lookup is not None:
            return self._looked_up(column, rule, as_)
        table, source = self.named(rule.source or "")
        if not self.ledger.has(table, source, f"{self.where}, {column.name}"):
            self.sound = False
            return None, ""
        found = table.column(source)
        self.ledger.into.setdefault((table.name, source), []).append(name)
        alias = JOINED if table is self.joined else BASE
        return values.of_column(column.name, alias, found, rule.form, f"{rule.source}{as_}"), found.kind

    def _looked_up(self, column: Column, rule: ColumnRule, as_: str) -> tuple[Value | None, str]:
        lookup = rule.lookup
        assert lookup is not None
        table = self.ledger.table(lookup.table, f"{self.where}, {column.name}")
        if table is None or not self.ledger.has(table, lookup.take, f"{self.where}, {column.name}"):
            self.sound = False
            return None, ""
        alias = f"l{len(self.taken)}"
        if not self._take(alias, table, lookup.match, lookup.using):
            return None, ""
        told = f"{lookup.table}.{lookup.take} where {lookup.match} = {lookup.using}{as_}"
        found = table.column(lookup.take)
        self.ledger.into.setdefault((table.name, lookup.take), []).append(f"{self.target.name}.{column.name}")
        self.ledger.into.setdefault((self.source.name, lookup.using), []).append(f"{self.target.name}.{column.name}")
        value = values.of_column(column.name, alias, found, rule.form, told)
        missing = f"{BASE}.{quoted(lookup.using)} IS NOT NULL AND {alias}.{quoted(lookup.match)} IS NULL"
        loss = Loss("FT204", missing, f"{lookup.using} finds no row of {lookup.table}")
        return replace(value, losses=(*value.losses, loss)), found.kind
