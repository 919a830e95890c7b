"""04-import: the chunks sent, the rest of the schema made, the files uploaded."""

from __future__ import annotations

from dataclasses import dataclass

from towpath import objects
from towpath.checks import Progress
from towpath.tables import load as loading
from towpath.tables import virtual
from towpath.tables.acceptance import check, constraints, received, refuse_other_snapshots, schema_present, sequences
from towpath.tables.load import Loaded
from towpath.tables.target import apply_migration, owner
from towpath.workbench.workbench import Workbench


@dataclass(frozen=True, slots=True)
class Work:
    """What an import is about to do."""

    chunks: int
    rows: int
    files: int
    approved: bool


def work(bench: Workbench) -> Work:
    """Say what would be sent, and ask for approval; refuses a target that is not this run's."""
    held = owner(bench.d1)
    ok = held == bench.claim
    found = f"run {held.get('run', 'of nobody')}"
    bench.run.add([check("TB401", "owner of the target", f"run {bench.claim['run']}", found, ok)])
    refuse_other_snapshots(bench.d1, bench.snapshot_ids)
    state = bench.state
    approved = bench.run.approve_write(bench.fingerprint) and ok
    return Work(len(state.manifest.chunks), state.manifest.rows, state.objects.objects, approved)


def rows(bench: Workbench, report: Progress) -> Loaded:
    """Send every chunk that has no receipt yet; `report` counts rows."""
    state = bench.state
    done = loading.load(bench.d1, state.folder, state.manifest, report)
    bench.run.add(received(bench.d1, state.manifest))
    bench.run.number("rows", state.manifest.rows, "rows")
    bench.run.number("load_seconds", round(done.seconds, 3), "s")
    bench.run.number("load_bytes", done.bytes, "bytes")
    return done


def finish(bench: Workbench, report: Progress) -> int:
    """After the rows: sequences, indexes, virtual tables, views, triggers.  `report` counts statements."""
    state, conversion = bench.state, bench.conversion
    made = [*(s.sql for s in conversion.indexes), *(s.sql for s in conversion.virtual)]
    for name in conversion.fill:
        made += virtual.fill_statements(state.exporter.db, state.exporter.schema.table(name))
    made += [*(s.sql for s in conversion.views), *(s.sql for s in conversion.triggers)]
    new = loading.finish(bench.d1, state.manifest, made, state.manifest.sequences, report)
    apply_migration(bench.d1, "0002_after_the_rows.sql", [], bench.claim)
    bench.run.add([check("TB404", "after the rows", f"{len(made)} statements", f"{len(made)} done, {new} now", True)])
    return new


def constraints_hold(bench: Workbench) -> None:
    """The target's own checks, and its schema as applied."""
    tables = [table.name for table in bench.conversion.tables]
    bench.run.add(constraints(bench.d1, tables))
    bench.run.add(sequences(bench.d1, bench.state.manifest))
    bench.run.add(schema_present(bench.d1, [*bench.conversion.table_statements, *bench.conversion.after_statements]))


def files(bench: Workbench, report: Progress) -> objects.Uploaded:
    """Upload every file that the bucket does not hold yet; `report` counts bytes."""
    state = bench.state
    done = objects.upload(state.objects, bench.run.source("source_files"), bench.s3, bench.params.r2_bucket, report)
    bench.run.add(done.checks)
    bench.run.number("files", state.objects.objects, "files")
    return done
