"""`tables.fit` of mapping.yaml: which source column becomes which column of a schema that somebody else wrote."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, field_validator, model_validator

from towpath.fitting.spec import BackRule, ColumnRule, Constant, Join, Lookup, Rewrite, Scalar, TableRule
from towpath.plan.strict import Strict


class LookupRow(Strict):
    """A value out of another source table."""

    table: str = Field(alias="from", min_length=1, description="a source table, schema.table")
    match: str = Field(min_length=1, description="a column of that table, unique in it")
    using: str = Field(alias="with", min_length=1, description="a column of the row at hand")
    take: str = Field(min_length=1, description="the column whose value is taken")


class JoinRow(Strict):
    """At most one row of another source table beside each row."""

    table: str = Field(min_length=1, description="a source table, schema.table")
    match: str = Field(min_length=1, description="a column of that table, unique in it")
    using: str = Field(alias="with", min_length=1, description="a column of the row at hand")


class RewriteRow(Strict):
    """Text that is replaced wherever it stands in a value."""

    old: str = Field(alias="from", min_length=1, description="the text to replace")
    new: str = Field(alias="to", description="what stands in its place")


class ColumnFit(Strict):
    """Where the value of one target column comes from."""

    source: str | None = Field(default=None, alias="from", min_length=1, description="a source column")
    expression: str | None = Field(default=None, min_length=1, description="an expression, docs/fitting.md")
    constant: Scalar = Field(default=None, description="one value for every row")
    lookup: LookupRow | None = Field(default=None, description="{from, match, with, take}")
    form: str = Field(default="default", alias="as", description="the name of a conversion, docs/fitting.md")
    rewrite: RewriteRow | None = Field(default=None, description="{from, to}")
    default: Scalar = Field(default=None, description="the value where the source is NULL")

    @model_validator(mode="after")
    def _one(self) -> ColumnFit:
        given = self.model_fields_set & {"source", "expression", "constant", "lookup"}
        if len(given) != 1:
            raise ValueError("exactly one of from, expression, constant, lookup says where the value comes from")
        return self

    def rule(self) -> ColumnRule:
        """The same in the words of the surface."""
        found = self.lookup
        return ColumnRule(
            source=self.source,
            expression=self.expression,
            constant=Constant(self.constant) if "constant" in self.model_fields_set else None,
            lookup=Lookup(found.table, found.match, found.using, found.take) if found else None,
            form=self.form,
            rewrite=Rewrite(self.rewrite.old, self.rewrite.new) if self.rewrite else None,
            default=self.default,
        )


class BackRow(Strict):
    """Where the value of one source column comes from on the way back."""

    target: str | None = Field(default=None, alias="from", min_length=1, description="a target column")
    form: str = Field(default="default", alias="as", description="the conversion that is turned round")
    default: Scalar = Field(default=None, description="the value where the target has NULL, as the source writes it")
    constant: Scalar = Field(default=None, description="one value for every new row")
    keep: bool = Field(default=False, description="true: the cell stays; a new row gets the column's DEFAULT")

    @model_validator(mode="after")
    def _one(self) -> BackRow:
        if len(self.model_fields_set & {"target", "constant", "keep"}) != 1 or ("keep" in self.model_fields_set) != (
            self.keep
        ):
            raise ValueError("write keep, or {from: …}, or {constant: …}")
        return self

    def rule(self) -> BackRule:
        """The same in the words of the surface."""
        constant = Constant(self.constant) if "constant" in self.model_fields_set else None
        return BackRule(self.target, self.form, self.default, constant, self.keep)


class TableFit(Strict):
    """Which rows of which source table become rows of which target table."""

    source: str = Field(alias="from", min_length=1, description="a source table, schema.table")
    target: str = Field(alias="to", min_length=1, description="a table of the target's migrations")
    rows: str | None = Field(default=None, min_length=1, description="an expression: the rows that go")
    join: JoinRow | None = Field(default=None, description="{table, match, with}")
    columns: Mapping[str, ColumnFit] = Field(description="target column: source column, or a rule")
    drop: Mapping[str, str] = Field(default={}, description="source column: why it stays behind")
    back: Mapping[str, BackRow] = Field(default={}, description="source column: keep, or {from, as, default, constant}")
    follows: Mapping[str, str] = Field(default={}, description="target column: why it comes out again by itself")

    @field_validator("back", mode="before")
    @classmethod
    def _kept(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        return {name: {"keep": True} if rule == "keep" else rule for name, rule in value.items()}

    @field_validator("columns", mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        return {name: {"from": rule} if isinstance(rule, str) else rule for name, rule in value.items()}

    def rule(self) -> TableRule:
        """The same in the words of the surface."""
        joined = self.join
        return TableRule(
            source=self.source,
            target=self.target,
            columns={name: column.rule() for name, column in self.columns.items()},
            rows=self.rows,
            drop=dict(self.drop),
            join=Join(joined.table, joined.match, joined.using) if joined else None,
            back={name: row.rule() for name, row in self.back.items()},
            follows=dict(self.follows),
        )
