"""What came out of a rehearsal: judged against its budgets, for machines (rehearsal.json) and for people."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from towpath.rehearsal.settling import SHOWN, Settled
from towpath.runs.files import write_json, write_text

FORMAT = 1
FREEZE, WHOLE, TRAFFIC_BACK, DATA_BACK = 60.0, 300.0, 60.0, 300.0  # seconds, the promises of docs/traffic.md
ERRORS = 1.0  # per cent of the requests of an act in which nothing was made to fail


@dataclass(frozen=True, slots=True)
class Judged:
    """One thing that had to hold.  `value` and `limit` are numbers where there is a budget, else words."""

    what: str
    holds: bool
    value: str
    limit: str = ""

    @property
    def line(self) -> str:
        """In one line."""
        limit = f" (at most {self.limit})" if self.limit else ""
        return f"{'holds' if self.holds else 'FAILS'}  {self.what}: {self.value}{limit}"


@dataclass(frozen=True, slots=True)
class Act:
    """One act: a phase of a run under traffic.  Times are milliseconds since 1970, durations seconds."""

    name: str
    run: str
    phase: str
    verdict: str
    begin: int
    end: int
    seconds: float
    requests: int
    sides: dict[str, dict[str, int]]
    no_write: float
    no_read: float
    more: dict[str, float] = field(default_factory=dict)  # seconds


@dataclass
class Told:
    """Everything that a rehearsal has to say."""

    system: str
    environment: str
    begun: str  # UTC
    plan: str
    acts: list[Act] = field(default_factory=list)
    settled: list[Settled] = field(default_factory=list)
    judged: list[Judged] = field(default_factory=list)
    ended: str = ""
    broken: str = ""  # why it could not come to its end
    signal: int = 0  # that stopped it

    @property
    def holds(self) -> bool:
        """Whether all that had to hold holds, to the end."""
        return not self.broken and bool(self.judged) and all(one.holds for one in self.judged)

    def judge(self, what: str, holds: bool, value: str, limit: str = "") -> None:
        """Note one thing that had to hold."""
        self.judged.append(Judged(what, holds, value, limit))

    def within(self, what: str, seconds: float | None, limit: float) -> None:
        """Note a duration against its budget; None: it never came to that."""
        value = "never" if seconds is None else f"{seconds:.1f} s"
        self.judge(what, seconds is not None and seconds <= limit, value, f"{limit:.0f} s")

    def lines(self) -> list[str]:
        """The summary for people."""
        lines = [
            f"Rehearsal of {self.system} ({self.environment}), {self.begun} to {self.ended}",
            f"plan {self.plan}",
            "",
        ]
        for act in self.acts:
            more = "".join(f", {name} {seconds:.1f} s" for name, seconds in act.more.items())
            lines += [
                f"{act.name}: {act.phase} of run {act.run} is {act.verdict}, {act.seconds:.1f} s{more}",
                f"  {act.requests:,} requests; longest without a write {act.no_write:.1f} s, without a read "
                f"{act.no_read:.1f} s",
                *(
                    f"  {side:<8} {counts['requests']:>6,} requests, {counts['refused']:>5,} asked to come back later, "
                    f"{counts['errors']:>5,} errors"
                    for side, counts in act.sides.items()
                ),
            ]
        for one in self.settled:
            lines += ["", *one.lines]
            lines += [f"  {name}: {_counts(counts)}" for name, counts in one.phases.items() if counts]
        lines += ["", *(one.line for one in self.judged)]
        if self.broken:
            lines += ["", f"It did not come to its end: {self.broken}"]
        return [*lines, "", f"The rehearsal {'holds' if self.holds else 'DOES NOT HOLD'}"]


def write(told: Told, folder: Path, files: Sequence[Path]) -> Path:
    """Write rehearsal.json and rehearsal.txt; `files` are what it was made from.  Returns the path of the former."""
    plain: dict[str, Any] = {"format": FORMAT, "holds": told.holds, **asdict(told)}
    for settled, one in zip(plain["settled"], told.settled, strict=True):
        settled["faults"] = settled["faults"][:SHOWN]
        settled["fault_count"] = len(one.faults)
    plain["files"] = {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files if path.is_file()}
    path = folder / "rehearsal.json"
    write_json(path, plain)
    write_text(folder / "rehearsal.txt", "\n".join(told.lines()) + "\n")
    return path


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{number:,} {told}" for told, number in sorted(counts.items()))
