"""Findings about what a PostgreSQL database declares: a pure function of its catalog."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from towpath.checks import Finding
from towpath.postgresql.catalog import Catalog, Index, Table
from towpath.tables.dialect import MIGRATION_TABLES

D1_COLUMNS = 100  # of a table: towpath.cloudflare.limits
BYTEWISE = ("C", "POSIX", "C.UTF-8", "C.utf8")
OWN_PREFIXES = ("sqlite_", "_towpath_", "_cf_")
_NAMED_ELSEWHERE = ("grant", "policy", "rule", "extension", "schema")
SHOWN = 20


def declared(catalog: Catalog, *, columns: int = D1_COLUMNS) -> list[Finding]:
    """Every finding about declarations, in the order of the catalog."""
    out = [*_database(catalog), *collisions(catalog)]
    for table in catalog.tables:
        if table.partition_of is None:
            out += _table(table, columns)
    out += [Finding("PG108", f"{t.table}.{t.name}", 1, f"runs {t.function}") for t in catalog.triggers]
    out += [Finding("PG109", f.qualified, 1, f"written in {f.language}") for f in catalog.functions]
    out += [Finding("PG110", v.qualified, 1, "holds rows of its own") for v in catalog.views if v.materialized]
    for other in catalog.others:
        if other.kind == "extension":
            out.append(Finding("PG118", other.name, 1, f"version {other.detail}"))
        elif other.kind == "rule":
            out.append(Finding("PG123", other.name, 1, "rewrites what is written to its table"))
    counted = Counter(other.kind for other in catalog.others if other.kind not in _NAMED_ELSEWHERE)
    for kind, count in counted.items():
        names = tuple(other.name for other in catalog.others if other.kind == kind)
        out.append(Finding("PG128", kind, count, f"{count} of them", names[:SHOWN]))
    return out


def _database(catalog: Catalog) -> Iterator[Finding]:
    if catalog.is_replica:
        delay = "" if catalog.replay_delay_seconds is None else f", {catalog.replay_delay_seconds:.0f} s behind"
        yield Finding("PG119", catalog.database, 1, f"a replica{delay}")
    if catalog.collation not in BYTEWISE:
        yield Finding("PG116", catalog.database, 1, f"texts are ordered by {catalog.collation}")
    if catalog.large_objects:
        what = f"{catalog.large_objects:,} large objects"
        yield Finding("PG121", catalog.database, catalog.large_objects, what)


def collisions(catalog: Catalog) -> Iterator[Finding]:
    """PG102 to PG104: names that a database without schemas and capitals cannot hold apart."""
    seen: dict[str, Table] = {}
    for table in catalog.moving:
        first = seen.setdefault(table.flat.lower(), table)
        if first is not table:
            yield Finding("PG102", table.qualified, 1, f"it and {first.qualified} both become {table.flat}")
        names = Counter(column.name.lower() for column in table.columns)
        twice = tuple(c.name for c in table.columns if names[c.name.lower()] > 1)
        if twice:
            yield Finding("PG103", table.qualified, len(twice), ", ".join(twice))
        if table.flat.lower().startswith(OWN_PREFIXES):
            yield Finding("PG104", table.qualified, 1, f"it would be {table.flat}")


def _table(table: Table, columns: int) -> Iterator[Finding]:
    if tool := MIGRATION_TABLES.get(table.name.lower()):
        yield Finding("PG129", table.qualified, 1, f"kept by {tool}")
    name = table.qualified
    if table.flat != table.name:
        yield Finding("PG126", name, 1, f"becomes {table.flat}")
    if table.kind == "f":
        yield Finding("PG120", name, 1, "a foreign table")
        return
    if len(table.columns) > columns:
        yield Finding("PG105", name, len(table.columns), f"{len(table.columns)} columns")
    if not table.readable:
        yield Finding("PG106", name, 1, "no SELECT for this user")
    if table.row_security:
        yield Finding("PG107", name, 1, "its policies say who sees which row")
    if table.unlogged:
        yield Finding("PG114", name, 1, "unlogged")
    if table.inherits:
        yield Finding("PG115", name, len(table.inherits), f"inherits from {', '.join(table.inherits)}")
    if table.kind == "p":
        yield Finding("PG122", name, 1, f"{table.partition_key}: {len(table.partitions)} partitions")
    if not table.primary_key:
        yield Finding("PG124", name, 1, "no primary key")
    for constraint in table.constraints:
        object = f"{name}.{constraint.name}"
        if constraint.kind == "x":
            yield Finding("PG111", object, 1, constraint.definition)
        if constraint.kind in "pu" and constraint.deferrable:
            yield Finding("PG112", object, 1, constraint.definition)
        if not (constraint.validated and constraint.enforced):
            yield Finding("PG113", object, 1, constraint.definition)
        if constraint.nulls_not_distinct:
            yield Finding("PG127", object, 1, constraint.definition)
    for column in table.columns:
        if column.collation is not None and column.collation.split(".", 1)[1] not in BYTEWISE:
            yield Finding("PG116", f"{name}.{column.name}", 1, f"COLLATE {column.collation}")
        if column.base.removesuffix("[]") == "citext":
            yield Finding("PG117", f"{name}.{column.name}", 1, column.type)
    for index in table.indexes:
        yield from _index(name, index)


def _index(table: str, index: Index) -> Iterator[Finding]:
    name = f"{table}.{index.name}"
    if not index.valid:
        yield Finding("PG125", name, 1, index.definition)
    if index.nulls_not_distinct and index.constraint is None:
        yield Finding("PG127", name, 1, index.definition)
    foreign = [c for c in index.collations if c is not None and c.split(".", 1)[1] not in BYTEWISE]
    if foreign and index.constraint is None:
        yield Finding("PG116", name, len(foreign), f"COLLATE {', '.join(foreign)}")
