"""Rows from a SQLite file: the file is its own picture, and a snapshot is SQLite's own backup of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apsw

from towpath.checks import Check, Comparison, Progress
from towpath.fitting.fitted import Fitted
from towpath.tables import rules as table_rules
from towpath.tables.acceptance import check, leaving_orphans, schema_unchanged
from towpath.tables.conversion import Account, Conversion
from towpath.tables.convert import convert
from towpath.tables.export import Exporter
from towpath.tables.findings import contradictions, find, too_alike
from towpath.tables.manifest import Manifest
from towpath.tables.orphans import Orphans
from towpath.tables.overlay import orphans_after
from towpath.tables.schema import Schema, reflect
from towpath.tables.snapshot import schema_digest, take
from towpath.tables.source import SourceFacts, check_integrity, identity, open_source, read_facts
from towpath.workbench.references import Column

if TYPE_CHECKING:
    from towpath.workbench.workbench import Workbench

STRUCTURE = "inventory/schema.json"


class FileOrigin:
    """A SQLite file; see `towpath.workbench.origin.Origin`."""

    def __init__(self, bench: Workbench) -> None:
        self.bench = bench
        self.path = bench.run.source("source_database")

    @property
    def name(self) -> str:
        """The file."""
        return self.bench.params.source_database

    @cached_property
    def connection(self) -> apsw.Connection:
        """The source database, for reading only.  Raises BadInput."""
        db = open_source(self.path, closed_cleanly=self.bench.params.source_closed_cleanly)
        self.bench.on_close(db.close)
        return db

    @cached_property
    def _facts(self) -> SourceFacts:
        return read_facts(self.path)

    @cached_property
    def schema(self) -> Schema:
        """What the source declares now."""
        return reflect(self.connection, self.bench.sensitive)

    @property
    def identity(self) -> str:
        """The file's name and a digest of what it declares."""
        return identity(self.connection, self.path)

    @property
    def bytes(self) -> int:
        """The size of the file."""
        return self._facts.bytes

    @property
    def pages(self) -> int | None:
        """Its pages: what a backup reports."""
        return self._facts.pages

    @property
    def unit(self) -> str:
        """Pages."""
        return "pages"

    def answers(self) -> str:
        """Open it; its size, tables and journal."""
        tables = len(self.schema.moving)
        return f"{self._facts.bytes:,} bytes, {tables} tables, journal {self._facts.journal_mode}"

    def facts(self) -> list[tuple[str, str]]:
        """What the file says of itself."""
        facts = self._facts
        wal = "no -wal file" if facts.wal_bytes is None else f"{facts.wal_bytes:,} bytes in -wal, read too"
        return [
            ("file", facts.path),
            ("size", f"{facts.bytes:,} bytes in {facts.pages:,} pages of {facts.page_size:,}"),
            ("journal", f"{facts.journal_mode}; {wal}"),
            ("encoding", facts.encoding),
            ("written by SQLite", facts.sqlite_version),
            ("user_version, application_id", f"{facts.user_version}, {facts.application_id}"),
        ]

    def recorded(self) -> dict[str, Any]:
        """The same for the manifest."""
        return asdict(self._facts)

    @property
    def parts(self) -> str:
        """Tables."""
        return "tables"

    def look(self, report: Progress) -> list[Check]:
        """Read every page; a damaged one fails the phase.  `report` counts tables."""
        problems = check_integrity(self.connection, report)
        found = "; ".join(problems[:5]) or "every page is sound"
        self._remember()
        return [check("TB100", "source", "every page is sound", found, not problems)]

    def _remember(self) -> None:
        kept = {"digest": schema_digest(self.schema), "tables": len(self.schema.moving)}
        self.bench.run.write_json(STRUCTURE, kept)

    def listing(self) -> tuple[list[tuple[Any, ...]], str]:
        """Every table with what hangs on it; the views."""
        schema = self.schema
        rows: list[tuple[Any, ...]] = [
            (
                t.name,
                t.kind + (", WITHOUT ROWID" if t.without_rowid else "") + (", STRICT" if t.strict else ""),
                len(t.columns),
                ", ".join(t.primary_key) or "none",
                len(t.foreign_keys),
                len(t.indexes),
                sum(trigger.table.lower() == t.name.lower() for trigger in schema.triggers),
            )
            for t in schema.tables
        ]
        views = ", ".join(view.name for view in schema.views) or "none"
        return rows, f"{len(schema.tables)} tables, {len(schema.triggers)} triggers; views: {views}"

    @property
    def enforced(self) -> str | None:
        """None: SQLite enforces foreign keys only for those who ask for it."""
        return None

    def references(self, columns: Sequence[Column]) -> Sequence[Column]:
        """The same: the target's tables are the source's."""
        return columns

    def judge(self, orphans: Sequence[Orphans]) -> None:
        """Every finding about tables, with the decision that answers it."""
        bench = self.bench
        zone = bench.run.mapping.tables.time_zone
        bench.run.judge(find(self.schema, bench.profile, orphans, bench.limits, time_zone=zone), table_rules.RULES)
        bench.run.add(contradictions(self.schema, orphans, bench.decisions))
        bench.run.add(too_alike(self.connection, self.schema, bench.decisions))

    def unchanged(self, schema: Schema | None = None) -> Check:
        """Whether the schema is what the inventory saw."""
        schema = schema or self.schema
        return schema_unchanged(self.bench.run.read_json(STRUCTURE)["digest"], schema, schema_digest(schema))

    def judge_fit(self, report: Progress) -> None:
        """Nothing: the target's schema is made from this one."""

    @property
    def fitted(self) -> Fitted | None:
        """None: every column goes to the column of its name."""
        return None

    @property
    def declared(self) -> Schema:
        """The source's own schema."""
        return self.schema

    def conversion(self, schema: Schema) -> Conversion:
        """The schema of D1 from the source's own, and the census."""
        return convert(schema, self.bench.profile, self.bench.decisions, self.bench.limits)

    @property
    def accounts(self) -> Sequence[Account]:
        """What became of every object of the file."""
        return self.bench.conversion.accounting

    def take(self, folder: Path, report: Progress) -> Path:
        """Back the source up in one read transaction; `report` counts pages."""
        return take(self.connection, folder, report)

    @property
    def parked(self) -> dict[str, int] | None:
        """None: decisions park rows, when they are exported."""
        return None

    def judge_snapshot(self, exporter: Exporter) -> None:
        """The orphans of the snapshot, judged again: the source may have changed since the inventory."""
        bench = self.bench
        bench.run.add([self.unchanged(exporter.schema)])
        zone = bench.run.mapping.tables.time_zone
        left = orphans_after(exporter.db, exporter.schema, bench.decisions)
        found = find(exporter.schema, bench.profile, left, bench.limits, time_zone=zone)
        bench.run.judge([f for f in found if f.code == "TB203"], table_rules.RULES, ["TB203"])
        bench.run.add(leaving_orphans(exporter))

    def prove(self, exporter: Exporter, manifest: Manifest, report: Progress) -> Comparison | None:  # noqa: ARG002
        """Nothing to hold it against: the snapshot is SQLite's own copy of itself, page by page."""
        return None

    def version(self) -> tuple[int, ...]:
        """What changes with every commit: SQLite's own count; where the source was read from a private copy because no
        process had it open (`towpath.tables.source`), also the size and time of its files."""
        commits = int(self.connection.pragma("data_version"))
        if self.connection.filename and Path(self.connection.filename).resolve() == self.path.resolve():
            return (commits,)
        files = [file.stat() for file in (self.path, self.path.with_name(self.path.name + "-wal")) if file.exists()]
        # an empty -wal is made by whoever opens the file, and says nothing
        return (commits, *(number for file in files if file.st_size for number in (file.st_size, file.st_mtime_ns)))

    def unwritten(self, since: tuple[int, ...]) -> bool:
        """Whether nobody wrote since."""
        return self.version() == since
