"""The largest of everything that the source holds, beside the limit that D1 or R2 sets on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from towpath import objects
from towpath.cloudflare.limits import Limit, limit
from towpath.cloudflare.prices import Estimate, Use, monthly_cost
from towpath.workbench.workbench import Workbench


@dataclass(frozen=True, slots=True)
class Fit:
    """One limit, and what comes nearest to it."""

    limit: Limit
    allowed: int
    measured: int
    object: str

    @property
    def share(self) -> float:
        """Per cent of the limit."""
        return 100 * self.measured / self.allowed


def fits(bench: Workbench, files: objects.Inventory) -> list[Fit]:
    """Every limit that the data itself can meet.  Findings name what is over one; this shows how near the rest is."""
    return [
        Fit(limit(name), int(getattr(bench.limits, name)), measured, where)
        for name, measured, where in _measured(bench, files)
    ]


def _measured(bench: Workbench, files: objects.Inventory) -> Iterator[tuple[str, int, str]]:
    profile, schema = bench.profile, bench.schema
    yield "d1_database_bytes", profile.database_bytes, bench.params.source_database
    widest = max(schema.moving, key=lambda t: len(t.columns))
    yield "d1_columns", len(widest.columns), widest.name
    longest = max(profile.tables, key=lambda t: t.longest_row)
    yield "d1_row_bytes", longest.longest_row, f"{longest.name} {longest.longest_row_key}".strip()
    statement = max(schema.objects, key=lambda o: len((o.sql or "").encode()))
    yield "d1_statement_bytes", len((statement.sql or "").encode()), f"{statement.kind} {statement.name}"
    largest = next(iter(files.largest(1)), ("no file", 0))
    yield "r2_object_bytes", largest[1], largest[0]
    key = max((file.key for file in files.files()), key=lambda k: len(k.encode()), default="")
    yield "r2_key_bytes", len(key.encode()), key


def month(bench: Workbench, files: objects.Inventory) -> Estimate:
    """What keeping these rows and files costs in a month; reads and writes depend on traffic, and are not guessed."""
    return monthly_cost(Use(d1_bytes=bench.profile.database_bytes, r2_bytes=files.bytes))
