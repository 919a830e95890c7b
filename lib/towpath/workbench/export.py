"""03-export: one snapshot of the rows, one list of the files, made at the same moment."""

from __future__ import annotations

import json
from dataclasses import asdict

from towpath import objects
from towpath.checks import Progress
from towpath.tables import rules as table_rules
from towpath.tables.acceptance import exported, leaving_orphans, schema_unchanged
from towpath.tables.export import Exporter
from towpath.tables.findings import find
from towpath.tables.manifest import Manifest
from towpath.tables.overlay import orphans_after
from towpath.tables.snapshot import schema_digest, take
from towpath.workbench import inventory
from towpath.workbench.inventory import STRUCTURE
from towpath.workbench.workbench import OBJECTS, SNAPSHOT, Workbench, keep_decided

PARKED = "parked.jsonl"


def snapshot(bench: Workbench, report: Progress) -> Exporter:
    """Back the source up in one read transaction; `report` counts pages."""
    path = take(bench.source, bench.run.output(SNAPSHOT), report)
    exporter = Exporter(path, bench.decisions)
    before = bench.run.read_json(STRUCTURE)["digest"]
    bench.run.add([schema_unchanged(before, exporter.schema, schema_digest(exporter.schema))])
    return exporter


def judge_references(bench: Workbench, exporter: Exporter) -> None:
    """The orphans of the snapshot, judged again: the source may have changed since the inventory."""
    zone = bench.run.mapping.tables.time_zone
    left = orphans_after(exporter.db, exporter.schema, bench.decisions)
    found = find(exporter.schema, bench.profile, left, bench.limits, time_zone=zone)
    bench.run.judge([f for f in found if f.code == "TB203"], table_rules.RULES, ["TB203"])
    bench.run.add(leaving_orphans(exporter))


def rows(bench: Workbench, exporter: Exporter, report: Progress) -> Manifest:
    """Write every row as ready statements, and the proof of every page; `report` counts rows."""
    made = exporter.export(bench.run.plan.hash, asdict(bench.facts), report)
    bench.run.add(exported(exporter, made))
    _parked(bench, exporter, made)
    bench.run.number("rows", made.rows, "rows")
    return made


def _parked(bench: Workbench, exporter: Exporter, made: Manifest) -> None:
    """Rows that stay behind are kept in the record, every column as an exact SQL literal."""
    with (exporter.folder / PARKED).open("w", encoding="utf-8") as file:
        for name in made.parked:
            columns = exporter.relations[name].columns
            for cells in exporter.parked_rows(name):
                file.write(json.dumps({"table": name, "row": dict(zip(columns, cells, strict=True))}) + "\n")
    bench.run.number("parked", sum(made.parked.values()), "rows")


def files(bench: Workbench, exporter: Exporter, report: Progress) -> objects.Manifest:
    """List every file with what proves it; rows that name files are read from the snapshot."""
    found = inventory.walk(bench, report)
    _, decided = inventory.judge_files(bench, found, exporter.db)
    control = bench.run.mapping.objects.cache_control
    made = objects.write(exporter.folder / OBJECTS, objects.entries(found, decided, control), found.prefixes)
    keep_decided(exporter.folder, decided)
    bench.run.artefact(exporter.folder)
    return made
