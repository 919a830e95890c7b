"""A state of the source as the record keeps it: rows, files, keys and jobs of one moment, in one folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from towpath import jobs, keys, objects
from towpath.checks import Decision, Finding
from towpath.jobs.manifest import NAME as JOBS_FILE
from towpath.tables.export import Exporter
from towpath.tables.manifest import Manifest

SNAPSHOT, OBJECTS, DECIDED = "snapshot", "objects.jsonl", "decided.json"
SEEN = "seen.jsonl"
KEYS, JOBS = "keys", "jobs"
TABLES, AFTER, TYPES = "schema/0001_tables.sql", "schema/0002_after_the_rows.sql", "schema/rows.d.ts"


@dataclass(frozen=True, slots=True)
class State:
    """What the target should hold: a snapshot of the rows, and the list of files that went with it."""

    folder: Path
    manifest: Manifest
    exporter: Exporter
    is_delta: bool  # made by a cutover: it changes the state before it, and is none by itself

    @property
    def objects(self) -> objects.Manifest:
        """The files of this state."""
        return objects.read(self.folder / OBJECTS)

    @property
    def keys(self) -> keys.Manifest | None:
        """The keys of this state; None where the system has no cache."""
        folder = self.folder / KEYS
        return keys.read(folder) if folder.is_dir() else None

    @property
    def jobs(self) -> jobs.Manifest | None:
        """The jobs of this state; None where nothing is queued."""
        file = self.folder / JOBS / JOBS_FILE
        return jobs.read(file) if file.is_file() else None

    @property
    def decided(self) -> list[tuple[Finding, Decision]]:
        """What was decided about its files."""
        rows = json.loads((self.folder / DECIDED).read_text(encoding="utf-8"))
        return [(Finding(**{**f, "samples": tuple(f["samples"])}), Decision(**d)) for f, d in rows]


def keep_decided(folder: Path, decided: Sequence[tuple[Finding, Decision]]) -> None:
    """Write down, beside a snapshot, what was decided about its files."""
    rows = [(asdict(finding), asdict(decision)) for finding, decision in decided]
    (folder / DECIDED).write_text(json.dumps(rows, indent=1), encoding="utf-8")
