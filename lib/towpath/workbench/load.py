"""04-import: the chunks sent, the rest of the schema made, the files uploaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from towpath import objects
from towpath.checks import Progress
from towpath.tables import load as loading
from towpath.tables import virtual
from towpath.tables.acceptance import check, constraints, received, refuse_other_snapshots, schema_present, sequences
from towpath.tables.load import Loaded
from towpath.tables.target import apply_migration, owner
from towpath.workbench.delta import file_delta
from towpath.workbench.state import State
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
    state = bench.state
    # a delta stands on the snapshots before it; an export stands alone
    refuse_other_snapshots(bench.d1, bench.snapshot_ids if state.is_delta else [state.manifest.id])
    approved = bench.run.approve_write(bench.fingerprint) and ok
    return Work(len(state.manifest.chunks), state.manifest.rows, state.objects.objects, approved)


def rows(bench: Workbench, report: Progress) -> Loaded:
    """Send every chunk that has no receipt yet; `report` counts rows.

    After a cutover that was cut off these are the chunks of its delta: the target is brought to where that was going.
    """
    state = bench.state
    done = loading.load(bench.d1, state.folder, state.manifest, report)
    bench.run.add(received(bench.d1, state.manifest))
    bench.run.number("rows", state.manifest.rows, "rows")
    bench.run.number("load_seconds", round(done.seconds, 3), "s")
    bench.run.number("load_bytes", done.bytes, "bytes")
    return done


def after_the_rows(bench: Workbench) -> list[str]:
    """The statements that make the rest of the schema: indexes, virtual tables over others, views, triggers, ranks."""
    exporter, conversion = _exported(bench).exporter, bench.conversion
    made = {statement.name for statement in (*conversion.fill, *conversion.virtual)}
    return [*conversion.after_statements, *virtual.ranking(exporter.db, exporter.schema, made)]


def finish(bench: Workbench, made: Sequence[str], report: Progress) -> int:
    """After the rows: sequences, then what `after_the_rows` says.  `report` counts statements."""
    new = loading.finish(bench.d1, _exported(bench).manifest, made, bench.state.manifest.sequences, report)
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
    state, root, bucket = bench.state, bench.run.source("source_files"), bench.params.r2_bucket
    bench.run.number("files", state.objects.objects, "files")
    if state.is_delta:
        applied = objects.apply_delta(file_delta(bench, state.objects), root, bench.s3, bucket, report)
        bench.run.add(applied.checks)
        return applied.uploaded
    done = objects.upload(state.objects, root, bench.s3, bucket, report)
    bench.run.add(done.checks)
    return done


def _exported(bench: Workbench) -> State:
    """The snapshot that the target was loaded from; deltas stand on it."""
    return next(state for state in bench.states() if not state.is_delta)
