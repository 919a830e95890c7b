"""02-schema: the converted schema proved, written as migration files, and applied."""

from __future__ import annotations

from towpath.checks import Progress, Verdict
from towpath.fitting.fitted import Fitted
from towpath.tables import rules as table_rules
from towpath.tables.acceptance import check
from towpath.tables.conversion import Conversion
from towpath.tables.proof import prove
from towpath.tables.target import apply_migration, claim_checks
from towpath.tables.typescript import row_types
from towpath.workbench.state import AFTER, TABLES, TYPES
from towpath.workbench.workbench import Workbench


def converted(bench: Workbench) -> Conversion:
    """Convert the schema, after making sure that it is what the inventory saw."""
    bench.run.add([bench.origin.unchanged()])
    return bench.conversion


def prove_conversion(bench: Workbench, conversion: Conversion) -> None:
    """Create the target's schema in memory under D1's rules, and read back what it declares."""
    bench.run.add(prove(conversion, bench.origin.declared, bench.limits))
    bench.run.judge(conversion.findings(), table_rules.RULES, ["TB3"])


def fitted(bench: Workbench, report: Progress) -> Fitted | None:
    """How the source goes into a schema that somebody else wrote, every finding judged; `report` counts rows."""
    bench.origin.judge_fit(report)
    return bench.origin.fitted


def write_files(bench: Workbench, conversion: Conversion) -> list[str]:
    """Write the migration files and the TypeScript row types into the run."""
    texts = {
        TABLES: conversion.migration_tables(),
        AFTER: conversion.migration_after(),
        TYPES: row_types(conversion, bench.profile if bench.origin.fitted is None else None),
    }
    for name, text in texts.items():
        path = bench.run.output(name)
        path.write_text(text, encoding="utf-8")
        bench.run.artefact(path)
    return [f"{name}: {len(text):,} bytes" for name, text in texts.items()]


def apply(bench: Workbench, conversion: Conversion) -> str:
    """Apply the first migration to an empty target, in one transaction; a dry run says what it would do.

    Nothing is written once a check has failed: the target stays empty until source, mapping and schema agree.
    """
    claim_checks(bench.d1, bench.claim)
    if not bench.run.approve_write(bench.fingerprint):
        return f"dry run: nothing was written; {len(conversion.tables)} tables would be created"
    if failed := sum(one.verdict is Verdict.FAIL for one in bench.run.checks):
        found, step = f"not applied: {failed} checks above fail", "do as those checks say, then run the phase again"
        bench.run.check("TB401", "tables", "0001_tables.sql", f"{len(conversion.tables)} tables", found, False, step)
        return found
    done = apply_migration(bench.d1, "0001_tables.sql", conversion.table_statements, bench.claim)
    there = {name.lower() for name, _ in bench.d1.facts().tables}
    missing = [table.name for table in conversion.tables if table.name.lower() not in there]
    found = f"{len(conversion.tables) - len(missing)} tables there, {done}"
    bench.run.add(
        [check("TB401", "0001_tables.sql", f"{len(conversion.tables)} tables", found, not missing, missing[:5])]
    )
    return found
