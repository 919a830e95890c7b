"""05-validate: every cell, every byte, and every reference between them."""

from __future__ import annotations

from towpath import objects
from towpath.checks import Comparison, Progress
from towpath.cloudflare.client import loopback
from towpath.tables.acceptance import constraints, schema_present, sequences
from towpath.tables.compare import compare
from towpath.tables.reproved import reproved
from towpath.workbench.accepted import accepted_losses
from towpath.workbench.before import PROVED, proved
from towpath.workbench.workbench import Workbench


def rows(bench: Workbench, report: Progress) -> Comparison:
    """Compare every cell of every row with the newest snapshot; `report` counts rows."""
    state = bench.state
    found = compare(bench.d1, state.manifest, state.exporter.db, state.exporter.relations, report)
    bench.run.add(found.checks)
    for name, value in found.compared.items():
        bench.run.number(name, value, name)
    bench.keep_differences(found)
    return found


def files(bench: Workbench, report: Progress) -> Comparison:
    """Fetch every object and compare its SHA-256; `report` counts bytes.  What was proved is kept for the cutover."""
    keep, here = bench.run.output(PROVED), loopback(bench.params.r2_endpoint)
    manifest, bucket = bench.state.objects, bench.params.r2_bucket
    found = _proved(bench, objects.compare(manifest, bench.s3, bucket, report, keep=keep, same_clock=here))
    bench.run.artefact(keep)
    return found


def changed_files(bench: Workbench, report: Progress) -> Comparison:
    """The same, but fetch only objects that are new or written since 05-validate proved them by content."""
    manifest, bucket = bench.state.objects, bench.params.r2_bucket
    return _proved(bench, objects.compare(manifest, bench.s3, bucket, report, before=proved(bench)))


def _proved(bench: Workbench, found: Comparison) -> Comparison:
    bench.run.add(found.checks)
    bench.run.number("files", found.compared["objects"], "files")
    bench.keep_differences(found)
    return found


def around_the_rows(bench: Workbench) -> None:
    """Constraints, sequences and schema of the target, asked of the target itself, over all of its rows."""
    state, statements = bench.state, [*bench.conversion.table_statements, *bench.conversion.after_statements]
    bench.run.add(constraints(bench.d1, [table.name for table in bench.conversion.tables]))
    bench.run.add(sequences(bench.d1, state.manifest))
    bench.run.add(schema_present(bench.d1, statements))
    bench.run.add(reproved(bench.d1, state.manifest, state.exporter.db, state.exporter.relations, statements))


def closure(bench: Workbench) -> None:
    """Rows read back from D1 against keys listed from R2: what an application will find; and what was given up."""
    state = bench.state
    accepted_losses(bench)
    bucket = objects.Bucket(bench.s3, bench.params.r2_bucket)
    keys = (found.key for found in bucket.list(state.objects.prefixes))
    bench.run.add(objects.target_closure(bench.target_references(), keys, state.decided, bench.params.r2_bucket))
