"""Tables and views of a PostgreSQL database as values: columns, constraints, indexes.

Names: `qualified` is `schema.name` as people write it, never quoted; `sql` is the same name as SQL; `flat` is the name
in a database without schemas: that of `public` stays, that of another schema gets it before its own (`stats_daily`).
"""

from __future__ import annotations

from dataclasses import dataclass

MAIN_SCHEMA = "public"  # its name is left out when names are flattened


def quoted(identifier: str) -> str:
    """The identifier as SQL, always in double quotes."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as a SQL literal of PostgreSQL and of SQLite alike (standard_conforming_strings is pinned)."""
    return "'" + text.replace("'", "''") + "'"


def flat(schema: str, name: str) -> str:
    """The name of an object in a database without schemas."""
    return name if schema == MAIN_SCHEMA else f"{schema}_{name}"


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    `base` is the type below all domains by its internal name (int4, timestamptz, bpchar …), `enum`, `composite`,
    `range` or `multirange` for types of these kinds, and for arrays the element's base with `[]`.
    """

    name: str
    type: str  # as format_type writes it: character varying(20), public.mood
    base: str
    notnull: bool
    default: str | None = None  # SQL text; None for a generated column
    identity: str = ""  # a GENERATED ALWAYS, d BY DEFAULT
    generated: str = ""  # s stored, v virtual
    expression: str | None = None  # of a generated column, SQL text
    collation: str | None = None  # where it is not the type's own: schema.name
    comment: str | None = None
    domain: str | None = None  # schema.name, where the type is a domain
    enum: str | None = None  # schema.name of the enum below domains and arrays
    length: int | None = None  # of char(n), varchar(n), bit(n)
    number: int = 0  # attnum: stays when other columns are dropped

    @property
    def array(self) -> bool:
        """True for an array of any dimension."""
        return self.base.endswith("[]")


@dataclass(frozen=True, slots=True)
class Constraint:
    """One constraint of a table.  `kind`: p primary key, u unique, f foreign key, c check, x exclusion."""

    name: str
    kind: str
    columns: tuple[str, ...]  # in the order of the constraint
    definition: str  # as pg_get_constraintdef writes it
    parent: str | None = None  # schema.table
    parent_columns: tuple[str, ...] = ()
    validated: bool = True
    enforced: bool = True
    deferrable: bool = False
    deferred: bool = False  # INITIALLY DEFERRED
    on_delete: str = ""  # NO ACTION, RESTRICT, CASCADE, SET NULL, SET DEFAULT
    on_update: str = ""
    match: str = ""  # SIMPLE, FULL
    nulls_not_distinct: bool = False
    expression: str | None = None  # of a check, SQL text


@dataclass(frozen=True, slots=True)
class Index:
    """One index, those of constraints too."""

    name: str
    definition: str
    unique: bool
    method: str  # btree, gin …
    keys: tuple[str, ...]  # each key as SQL: a quoted column or an expression
    columns: tuple[str | None, ...]  # None stands for an expression
    partial: str | None = None  # the predicate
    expression: bool = False
    include: tuple[str, ...] = ()
    descending: tuple[bool, ...] = ()
    nulls_first: tuple[bool, ...] = ()
    collations: tuple[str | None, ...] = ()  # where it is not the column's own: schema.name
    operator_classes: tuple[str | None, ...] = ()  # where it is not the default
    nulls_not_distinct: bool = False
    constraint: str | None = None  # the constraint that made it
    valid: bool = True


@dataclass(frozen=True, slots=True)
class Table:
    """One table.  `kind`: r ordinary, p partitioned, f foreign.  A partition is a table with `partition_of`."""

    schema: str
    name: str
    kind: str
    columns: tuple[Column, ...]
    constraints: tuple[Constraint, ...] = ()
    indexes: tuple[Index, ...] = ()
    partition_of: str | None = None
    partition_bound: str | None = None
    partition_key: str | None = None
    partitions: tuple[str, ...] = ()
    inherits: tuple[str, ...] = ()
    unlogged: bool = False
    row_security: bool = False
    row_security_forced: bool = False
    readable: bool = True  # False: this user has no SELECT on it
    comment: str | None = None
    estimated_rows: int = 0  # reltuples, those of its partitions included; not declared, so no part of the digest

    @property
    def qualified(self) -> str:
        """`schema.name`."""
        return f"{self.schema}.{self.name}"

    @property
    def sql(self) -> str:
        """The name as SQL, quoted, schema included."""
        return f"{quoted(self.schema)}.{quoted(self.name)}"

    @property
    def from_sql(self) -> str:
        """The name after FROM: rows of a partitioned table with those of its partitions, of another its own alone."""
        return self.sql if self.kind == "p" else f"ONLY {self.sql}"

    @property
    def flat(self) -> str:
        """The name in a database without schemas."""
        return flat(self.schema, self.name)

    @property
    def primary_key(self) -> tuple[str, ...]:
        """The primary key's columns in key order; empty if there is none."""
        return next((c.columns for c in self.constraints if c.kind == "p"), ())

    @property
    def foreign_keys(self) -> tuple[Constraint, ...]:
        """The constraints of kind f."""
        return tuple(c for c in self.constraints if c.kind == "f")

    @property
    def stored(self) -> tuple[Column, ...]:
        """The columns whose values move: generated ones are computed again."""
        return tuple(c for c in self.columns if not c.generated)

    def column(self, name: str) -> Column:
        """The column of that name.  Raises KeyError."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


@dataclass(frozen=True, slots=True)
class View:
    """One view; a materialized one has indexes and may hold other rows than its query gives now."""

    schema: str
    name: str
    definition: str
    columns: tuple[Column, ...]
    materialized: bool = False
    populated: bool = True
    indexes: tuple[Index, ...] = ()
    uses: tuple[str, ...] = ()  # tables and views that it reads: schema.name
    comment: str | None = None

    @property
    def qualified(self) -> str:
        """`schema.name`."""
        return f"{self.schema}.{self.name}"

    @property
    def flat(self) -> str:
        """The name in a database without schemas."""
        return flat(self.schema, self.name)
