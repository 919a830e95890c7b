"""What a reader of the inventory sees of a server's declarations."""

from __future__ import annotations

from typing import Any

from towpath.postgresql.catalog import Catalog


def listing(catalog: Catalog) -> tuple[list[tuple[Any, ...]], str]:
    """Table, kind, columns, primary key, foreign keys, indexes, triggers; and how many of everything else."""
    rows: list[tuple[Any, ...]] = [
        (
            t.qualified,
            f"table in {len(t.partitions)} partitions" if t.partitions else "table",
            len(t.columns),
            ", ".join(t.primary_key) or "none",
            len(t.foreign_keys),
            len(t.indexes),
            sum(trigger.table == t.qualified for trigger in catalog.triggers),
        )
        for t in catalog.moving
    ]
    views = ", ".join(view.qualified for view in catalog.views) or "none"
    counted = (("functions", catalog.functions), ("sequences", catalog.sequences), ("enums", catalog.enums))
    told = ", ".join(f"{len(items)} {what}" for what, items in (*counted, ("domains", catalog.domains)))
    return rows, f"{len(rows)} tables, {len(catalog.triggers)} triggers, {told}; views: {views}"


def enforced(catalog: Catalog) -> str:
    """PostgreSQL enforces its foreign keys; those that were never validated are findings."""
    keys = [key for table in catalog.moving for key in table.foreign_keys]
    unproved = sum(not key.validated for key in keys)
    never = f" {unproved} of them were never validated: see PG findings below." if unproved else ""
    return f"{len(keys)} foreign keys, enforced by PostgreSQL itself; 02-schema tries those of the target.{never}"
