"""01-inventory: the census, the closure between rows and files, and every finding judged."""

from __future__ import annotations

from collections.abc import Sequence

from towpath import objects
from towpath.checks import Progress
from towpath.tables.census import Profile
from towpath.tables.export import Exporter
from towpath.tables.orphans import Orphans
from towpath.tables.overlay import orphans_after
from towpath.tables.profile import profile
from towpath.workbench.hidden import stale
from towpath.workbench.workbench import PROFILE, Workbench


def look(bench: Workbench, report: Progress) -> None:
    """Read all of the source; what cannot be read fails the phase."""
    bench.run.add(bench.origin.look(report))


def census(bench: Workbench, report: Progress) -> Profile:
    """Count every value of every table, and keep the census for the phases that follow."""
    found = profile(bench.source, bench.schema, report, row_bytes=bench.limits.d1_row_bytes)
    bench.run.write_json(PROFILE, found.to_json())
    bench.run.number("rows", found.rows, "rows")
    bench.__dict__["profile"] = found
    return found


def foreign_keys(bench: Workbench) -> tuple[Orphans, ...]:
    """Look for the parent of every reference."""
    return orphans_after(bench.source, bench.schema, bench.decisions)


def judge_tables(bench: Workbench, found: Sequence[Orphans]) -> None:
    """Every finding about tables, with the decision that answers it; and patterns that hide nothing."""
    bench.origin.judge(found)
    mapping, columns = bench.run.mapping, ((t.name, c.name) for t in bench.schema.tables for c in t.columns)
    bench.run.add(stale(mapping.sensitive, columns, mapping.tables.fitted.tables))


def walk(
    bench: Workbench, report: Progress, *, settled: int | None = None, known: objects.Kept | tuple[()] | None = None
) -> objects.Inventory:
    """Read every file once: size, SHA-256, MD5, type; `report` counts bytes.  The other two: see `objects.walk`."""
    root, folders = bench.run.source("source_files"), bench.run.mapping.objects.folders
    inventory = objects.walk(root, folders, report, settled=settled, known=known)
    bench.run.number("files", inventory.objects, "files")
    bench.run.number("file_bytes", inventory.bytes, "bytes")
    return inventory


def judge_files(
    bench: Workbench, inventory: objects.Inventory, exporter: Exporter | None = None
) -> tuple[objects.Closure, objects.inventory.Decided]:
    """Rows and files held against each other, every finding about files judged; and what was decided.

    Rows are read from a snapshot, or from the source itself.
    """
    closure = objects.closure(inventory, bench.references(exporter))
    judgement = bench.run.judge([*inventory.findings, *closure.findings], objects.RULES)
    folders = ", ".join(bench.run.mapping.objects.folders)
    found = f"{closure.rows} rows, {closure.files} files, {closure.named} named"
    if inventory.unread is not None:
        found += f"; {inventory.objects - inventory.unread} read now, {inventory.unread} as they were when last read"
    bench.run.check("OB200", "objects", folders, "every row and every file looked at", found, True)
    return closure, judgement.decided
