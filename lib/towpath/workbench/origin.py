"""Where the rows come from: what every kind of source must be able to do for the phases."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import apsw

from towpath.checks import Check, Comparison, Progress
from towpath.fitting.fitted import Fitted
from towpath.tables.conversion import Account, Conversion
from towpath.tables.export import Exporter
from towpath.tables.manifest import Manifest
from towpath.tables.orphans import Orphans
from towpath.tables.schema import Schema
from towpath.workbench.references import Column


class Origin(Protocol):
    """A source of rows.  What it gives to the phases is a SQLite file in the form in which the rows must arrive."""

    @property
    def name(self) -> str:
        """What the params call it."""

    @property
    def identity(self) -> str:
        """The source as gates compare it: where it is and what it declares; rows do not count."""

    @property
    def bytes(self) -> int:
        """How large it is, for the disk that the record needs."""

    @property
    def pages(self) -> int | None:
        """How much `take` will report; None when nobody knows before."""

    @property
    def unit(self) -> str:
        """What `take` counts."""

    def answers(self) -> str:
        """Open it, and say what was met.  Raises BadInput or CannotFinish."""

    def facts(self) -> list[tuple[str, str]]:
        """What it says of itself, for a reader."""

    def recorded(self) -> dict[str, Any]:
        """The same for the manifest."""

    @property
    def parts(self) -> str:
        """What `look` counts."""

    def look(self, report: Progress) -> list[Check]:
        """Read all of it; the checks say whether that was possible."""

    @property
    def connection(self) -> apsw.Connection:
        """The rows as they are, for reading: the source itself, or the copy that `look` made."""

    @property
    def schema(self) -> Schema:
        """What `connection` declares."""

    def listing(self) -> tuple[list[tuple[Any, ...]], str]:
        """For a reader: table, kind, columns, primary key, foreign keys, indexes, triggers; and what else there is."""

    @property
    def enforced(self) -> str | None:
        """What a reader is told of foreign keys that the source enforces itself; None where each row is looked at."""

    def references(self, columns: Sequence[Column]) -> Sequence[Column]:
        """Columns of the target that name files, as `connection` calls them."""

    def judge(self, orphans: Sequence[Orphans]) -> None:
        """Judge everything that is remarkable about declarations and values."""

    def unchanged(self) -> Check:
        """Whether the source still declares what the inventory saw."""

    def judge_fit(self, report: Progress) -> None:
        """Whether every row fits into a schema that somebody else wrote; nothing where it is made from the source's."""

    @property
    def fitted(self) -> Fitted | None:
        """How the rows go into a schema that somebody else wrote; None where it is made from the source's."""

    @property
    def declared(self) -> Schema:
        """The schema that the conversion is held against."""

    def conversion(self, schema: Schema) -> Conversion:
        """The target's schema."""

    @property
    def accounts(self) -> Sequence[Account]:
        """What became of every object of the source."""

    def take(self, folder: Path, report: Progress) -> Path:
        """One consistent snapshot, in the form in which the rows must arrive."""

    @property
    def parked(self) -> dict[str, int] | None:
        """Rows that stay behind, by table, once `take` has written them down; None where decisions park them."""

    def judge_snapshot(self, exporter: Exporter) -> None:
        """Judge again what may have changed since the inventory: rows that the target would refuse."""

    def prove(self, exporter: Exporter, manifest: Manifest, report: Progress) -> Comparison | None:
        """Hold the exported pages against the source, by a way of its own; None where the snapshot is the source's own
        copy of itself."""

    def version(self) -> tuple[int, ...]:
        """A value that changes with every write to the source."""

    def unwritten(self, since: tuple[int, ...]) -> bool:
        """Whether nobody wrote since `version` was that."""
