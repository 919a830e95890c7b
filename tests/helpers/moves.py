"""A PostgreSQL database moved into a D1 in mode generate, phase by phase but without notebooks."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from helpers.carry import CLAIM
from towpath.checks import Check, Comparison, Finding, Verdict
from towpath.cloudflare.d1 import D1
from towpath.fitting.account import fit, same_names
from towpath.fitting.computed import computed
from towpath.fitting.proof import prove
from towpath.fitting.shape import shape
from towpath.fitting.source import source_of
from towpath.local.postgresql import Postgresql
from towpath.postgresql import proving
from towpath.postgresql.capture import capture
from towpath.postgresql.convert import convert
from towpath.postgresql.findings import find
from towpath.postgresql.generated import Generated
from towpath.postgresql.snapshot import Snapshot
from towpath.tables import acceptance, compare, load, target
from towpath.tables.export import Exporter
from towpath.workbench.server_fit import declared_by


@dataclass(frozen=True)
class Moved:
    """What was said on the way."""

    findings: tuple[Finding, ...]
    generated: Generated
    proved: Comparison  # the server against the manifest
    compared: Comparison  # D1 against the manifest
    checks: tuple[Check, ...]

    @property
    def failed(self) -> list[str]:
        """Checks that failed, on one line each."""
        checks = (*self.checks, *self.proved.checks, *self.compared.checks)
        return [f"{c.code} {c.object}: {c.expected}; {c.found}" for c in checks if c.verdict is Verdict.FAIL]


def move(server: Postgresql, url: str, folder: Path, d1: D1) -> Moved:
    """Capture, convert, shape, export, prove, load, compare."""
    with Snapshot(url, server.secret) as snapshot:
        catalog = snapshot.read_catalog()
        findings = find(catalog, snapshot.reader())
        captured = capture(snapshot, catalog, folder / "capture.sqlite")
        assert not captured.failed, captured.failed
        made = convert(catalog)
        checks = list(proving.prove(made, catalog))
        schema = declared_by([*made.table_statements, *made.after_statements])
        source = source_of(catalog)
        fitted = fit(source, schema, same_names(source, schema))
        shaped = shape(captured.path, schema, fitted, folder / "out" / "snapshot.sqlite")
        checks += computed(captured.path, shaped.path, made, schema)
        with closing(Exporter(folder / "out" / "snapshot.sqlite")) as exporter:
            manifest = exporter.export("plan", {})
            proved = prove(snapshot, fitted, manifest, exporter.db, exporter.relations)
            target.apply_migration(d1, "0001_tables.sql", made.table_statements, CLAIM)
            load.load(d1, folder / "out", manifest)
            load.finish(d1, manifest, made.after_statements, exporter.schema.sequences)
            compared = compare.compare(d1, manifest, exporter.db, exporter.relations)
            checks += acceptance.schema_present(d1, [*made.table_statements, *made.after_statements])
            checks += acceptance.sequences(d1, manifest)
    return Moved(tuple(findings), made, proved, compared, tuple(checks))
