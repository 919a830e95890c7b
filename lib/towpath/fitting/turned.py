"""A fit turned round: which source column each target column goes back to, judged from the rules alone.

What a conversion did is undone by `inverses`; what no conversion did (an expression, a constant, a dropped column) has
a way back only where mapping.yaml says one, under `back` and `follows`.  Nothing here looks at rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from towpath.checks import Finding
from towpath.fitting import postgres
from towpath.fitting.conversions import conversions_of
from towpath.fitting.fitted import Fitted, FittedTable, Part, Value
from towpath.fitting.inverses import CHOSEN, INVERSES, Inverse
from towpath.fitting.language import BASE
from towpath.fitting.source import SourceColumn
from towpath.fitting.spec import BackRule, ColumnRule, Fit, Scalar, TableRule
from towpath.fitting.values import literal_kind
from towpath.postgresql.catalog import Catalog
from towpath.postgresql.relations import literal

CARRIED, FOLLOWS, FIXED, NONE = "carried", "follows", "fixed", "none"
STAGED = "staged"  # alias of the target's rows, beside the source's own


@dataclass(frozen=True, slots=True)
class Cell:
    """One column of the target, and its way back."""

    number: int  # among the columns that are written
    value: Value  # how it is made of the source's row
    way: str  # carried, follows, fixed (it has only this one value), none
    same: str = ""  # `Inverse.same`

    @property
    def name(self) -> str:
        """The target column's name."""
        return self.value.column

    @property
    def type(self) -> str:
        """PostgreSQL's type of the cell."""
        return literal_kind(self.value.storage)

    @property
    def sql(self) -> str:
        """The cell of a staged row."""
        return f"{STAGED}.c{self.number}"


@dataclass(frozen=True, slots=True)
class Fill:
    """One column of the source, and the SQL of its value over a staged row."""

    column: SourceColumn
    sql: str
    cell: int | None  # the target column that it is read from; None for a constant


@dataclass(frozen=True, slots=True)
class Turned:
    """One target table and the source table that its rows go back to."""

    table: FittedTable
    part: Part
    cells: tuple[Cell, ...]
    fills: tuple[Fill, ...]
    key: tuple[Fill, ...]  # what names a row on both sides; empty: rows have no key, and are a multiset
    refused: str = ""  # why nothing of it can be carried back
    no_new: str = ""  # why no new row can be

    @property
    def name(self) -> str:
        """The target table's name."""
        return self.table.table.name

    def comes_from_fills(self, value: Value) -> bool:
        """Whether a row made of `fills` alone has all that the value is made of."""
        own = {fill.column.name for fill in self.fills}
        unknown = [postgres.raw(BASE, c.name) for c in self.part.table.columns if c.name not in own]
        others = [f"{taken.alias}." for taken in self.part.taken]
        return not any(name in value.postgres for name in (*unknown, *others, postgres.OCCURRENCE))

    def made_of(self, value: Value) -> set[int | None]:
        """The target columns that the value comes from, by way of the source's."""
        return {f.cell for f in self.fills if postgres.raw(BASE, f.column.name) in value.postgres}

    def told(self) -> Iterator[str]:
        """What cannot be carried back, for people: nothing where everything can."""
        if self.refused:
            yield f"{self.name}: {self.refused}"
            return
        for cell in self.cells:
            if cell.way == NONE:
                yield f"{self.name}.{cell.name}: {cell.value.told} has no way back"
            elif cell.way == FIXED:
                yield f"{self.name}.{cell.name}: no value but {cell.value.told}"
        if self.no_new:
            yield f"{self.name}: no new row, because {self.no_new}"


@dataclass(frozen=True, slots=True)
class Turning:
    """A whole fit turned round; `findings` name rules of `back` and `follows` that are wrong."""

    tables: Mapping[str, Turned]
    findings: tuple[Finding, ...]


def turn(fitted: Fitted, rules: Fit, catalog: Catalog) -> Turning:
    """Turn a sound fit round."""
    findings: list[Finding] = []
    tables = {}
    for table in fitted.tables:
        for part in table.parts[:1]:
            names = (part.table.name, table.table.name.lower())
            rule = next(r for r in rules.tables if (r.source, r.target.lower()) == names)
            others = len(table.parts) + len(fitted.parts_of(part.table.name)) - 2
            tables[table.table.name] = _Turner(table, part, rule, catalog, findings).turned(others)
    return Turning(tables, tuple(findings))


class _Turner:
    def __init__(
        self, table: FittedTable, part: Part, rule: TableRule, catalog: Catalog, findings: list[Finding]
    ) -> None:
        self.table, self.part, self.rule, self.findings = table, part, rule, findings
        self.where = f"back in fit {rule.source} → {rule.target}"
        self.declared = {column.name: column for column in catalog.table(part.table.name).columns}
        self.rules = {name.lower(): one for name, one in rule.columns.items()}
        self.numbers = {value.column.lower(): number for number, value in enumerate(part.values)}
        self.fills: dict[str, Fill] = {}  # source column -> its value
        self.same: dict[int, str] = {}  # target columns that are carried -> `Inverse.same`

    def turned(self, others: int) -> Turned:
        """The table, turned round; `others` are rules that read or fill one of the two tables beside this one."""
        self._by_mapping()
        for number, value in enumerate(self.part.values):
            self._by_conversion(number, value)
        for name in self.rule.follows:
            if name.lower() not in self.numbers:
                self._find("FT106", f"{self.rule.target}.{name}", f"follows: there is no column {name}")
        follows = {name.lower() for name in self.rule.follows}
        cells = tuple(self._cell(number, value, follows) for number, value in enumerate(self.part.values))
        key, lost = self._key()
        refused = "several rules read or fill its rows" if others else lost
        if self.part.rows is not None and self.part.rows.occurrences():
            refused = "which of its rows go depends on other rows"
        if not self.fills:
            refused = "none of its columns goes back"
        fills = tuple(self.fills[c.name] for c in self.part.table.columns if c.name in self.fills)
        return Turned(self.table, self.part, cells, fills, key, refused, self._no_new())

    # -- the source's columns

    def _by_mapping(self) -> None:
        columns = {column.name: column for column in self.part.table.columns}
        for name, rule in self.rule.back.items():
            column = columns.get(name)
            if column is None or (rule.target is not None and rule.target.lower() not in self.numbers):
                wrong = name if column is None else rule.target
                self._find("FT106", f"{self.part.table.name}.{name}", f"{self.where}: there is no column {wrong}")
            elif column.generated:
                self._find("FT111", f"{self.part.table.name}.{name}", f"{self.where}: the source computes it itself")
            elif rule.constant is not None:
                self.fills[name] = Fill(column, _literal(rule.constant.value, column), None)
            elif rule.target is not None:
                self._from(column, rule, self.numbers[rule.target.lower()])

    def _from(self, column: SourceColumn, rule: BackRule, number: int) -> None:
        inverse = INVERSES.get((rule.form, column.kind)) or CHOSEN.get((rule.form, column.kind))
        if inverse is None:
            usable = ", ".join(conversions_of(column.kind))
            what = f"{self.where}: as: {rule.form} does not give {column.declared}; usable are {usable}"
            self._find("FT107", f"{self.part.table.name}.{column.name}", what)
            return
        given = self.rules.get(self.part.values[number].column.lower(), ColumnRule())
        made = _undone(inverse, column, number, given)
        if rule.default is not None:
            made = f"coalesce({made}, {_literal(rule.default, column)})"
        self.fills[column.name] = Fill(column, made, number)
        self.same[number] = inverse.same

    def _by_conversion(self, number: int, value: Value) -> None:
        """What a conversion made of a column goes back to it, if mapping.yaml says nothing else."""
        rule = self.rules.get(value.column.lower())
        if rule is None or rule.source is None or not value.origin or value.origin in self.rule.back:
            return
        column = self.part.table.column(value.origin)
        inverse = INVERSES.get((rule.form, column.kind))
        if inverse is None or column.generated or value.origin in self.fills:
            return
        self.fills[column.name] = Fill(column, _undone(inverse, column, number, rule), number)
        self.same[number] = inverse.same

    # -- the target's columns

    def _cell(self, number: int, value: Value, follows: set[str]) -> Cell:
        if number in self.same:
            return Cell(number, value, CARRIED, self.same[number])
        computed = value.origin and self.part.table.column(value.origin).generated
        if computed or value.column.lower() in follows:
            return Cell(number, value, FOLLOWS)
        rule = self.rules.get(value.column.lower())
        if rule is None or rule.constant is not None:
            return Cell(number, value, FIXED)
        return Cell(number, value, NONE)

    def _key(self) -> tuple[tuple[Fill, ...], str]:
        """What fills the target's key, and why rows cannot be found by it."""
        by_cell = {fill.cell: fill for fill in self.fills.values() if fill.cell is not None}
        names = self.table.table.primary_key
        key = [by_cell.get(self.numbers.get(name.lower(), -1)) for name in names]
        lost = [name for name, fill in zip(names, key, strict=True) if fill is None]
        why = f"its key {', '.join(lost)} names no row of the source" if lost else ""
        return tuple(fill for fill in key if fill is not None), why

    def _no_new(self) -> str:
        for column in self.part.table.columns:
            declared, rule = self.declared[column.name], self.rule.back.get(column.name)
            if column.generated or column.name in self.fills:
                continue
            name = f"{self.part.table.name}.{column.name}"
            if rule is None:
                return f"{name} gets no value: say so with back: keep, or give it one"
            if declared.notnull and declared.default is None and not declared.identity:
                return f"{name} must have a value and has no DEFAULT"
        return ""

    def _find(self, code: str, object: str, message: str) -> None:
        self.findings.append(Finding(code, object, 1, message))


def _undone(inverse: Inverse, column: SourceColumn, number: int, rule: ColumnRule) -> str:
    value = f"({STAGED}.c{number})"
    if rule.rewrite is not None:
        value = f"({postgres.replaced(value, rule.rewrite.new, rule.rewrite.old)})"
    return inverse.sql.replace("{v}", value).replace("{t}", column.declared)


def _literal(value: Scalar, column: SourceColumn) -> str:
    if value is None:
        return "NULL"
    text = ("true" if value else "false") if isinstance(value, bool) else str(value)
    return f"({literal(text)})::{column.declared}"
