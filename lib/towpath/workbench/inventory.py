"""01-inventory: the census, the closure between rows and files, and every finding judged."""

from __future__ import annotations

from collections.abc import Sequence

import apsw

from towpath import objects
from towpath.checks import Progress
from towpath.tables import rules as table_rules
from towpath.tables.census import Profile
from towpath.tables.findings import contradictions, find
from towpath.tables.orphans import Orphans
from towpath.tables.overlay import orphans_after
from towpath.tables.profile import profile
from towpath.tables.snapshot import schema_digest
from towpath.tables.source import check_integrity
from towpath.workbench.workbench import ATTACHMENTS, PROFILE, Workbench

STRUCTURE = "inventory/schema.json"


def integrity(bench: Workbench, report: Progress) -> None:
    """Read every page of the source; a damaged one fails the phase."""
    problems = check_integrity(bench.source, report)
    step = "repair or restore the source first; nothing was written"
    found = "; ".join(problems[:5]) or "every page is sound"
    bench.run.check("TB100", "tables", "source", "every page is sound", found, not problems, step)


def census(bench: Workbench, report: Progress) -> Profile:
    """Count every value of every table, and keep the census for the phases that follow."""
    found = profile(bench.source, bench.schema, report, row_bytes=bench.limits.d1_row_bytes)
    bench.run.write_json(PROFILE, found.to_json())
    bench.run.write_json(STRUCTURE, {"digest": schema_digest(bench.schema), "tables": len(bench.schema.moving)})
    bench.run.number("rows", found.rows, "rows")
    bench.__dict__["profile"] = found
    return found


def foreign_keys(bench: Workbench) -> tuple[Orphans, ...]:
    """Look for the parent of every reference."""
    return orphans_after(bench.source, bench.schema, bench.decisions)


def judge_tables(bench: Workbench, found: Sequence[Orphans]) -> None:
    """Every finding about tables, with the decision that answers it."""
    zone = bench.run.mapping.tables.time_zone
    findings = find(bench.schema, bench.profile, found, bench.limits, time_zone=zone)
    bench.run.judge(findings, table_rules.RULES)
    bench.run.add(contradictions(bench.schema, found, bench.decisions))


def walk(bench: Workbench, report: Progress) -> objects.Inventory:
    """Read every file once: size, SHA-256, MD5, type; `report` counts bytes."""
    inventory = objects.walk(bench.run.source("source_files"), [ATTACHMENTS], report)
    bench.run.number("files", inventory.objects, "files")
    bench.run.number("file_bytes", inventory.bytes, "bytes")
    return inventory


def judge_files(
    bench: Workbench, inventory: objects.Inventory, db: apsw.Connection | None = None
) -> tuple[objects.Closure, objects.inventory.Decided]:
    """Rows and files held against each other, every finding about files judged; and what was decided.

    Rows are read from `db`, a snapshot, or from the source itself.
    """
    closure = objects.closure(inventory, bench.references(db or bench.source))
    judgement = bench.run.judge([*inventory.findings, *closure.findings], objects.RULES)
    found = f"{closure.rows} rows, {closure.files} files, {closure.named} named"
    bench.run.check("OB200", "objects", ATTACHMENTS, "every row and every file looked at", found, True)
    return closure, judgement.decided
