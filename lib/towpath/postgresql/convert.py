"""The schema of D1 from a PostgreSQL catalog (mode generate): table by table, every object accounted for.

A column gets the type of its captured form, so that the rows arrive as they were captured.  What SQLite cannot say is
left out with its reason; a CHECK or a default that it would compute in another way is left out too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from towpath.errors import BadInput
from towpath.postgresql.accounts import Book, accounts_of
from towpath.postgresql.catalog import Catalog, Column, Constraint, Table, literal, quoted
from towpath.postgresql.convert_after import convert_indexes, convert_views
from towpath.postgresql.declared import collisions
from towpath.postgresql.defaults import default_for, sequence_of
from towpath.postgresql.expressions import Unknown, translate
from towpath.postgresql.generated import CHANGED, DROPPED, KEPT, Generated, GeneratedColumn, GeneratedTable
from towpath.postgresql.rules import RULES
from towpath.postgresql.types import rule_for

TYPES = {"integer": "INTEGER", "real": "REAL", "text": "TEXT", "blob": "BLOB"}
KEYS = ("int2", "int4", "int8")  # what may become the rowid
LENGTHS = ("varchar", "bpchar", "bit", "varbit")


def convert(catalog: Catalog) -> Generated:
    """Convert a catalog.  Raises BadInput for names that D1 cannot hold apart (PG102 to PG104)."""
    for finding in collisions(catalog):
        rule = RULES[finding.code]
        raise BadInput(f"{rule.title}: {finding.message}", object=finding.object, code=finding.code, next=rule.advice)
    book = Book()
    tables = tuple(_TableConverter(catalog, table, book).run() for table in catalog.moving)
    indexes = convert_indexes(catalog, tables, book)
    views = convert_views(catalog, tables, book)
    return Generated(tables, indexes, views, accounts_of(catalog, book))


def forms_of(table: Table) -> dict[str, str]:
    """The captured form of each column, for expressions; an enum's order is not that of its text."""
    return {c.name: "enum" if c.base == "enum" else rule_for(c).form for c in table.columns}


class _TableConverter:
    def __init__(self, catalog: Catalog, table: Table, book: Book) -> None:
        self.catalog, self.table, self.book = catalog, table, book
        self.forms = forms_of(table)
        key = table.primary_key
        self.rowid = key[0] if len(key) == 1 and table.column(key[0]).base in KEYS else ""

    def run(self) -> GeneratedTable:
        """One CREATE TABLE: columns, then the constraints that are no part of one."""
        lines, columns = [], []
        for column in self.table.columns:
            line, made = self._column(column)
            lines.append(line)
            columns.append(made)
        for constraint in self.table.constraints:
            lines += self._constraint(constraint)
        lines += self._referenced()
        empty = [f"{quoted('_towpath_nothing')} TEXT"]  # PostgreSQL takes a table without columns
        sql = f"CREATE TABLE {quoted(self.table.flat)} (\n  " + ",\n  ".join(lines or empty) + "\n)"
        codes = tuple(dict.fromkeys(code for column in columns for code in column.codes))
        if self.table.comment or any(column.comment for column in self.table.columns):
            codes = (*codes, "PG323")
        reason = "; ".join(dict.fromkeys(c.reason for c in columns if c.reason))
        self.book.add("table", self.table.qualified, CHANGED if codes else KEPT, codes, reason, after=sql)
        return GeneratedTable(self.table.flat, self.table.qualified, sql, tuple(columns))

    def _column(self, column: Column) -> tuple[str, GeneratedColumn]:
        rule = rule_for(column)
        target = TYPES[rule.storage]
        codes, reasons = ([rule.code] if rule.code else []), [rule.meaning] if rule.code else []
        parts = [quoted(column.name), target]
        computed = False
        if column.name == self.rowid:
            parts += ["PRIMARY KEY", *self._autoincrement(column, codes, reasons)]
        elif column.generated:
            made = self._generated(column, codes, reasons)
            computed = made is not None
            parts += ["NOT NULL"] * column.notnull + ([made] if made else [])
        else:
            parts += ["NOT NULL"] * (column.notnull or self._domain_notnull(column))
            parts += self._default(column, codes, reasons)
        parts += [f"CHECK ({check})" for check in self._checks(column, codes, reasons)]
        told = GeneratedColumn(
            column.name, column.type, target, rule.form, computed, tuple(dict.fromkeys(codes)), "; ".join(reasons)
        )
        return " ".join(parts), told

    def _autoincrement(self, column: Column, codes: list[str], reasons: list[str]) -> list[str]:
        name = self._sequence_of(column)
        sequence = next((s for s in self.catalog.sequences if s.qualified == name), None)
        if sequence is None:
            if column.default:
                codes.append("PG314")
                reasons.append(f"default {column.default} left out, the rowid gives the next number")
            return []
        if sequence.increment != 1 or sequence.cycle:
            codes.append("PG312")
            reasons.append(f"{name} counts by {sequence.increment}{', in a circle' if sequence.cycle else ''}")
            self.book.sequence(name, DROPPED, "PG312", reasons[-1])
            return []
        codes.append("PG311")
        reasons.append(f"{name} goes on as AUTOINCREMENT")
        self.book.sequence(name, CHANGED, "PG311", f"goes on as AUTOINCREMENT of {self.table.flat}")
        return ["AUTOINCREMENT"]

    def _sequence_of(self, column: Column) -> str:
        owner = f"{self.table.qualified}.{column.name}"
        owned = next((s.qualified for s in self.catalog.sequences if s.owned_by == owner and s.identity), "")
        return owned or sequence_of(column.default) or ""

    def _generated(self, column: Column, codes: list[str], reasons: list[str]) -> str | None:
        try:
            made = translate(column.expression or "", self.forms)
            if doubt := made.doubt or self._inexact(column):
                raise Unknown(doubt)
        except Unknown as unknown:
            codes.append("PG317")
            reasons.append(f"an ordinary column: {unknown}")
            return None
        codes.append("PG315")
        reasons.append(f"computed as {made.sql}")
        return f"GENERATED ALWAYS AS ({made.sql}) {'STORED' if column.generated == 's' else 'VIRTUAL'}"

    def _inexact(self, column: Column) -> str:
        """Why SQLite's numbers would not be PostgreSQL's; "" if they would."""
        expression = column.expression or ""
        if rule_for(column).form == "decimal":
            return "a decimal is a text in D1, and its scale would be another"
        singles = [c.name for c in self.table.columns if c.base == "float4"]
        if "::real" in expression or any(re.search(rf"\b{re.escape(name)}\b", expression) for name in singles):
            return "SQLite computes with doubles, PostgreSQL with float4"
        return "SQLite computes with doubles, PostgreSQL with float4" if column.base == "float4" else ""

    def _default(self, column: Column, codes: list[str], reasons: list[str]) -> list[str]:
        name = self._sequence_of(column)
        if name:
            codes.append("PG312")
            reasons.append(f"numbers of {name} come from the application")
            self.book.sequence(name, DROPPED, "PG312", f"{self.table.flat}.{column.name} is no integer primary key")
            return []
        default = default_for(self._below_domains(column))
        if default.code:
            codes.append(default.code)
            reasons.append(default.reason)
        return [f"DEFAULT {default.sql}"] if default.sql is not None else []

    def _domains(self, column: Column) -> Iterator[str]:
        name = column.domain
        while name is not None:
            yield name
            name = self.catalog.domain(name).over

    def _domain_notnull(self, column: Column) -> bool:
        return any(self.catalog.domain(name).notnull for name in self._domains(column))

    def _below_domains(self, column: Column) -> Column:
        """The column with the type that lies below its domains, and their default where it has none."""
        domains = [self.catalog.domain(name) for name in self._domains(column)]
        if not domains:
            return column
        default = next((d for d in (column.default, *(domain.default for domain in domains)) if d), None)
        return replace(column, type=domains[-1].type, default=default)

    def _checks(self, column: Column, codes: list[str], reasons: list[str]) -> Iterator[str]:
        name = quoted(column.name)
        if column.base == "bool":
            yield f"{name} IN (0, 1)"
        if column.base == "enum" and column.enum:
            codes.append("PG309")
            yield f"{name} IN ({', '.join(map(literal, self.catalog.enum(column.enum).labels))})"
        if column.length is not None and column.base in LENGTHS:
            codes.append("PG310")
            yield f"length({name}) {'=' if column.base == 'bit' else '<='} {column.length}"
        for domain in self._domains(column):
            for check in self.catalog.domain(domain).checks:
                try:
                    made = translate(check.expression or "", self.forms, column.name)
                except Unknown as unknown:
                    codes.append("PG316")
                    reasons.append(f"{check.name} of {domain} left out: {unknown}")
                    continue
                codes.append("PG310")
                yield made.sql

    def _constraint(self, constraint: Constraint) -> Iterator[str]:
        table, name = self.table, constraint.name
        columns = ", ".join(map(quoted, constraint.columns))
        made = ""
        outcome: tuple[str, tuple[str, ...], str] = (KEPT, (), "")
        if constraint.kind == "p":
            made = "" if self.rowid else f"PRIMARY KEY ({columns})"
        elif constraint.kind == "u":
            made = f"UNIQUE ({columns})"
            if constraint.nulls_not_distinct:
                made, outcome = "", (CHANGED, ("PG127",), "made as an index that takes NULL for a value")
                self.book.nulls_once.append((table, constraint.name, constraint.columns))
            elif constraint.deferrable:
                outcome = (CHANGED, ("PG112",), "checked at once")
        elif constraint.kind == "c":
            made, outcome = self._check(constraint)
        elif constraint.kind == "f":
            made, outcome = self._reference(constraint, columns)
        else:
            outcome = (DROPPED, ("PG111", "PG322"), "SQLite has no EXCLUDE")
        account = f"{name} on {table.qualified}"
        self.book.add("table constraint", account, *outcome, before=constraint.definition, after=made)
        if made:
            yield f"CONSTRAINT {quoted(name)} {made}"

    def _check(self, constraint: Constraint) -> tuple[str, tuple[str, tuple[str, ...], str]]:
        try:
            made = translate(constraint.expression or "", self.forms)
        except Unknown as unknown:
            return "", (DROPPED, ("PG316",), str(unknown))
        return f"CHECK ({made.sql})", (CHANGED, ("PG315",), made.doubt or "written for SQLite")

    def _reference(self, constraint: Constraint, columns: str) -> tuple[str, tuple[str, tuple[str, ...], str]]:
        parents = {table.qualified: table for table in self.catalog.moving}
        parent = parents.get(constraint.parent or "")
        if parent is None:
            return "", (DROPPED, ("PG321",), f"{constraint.parent} is no table that moves")
        for ours, theirs in zip(constraint.columns, constraint.parent_columns, strict=True):
            one, other = self.table.column(ours), parent.column(theirs)
            forms = rule_for(one).form, rule_for(other).form
            if forms[0] != forms[1] or (forms[0] == "decimal" and one.type != other.type):
                return "", (DROPPED, ("PG321",), f"{ours} is captured as {forms[0]}, {theirs} as {forms[1]}")
        target = f"{quoted(parent.flat)} ({', '.join(map(quoted, constraint.parent_columns))})"
        made = f"FOREIGN KEY ({columns}) REFERENCES {target}"
        for word, action in (("UPDATE", constraint.on_update), ("DELETE", constraint.on_delete)):
            if action and action != "NO ACTION":
                made += f" ON {word} {action}"
        if constraint.deferrable:
            made += f" DEFERRABLE INITIALLY {'DEFERRED' if constraint.deferred else 'IMMEDIATE'}"
        if constraint.match == "FULL" and len(constraint.columns) > 1:
            return made, (CHANGED, ("PG321",), "MATCH FULL becomes MATCH SIMPLE: a row with one NULL is not checked")
        return made, (KEPT, (), "")

    def _referenced(self) -> Iterator[str]:
        """UNIQUE for columns that others refer to by an index alone: D1 wants it before the first row."""
        declared = {c.columns for c in self.table.constraints if c.kind in "pu" and not c.nulls_not_distinct}
        wanted = {
            constraint.parent_columns
            for table in self.catalog.moving
            for constraint in table.foreign_keys
            if constraint.parent == self.table.qualified
        }
        for columns in sorted(wanted - declared):
            yield f"UNIQUE ({', '.join(map(quoted, columns))})"
