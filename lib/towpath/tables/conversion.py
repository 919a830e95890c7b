"""The schema of the target as a value: statements to run, and an account of every object of the source."""

from __future__ import annotations

from dataclasses import dataclass

from towpath.checks import Finding
from towpath.tables.declared import shown
from towpath.tables.schema import Table

KEPT, CHANGED, DROPPED = "kept", "changed", "dropped"


@dataclass(frozen=True, slots=True)
class TargetColumn:
    """One column in D1.  `code` is "" where nothing changed."""

    name: str
    source_type: str
    target_type: str
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class TargetTable:
    """One table in D1 and what it was."""

    name: str
    source: Table
    sql: str
    columns: tuple[TargetColumn, ...]
    changes: tuple[tuple[str, str], ...]  # (code, what) beyond the types


@dataclass(frozen=True, slots=True)
class Account:
    """What became of one object of the source."""

    kind: str  # table, column types stand with their table; index, view, trigger
    name: str
    outcome: str  # kept, changed, dropped
    codes: tuple[str, ...]
    reason: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Statement:
    """One object that is no ordinary table: an index, a view, a trigger, a virtual table."""

    name: str
    sql: str


@dataclass(frozen=True, slots=True)
class Conversion:
    """The whole schema of the target."""

    tables: tuple[TargetTable, ...]
    keys: tuple[Statement, ...]  # unique indexes that foreign keys refer to: made with the tables
    indexes: tuple[Statement, ...]
    views: tuple[Statement, ...]
    triggers: tuple[Statement, ...]
    virtual: tuple[Statement, ...]  # CREATE VIRTUAL TABLE after the rows, and what rebuilds it, in order
    fill: tuple[Statement, ...]  # CREATE VIRTUAL TABLE with the tables, for those whose own rows move
    accounting: tuple[Account, ...]

    @property
    def table_statements(self) -> tuple[str, ...]:
        """Statements to run before the rows."""
        return (*(table.sql for table in self.tables), *(s.sql for s in (*self.keys, *self.fill)))

    @property
    def after_statements(self) -> tuple[str, ...]:
        """Statements to run after the rows: indexes, virtual tables, views, triggers."""
        return tuple(s.sql for s in (*self.indexes, *self.virtual, *self.views, *self.triggers))

    def migration_tables(self) -> str:
        """The first migration file: tables."""
        return "".join(f"{sql};\n" for sql in self.table_statements)

    def migration_after(self) -> str:
        """The second migration file: what is made once the rows are there."""
        return "".join(f"{sql};\n" for sql in self.after_statements)

    def table(self, name: str) -> TargetTable:
        """The table of that name.  Raises KeyError."""
        for table in self.tables:
            if table.name.lower() == name.lower():
                return table
        raise KeyError(name)

    def findings(self) -> list[Finding]:
        """The changes as findings TB3xx, for the result table."""
        out = []
        for table in self.tables:
            for column in table.columns:
                if column.code:
                    name = f"{shown(table.name)}.{shown(column.name)}"
                    what = f"{column.source_type or 'no type'} → {column.target_type or 'no type'}: {column.reason}"
                    out.append(Finding(column.code, name, 1, what))
            out += [Finding(code, shown(table.name), 1, what) for code, what in table.changes if code.startswith("TB3")]
        converted = {table.name for table in self.tables}
        for account in self.accounting:
            told = account.kind == "table" and account.name in converted
            codes = [code for code in account.codes if code.startswith("TB3") and code != "TB307" and not told]
            out += [Finding(code, shown(account.name), 1, account.reason) for code in codes]
        return out
