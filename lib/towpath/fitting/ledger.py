"""What is noted while rules are held against both schemas."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from towpath.checks import Finding
from towpath.fitting.fitted import TargetAccount
from towpath.fitting.source import Source, SourceTable


class Ledger:
    """Findings, and what became of the columns so far."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.findings: list[Finding] = []
        self.into: dict[tuple[str, str], list[str]] = {}  # source table, column -> target columns
        self.used: dict[tuple[str, str], list[str]] = {}  # source table, column -> what else it is used for
        self.dropped: dict[str, dict[str, str]] = {}  # source table -> column -> reason
        self.targets: list[TargetAccount] = []

    def find(self, code: str, object: str, message: str) -> None:
        """One more finding."""
        self.findings.append(Finding(code, object, 1, message))

    def unknown(self, name: str, where: str, what: str, names: Iterable[str]) -> None:
        """A name that does not exist, with those that are near to it."""
        close = difflib.get_close_matches(name, list(names), 3, 0.6)
        near = f"; the nearest names are: {', '.join(close)}" if close else ""
        self.find("FT106", name, f"{where}: there is no {what} {name}{near}")

    def table(self, name: str, where: str) -> SourceTable | None:
        """The source table of that name; None, and a finding, if there is none."""
        try:
            return self.source.table(name)
        except KeyError:
            self.unknown(name, where, "source table", (t.name for t in self.source.tables))
            return None

    def has(self, table: SourceTable, column: str, where: str) -> bool:
        """Whether the table has the column; a finding if not."""
        there = [c.name for c in table.columns]
        if column not in there:
            self.unknown(f"{table.name}.{column}", where, "column", (f"{table.name}.{c}" for c in there))
        return column in there
