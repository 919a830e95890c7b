"""What mapping.yaml says about a target schema that somebody else wrote, as plain values.

Nothing here is checked against a source or a target: `account.fit` does that.  A source table is named `schema.table`,
a target table by its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Scalar = str | int | float | bool | None  # what YAML can say as one value


@dataclass(frozen=True, slots=True)
class Constant:
    """`{constant: en}`: the same value in every row; `{constant: null}` is NULL."""

    value: Scalar


@dataclass(frozen=True, slots=True)
class Lookup:
    """`{lookup: {from: public.plans, match: code, with: plan, take: title}}`: a value out of another source table.

    It is `take` of the row whose `match` equals `using` of the row at hand; NULL where there is no such row.
    """

    table: str  # from
    match: str  # a column of `table`, unique in it
    using: str  # with: a column of the row at hand
    take: str  # a column of `table`


@dataclass(frozen=True, slots=True)
class Join:
    """`join: {table: public.settings, match: user_id, with: id}`: at most one row of another table beside each row.

    Its columns are named `settings.theme` in the rules; they are NULL where there is no such row.
    """

    table: str
    match: str  # a column of `table`, unique in it
    using: str  # with: a column of the row at hand


@dataclass(frozen=True, slots=True)
class Rewrite:
    """`rewrite: {from: "https://cdn.example/", to: "https://media.example/"}`: text replaced wherever it stands."""

    old: str  # from
    new: str  # to


@dataclass(frozen=True, slots=True)
class ColumnRule:
    """Where the value of one target column comes from.

    Exactly one of `source`, `expression`, `constant`, `lookup` is given.  What comes out is converted (`form`, for
    `source` and `lookup`), then rewritten, and last replaced by `default` where it is NULL.
    """

    source: str | None = None  # from: a column, or `table.column` of the joined table
    expression: str | None = None
    constant: Constant | None = None
    lookup: Lookup | None = None
    form: str = "default"  # as: the name of a conversion in towpath.fitting.conversions
    rewrite: Rewrite | None = None
    default: Scalar = None  # None: a NULL stays a NULL


@dataclass(frozen=True, slots=True)
class BackRule:
    """One row of `back`: where the value of a source column comes from on the way back.

    Exactly one of `target`, `constant`, `keep` is given.  `keep`: a row that is there keeps its cell, a new one
    gets the column's own DEFAULT.
    """

    target: str | None = None  # from: a column of the target table
    form: str = "default"  # as: the conversion that is turned round
    default: Scalar = None  # the value where the target's is NULL, as the source writes it
    constant: Constant | None = None
    keep: bool = False


@dataclass(frozen=True, slots=True)
class TableRule:
    """One row of `fit`: which rows of which source table become rows of which target table."""

    source: str  # from: schema.table
    target: str  # to
    columns: Mapping[str, ColumnRule]  # target column -> rule, in the order of the file
    rows: str | None = None  # an expression: the rows that go; the others are parked
    drop: Mapping[str, str] = field(default_factory=dict)  # source column -> why it stays behind
    join: Join | None = None
    back: Mapping[str, BackRule] = field(default_factory=dict)  # source column -> where its value comes from
    follows: Mapping[str, str] = field(default_factory=dict)  # target column -> why it comes out again by itself


@dataclass(frozen=True, slots=True)
class Fit:
    """The whole fit of a source to a target schema."""

    tables: tuple[TableRule, ...]
    left: Mapping[str, str] = field(default_factory=dict)  # source table -> why it stays behind
    empty: tuple[str, ...] = ()  # target tables that no row goes into
