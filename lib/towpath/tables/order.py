"""In which order tables load, when the target enforces every foreign key from the first row.

Parents come before children.  A reference that would have to come too early (a table that refers to itself, or a circle
of tables) is sent as NULL first and set afterwards, if a column of it may be NULL; tables whose circle cannot be opened
that way must arrive together, in one transaction that defers the check.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

import apsw

from towpath.tables.clauses import parse_table
from towpath.tables.ddl import STRING, Token, closing, written
from towpath.tables.schema import ForeignKey, Schema, Table, quoted


@dataclass(frozen=True, slots=True)
class LoadOrder:
    """The answer: table names parents first, columns to set late, groups that must share a transaction."""

    tables: tuple[str, ...]
    late: dict[str, tuple[str, ...]]  # table -> columns sent as NULL and set afterwards
    together: tuple[tuple[str, ...], ...]

    def group_of(self, table: str) -> tuple[str, ...] | None:
        """The group that this table must arrive with; None for most tables."""
        return next((group for group in self.together if table in group), None)


def load_order(schema: Schema, checked: Mapping[str, Set[str]] | None = None) -> LoadOrder:
    """Order the moving tables of a schema.  Deterministic: equal schemas give equal orders.

    `checked`: what `bound_by_checks` says of the rows; without it no CHECK is expected to mind a NULL.
    """
    tables = {table.name.lower(): table for table in schema.moving}
    pinned = {name: set((checked or {}).get(table.name, ())) for name, table in tables.items()}
    for table in tables.values():
        for fk in table.foreign_keys:
            if fk.parent.lower() in tables:
                pinned[fk.parent.lower()] |= {column.lower() for column in fk.parent_columns}
    hard: dict[str, set[str]] = {name: set() for name in tables}  # edges that cannot be opened
    soft: dict[str, set[str]] = {name: set() for name in tables}
    for name, table in tables.items():
        for fk in table.foreign_keys:
            parent = fk.parent.lower()
            if parent in tables:
                (soft if opening_column(table, fk, pinned[name]) else hard)[name].add(parent)
    order: list[str] = []
    groups: list[tuple[str, ...]] = []
    both = {name: hard[name] | soft[name] for name in tables}
    for circle in components(both):
        if len(circle) == 1 and circle[0] not in hard[circle[0]]:
            order += circle
            continue
        inside = set(circle)
        for core in components({name: hard[name] & inside for name in circle}):
            order += core
            if len(core) > 1 or core[0] in hard[core[0]]:
                groups.append(tuple(tables[name].name for name in core))
    place = {name: number for number, name in enumerate(order)}
    late: dict[str, tuple[str, ...]] = {}
    for name, table in tables.items():
        columns: dict[str, None] = {}
        for fk in table.foreign_keys:
            parent = fk.parent.lower()
            column = opening_column(table, fk, pinned[name])
            if parent in place and column and place[parent] >= place[name]:
                columns[column] = None
        if columns:
            late[table.name] = tuple(columns)
    return LoadOrder(tuple(tables[name].name for name in order), late, tuple(groups))


def opening_column(table: Table, fk: ForeignKey, pinned: Set[str] = frozenset()) -> str | None:
    """The column that may be NULL for a while, so that the reference is not checked; None if there is none.

    `pinned`: columns, in lower case, that must hold their value from the start.
    """
    columns = {column.name.lower(): column for column in table.stored if column.name.lower() not in pinned}
    for name in fk.columns:
        column = columns.get(name.lower())
        if column is not None and not column.notnull and not column.key:
            return column.name
    return None


def bound_by_checks(db: apsw.Connection, schema: Schema) -> dict[str, set[str]]:
    """By table, the referring columns (in lower case) whose rows would break a CHECK while they are NULL."""
    out = {}
    for table in schema.moving:
        clauses = _checks(table)
        named = {t.identifier.lower() for c in clauses for t in c if t.kind != STRING and t.identifier is not None}
        empty = {column.lower() for fk in table.foreign_keys for column in fk.columns} & named
        if not empty:
            continue
        columns = [("NULL AS " if c.name.lower() in empty else "") + quoted(c.name) for c in table.columns]
        checks = " AND ".join(f"({written(tokens)})" for tokens in clauses)
        rows = f"SELECT {', '.join(columns)} FROM {quoted(table.name)}"
        try:
            broken = db.execute(
                f"SELECT EXISTS (SELECT 1 FROM ({rows}) AS {quoted(table.name)} WHERE NOT ({checks}))"
            ).get
        except apsw.SQLError:  # a function that only the application has; the target's schema is without this CHECK
            continue
        if broken:
            out[table.name] = empty
    return out


def _checks(table: Table) -> list[tuple[Token, ...]]:
    """The expressions of a table's CHECKs."""
    if "CHECK" not in table.sql.upper():
        return []
    parsed = parse_table(table.sql, len(table.columns))
    clauses = [*parsed.constraints, *(clause for column in parsed.columns for clause in column.clauses)]
    found = [clause.tokens for clause in clauses if clause.kind == "check"]
    starts = [next(i for i, token in enumerate(tokens) if token.sign("(")) for tokens in found]
    return [tokens[at + 1 : closing(tokens, at)] for tokens, at in zip(found, starts, strict=True)]


def components(edges: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Strongly connected components, each after the components it points to (Tarjan 1972, without recursion)."""
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    out: list[list[str]] = []
    for root in edges:
        if root in number:
            continue
        number[root] = low[root] = len(number)
        stack.append(root)
        work = [(root, iter(sorted(edges[root])))]
        while work:
            node, targets = work[-1]
            for target in targets:
                if target not in number:
                    number[target] = low[target] = len(number)
                    stack.append(target)
                    work.append((target, iter(sorted(edges[target]))))
                    break
                if target in stack:
                    low[node] = min(low[node], number[target])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == number[node]:
                    cut = stack.index(node)
                    out.append(sorted(stack[cut:]))
                    del stack[cut:]
    return out
