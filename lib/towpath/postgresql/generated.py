"""The schema of D1 made from a PostgreSQL catalog, as a value: statements to run, and an account of every object."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from towpath.checks import Finding, Severity
from towpath.postgresql.rules import RULES

KEPT, CHANGED, DROPPED = "kept", "changed", "dropped"
SAMPLES = 5  # names in one finding


@dataclass(frozen=True, slots=True)
class GeneratedColumn:
    """One column in D1."""

    name: str
    source_type: str  # as PostgreSQL writes it
    target_type: str  # INTEGER, REAL, TEXT, BLOB
    form: str  # of towpath.postgresql.types
    computed: bool  # D1 computes it, so no value is sent
    codes: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class GeneratedTable:
    """One table in D1 and where its rows come from."""

    name: str
    source: str  # schema.table
    sql: str
    columns: tuple[GeneratedColumn, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """One index or view in D1."""

    name: str
    source: str  # schema.name
    sql: str


@dataclass(frozen=True, slots=True)
class Account:
    """What became of one object of the database."""

    kind: str  # PostgreSQL's word: table, table constraint, index, sequence, function …
    name: str  # as PostgreSQL identifies it
    outcome: str  # kept, changed, dropped
    codes: tuple[str, ...]
    reason: str
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class Generated:
    """The whole schema of the target."""

    tables: tuple[GeneratedTable, ...]
    indexes: tuple[Statement, ...]
    views: tuple[Statement, ...]
    accounts: tuple[Account, ...]

    @property
    def table_statements(self) -> tuple[str, ...]:
        """Statements to run before the rows."""
        return tuple(table.sql for table in self.tables)

    @property
    def after_statements(self) -> tuple[str, ...]:
        """Statements to run after the rows: indexes, then views."""
        return tuple(statement.sql for statement in (*self.indexes, *self.views))

    def migration_tables(self) -> str:
        """The first migration file: tables."""
        return "".join(f"{sql};\n" for sql in self.table_statements)

    def migration_after(self) -> str:
        """The second migration file: what is made once the rows are there."""
        return "".join(f"{sql};\n" for sql in self.after_statements)

    def table(self, source: str) -> GeneratedTable:
        """The table made from `schema.table`.  Raises KeyError."""
        for table in self.tables:
            if table.source == source:
                return table
        raise KeyError(source)

    def account(self, kind: str, name: str) -> Account:
        """The account of one object.  Raises KeyError."""
        for account in self.accounts:
            if (account.kind, account.name) == (kind, name):
                return account
        raise KeyError((kind, name))

    def left_behind(self) -> list[Finding]:
        """PG327: what is dropped and did something, kind by kind, so that its owner can accept it by its number."""
        kinds: dict[str, list[str]] = {}
        for account in self.accounts:
            if account.outcome == DROPPED and any(RULES[code].severity is not Severity.NOTE for code in account.codes):
                kinds.setdefault(account.kind, []).append(account.name)
        return [
            Finding("PG327", kind, len(names), f"{len(names):,} × {kind} stay behind", tuple(names[:SAMPLES]))
            for kind, names in sorted(kinds.items())
        ]

    def findings(self) -> list[Finding]:
        """The changes as findings PG3xx, for the result table: columns first, then every other object."""
        return [*self._columns(), *self._objects()]

    def _columns(self) -> Iterator[Finding]:
        for table in self.tables:
            for column in table.columns:
                what = f"{column.source_type} → {column.target_type}: {column.reason}"
                for code in column.codes:
                    yield Finding(code, f"{table.source}.{column.name}", 1, what)

    def _objects(self) -> Iterator[Finding]:
        for account in self.accounts:
            for code in account.codes:
                if code.startswith("PG3") and account.kind != "table":
                    yield Finding(code, account.name, 1, account.reason)
                elif code == "PG323":  # all other codes of a table are those of its columns
                    yield Finding(code, account.name, 1, "its comments are left out")
