"""The way back of the rows: what each kind of source must be able to do to take what the target got."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from towpath.checks import Progress
from towpath.tables.changes import TableChanges
from towpath.tables.export import Exporter
from towpath.tables.manifest import Manifest
from towpath.tables.written import Conflict
from towpath.workbench.state import State

BEFORE, AFTER = "roll-back/before", "roll-back/after"


@dataclass(frozen=True, slots=True)
class Found:
    """What the source lacks of the rows that the target holds."""

    before: Exporter  # the source as it is now, in the form in which its rows arrive on the target
    rows: Mapping[str, TableChanges]
    conflicts: tuple[Conflict, ...]


@dataclass(frozen=True, slots=True)
class Now:
    """The source after the way back, and a manifest of its pages."""

    source: Exporter
    manifest: Manifest


class WayBack(Protocol):
    """Carries rows into a source.  The steps are called in this order; a dry run leaves `carry` out."""

    def find(self, state: State, report: Progress) -> Found:
        """What was written on the target, and what stands in its way; `report` counts rows.  Adds its own checks."""

    def carry(self, found: Found, report: Progress) -> int:
        """Write the rows, all of them or none; `report` counts rows.  Returns how many there were."""

    def look_again(self, state: State) -> Now:
        """The source as it is after `carry`, with what proves each page of it.  Adds its own checks."""
