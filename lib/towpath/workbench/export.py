"""03-export: one snapshot of the rows, one list of the files, made at the same moment."""

from __future__ import annotations

import json

from towpath import objects
from towpath.checks import Comparison, Progress
from towpath.tables.acceptance import exported
from towpath.tables.export import Exporter
from towpath.tables.manifest import Manifest
from towpath.workbench import inventory
from towpath.workbench.state import OBJECTS, SEEN, SNAPSHOT, keep_decided
from towpath.workbench.workbench import Workbench

PARKED = "parked.jsonl"


def snapshot(bench: Workbench, report: Progress) -> Exporter:
    """One consistent snapshot of the source, in the form in which the rows must arrive."""
    taken = bench.origin.take(bench.run.output(SNAPSHOT), report)
    return Exporter(taken, bench.decisions, sensitive=bench.sensitive)


def judge_snapshot(bench: Workbench, exporter: Exporter) -> None:
    """What may have changed since the inventory, judged again: declarations, and rows that the target would refuse."""
    bench.origin.judge_snapshot(exporter)


def rows(bench: Workbench, exporter: Exporter, report: Progress) -> Manifest:
    """Write every row as ready statements, and the proof of every page; `report` counts rows."""
    made = exporter.export(bench.run.plan.hash, bench.origin.recorded(), report)
    bench.run.add(exported(exporter, made))
    _parked(bench, exporter, made)
    bench.run.number("rows", made.rows, "rows")
    return made


def prove(bench: Workbench, exporter: Exporter, made: Manifest | None, report: Progress) -> Comparison | None:
    """Hold the exported pages against the source's own values; `report` counts rows.

    None where the snapshot is the source's own copy of itself, and in a dry run that exported nothing.
    """
    found = bench.origin.prove(exporter, made, report) if made is not None else None
    if found is not None:
        bench.run.add(found.checks)
        bench.keep_differences(found)
    return found


def _parked(bench: Workbench, exporter: Exporter, made: Manifest) -> None:
    """Rows that stay behind are kept in the record, every column as an exact SQL literal."""
    shaped = bench.origin.parked
    if shaped is not None:  # the fit has parked rows of the source, and written them down
        bench.run.number("parked", sum(shaped.values()), "rows")
        return
    with (exporter.folder / PARKED).open("w", encoding="utf-8") as file:
        for name in made.parked:
            columns = exporter.relations[name].columns
            for cells in exporter.parked_rows(name):
                file.write(json.dumps({"table": name, "row": dict(zip(columns, cells, strict=True))}) + "\n")
    bench.run.number("parked", sum(made.parked.values()), "rows")


def files(bench: Workbench, exporter: Exporter, report: Progress) -> objects.Manifest:
    """List every file with what proves it; rows that name files are read from the snapshot."""
    settled = objects.settle(bench.run.source("source_files"))
    return list_files(bench, exporter, inventory.walk(bench, report, settled=settled))


def list_files(bench: Workbench, exporter: Exporter, found: objects.Inventory) -> objects.Manifest:
    """Judge the files that were found, and write down beside the snapshot what the bucket must hold."""
    _, decided = inventory.judge_files(bench, found, exporter)
    control = bench.run.mapping.objects.cache_control
    made = objects.write(exporter.folder / OBJECTS, objects.entries(found, decided, control), found.prefixes)
    objects.keep_seen(exporter.folder / SEEN, found, made)
    keep_decided(exporter.folder, decided)
    bench.run.artefact(exporter.folder)
    return made
