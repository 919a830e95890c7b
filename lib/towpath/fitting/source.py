"""The source as the fit sees it: tables and columns with the kind of their values, and where the capture keeps them.

A *kind* says which form a value has in the capture and of which type it is in the source; `conversions` and the two
compilers know no other names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from towpath.postgresql.catalog import Catalog
from towpath.postgresql.relations import Column as PostgresqlColumn
from towpath.sensitive import NOTHING, Sensitive
from towpath.tables.schema import quoted

BOOLEAN, INTEGER, REAL, FLOAT4, NUMERIC, MONEY = "boolean", "integer", "real", "float4", "numeric", "money"
TEXT, CHAR, UUID, JSON, JSONB, ARRAY, OTHER = "text", "char", "uuid", "json", "jsonb", "array", "other"
INET = "inet"  # captured as OTHER is
DIGEST = "towpath_digest"  # the SQL function that shows a sensitive value
CHAR_ARRAY = "char array"  # of char(n): its elements are captured without their padding
TIMESTAMPTZ, TIMESTAMP, DATE, TIME, INTERVAL, BYTEA = "timestamptz", "timestamp", "date", "time", "interval", "bytea"

BASES = {
    **dict.fromkeys(("int2", "int4", "int8", "oid"), INTEGER),
    **dict.fromkeys(("text", "varchar", "name", "enum", "citext"), TEXT),
    **dict.fromkeys(("time", "timetz"), TIME),
    "bool": BOOLEAN,
    "float8": REAL,
    "float4": FLOAT4,
    "bpchar": CHAR,
    **{own: own for own in (NUMERIC, MONEY, INET, UUID, JSON, JSONB, TIMESTAMPTZ, TIMESTAMP, DATE, INTERVAL, BYTEA)},
}


@dataclass(frozen=True, slots=True)
class SourceColumn:
    """One column of a source table."""

    name: str
    kind: str
    declared: str  # the source's own words
    sequence: int | None = None  # the last value that its sequence gave out
    generated: bool = False  # computed by the source: it may be mapped, and may be left without a word
    sensitive: bool = False  # its values are shown as digests


@dataclass(frozen=True, slots=True)
class SourceTable:
    """One source table."""

    name: str  # schema.table
    captured: str  # its name in the capture
    sql: str  # what stands after FROM in the source itself
    columns: tuple[SourceColumn, ...]
    key: tuple[str, ...]

    @property
    def short(self) -> str:
        """The name without its schema: how expressions name a joined table."""
        return self.name.rpartition(".")[2]

    def column(self, name: str) -> SourceColumn:
        """The column of that name.  Raises KeyError."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    def shown(self, name: str, alias: str = "") -> str:
        """SQLite's SQL for what people see of a column's value; of a name that is no column, the rowid."""
        value = f"{alias}.{quoted(name)}" if alias else quoted(name)
        hidden = any(column.sensitive for column in self.columns if column.name == name)
        return f"{DIGEST}({value})" if hidden else f"quote({value})"


@dataclass(frozen=True, slots=True)
class Source:
    """Every table whose rows must be accounted for."""

    tables: tuple[SourceTable, ...]
    names: Mapping[str, SourceTable] = field(default_factory=dict)

    def table(self, name: str) -> SourceTable:
        """The table `schema.table`.  Raises KeyError."""
        return self.names[name]


def source_of(catalog: Catalog, sensitive: Sensitive = NOTHING) -> Source:
    """A PostgreSQL database as a source."""
    sequences = {
        s.owned_by: s.last_value if s.is_called else s.last_value - s.increment
        for s in catalog.sequences
        if s.owned_by is not None and s.last_value is not None
    }
    tables = tuple(
        SourceTable(
            name=table.qualified,
            captured=table.flat,
            sql=table.from_sql,
            columns=tuple(
                SourceColumn(
                    column.name,
                    kind_of(column),
                    column.type,
                    sequences.get(f"{table.qualified}.{column.name}"),
                    bool(column.generated),
                    sensitive.holds(table.qualified, column.name),
                )
                for column in table.columns
            ),
            key=table.primary_key,
        )
        for table in catalog.moving
    )
    return Source(tables, {table.name: table for table in tables})


def kind_of(column: PostgresqlColumn) -> str:
    """The kind of a PostgreSQL column."""
    if column.array:
        return CHAR_ARRAY if column.base == "bpchar[]" else ARRAY
    return BASES.get(column.base, OTHER)
