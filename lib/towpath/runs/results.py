"""The result of one attempt at one phase: `<phase>.result.json`, the only place a verdict is read from.

It is written INCOMPLETE before the first step and rewritten at the end, so that a phase that was killed, timed out or
broke says so.  Times are UTC (ISO 8601, Z); sizes are bytes; durations are seconds.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from towpath.checks import Check, Verdict
from towpath.errors import BadInput
from towpath.runs.files import digest, read_json, write_json

FORMAT = 1
PARTIAL = ".partial.ipynb"  # behind the stem: the notebook while it runs; it stays where the runner was killed
PROOFS = frozenset({"05-validate"})  # phases that only read: repeating one makes nothing stale that came after it


def now() -> str:
    """The time in UTC with milliseconds: 2026-01-31T08:15:00.123Z."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Artefact:
    """A file of the record; `path` is relative to the run folder, with forward slashes."""

    path: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Number:
    """One measured number, e.g. rows 200000 "rows"."""

    name: str
    value: float
    unit: str


@dataclass(frozen=True, slots=True)
class PhaseResult:
    """One attempt at one phase."""

    system: str
    environment: str
    run: str
    phase: str
    attempt: int
    plan: str
    started: str
    approval: str = ""  # "", "plan" (its hash was named) or "rehearsal"
    ended: str = ""
    source: str = ""
    target: str = ""
    fingerprint: str = ""  # of the target, as approve_write was given it
    verdict: Verdict = Verdict.INCOMPLETE
    exit_code: int | None = None
    error: str = ""
    checks: tuple[Check, ...] = ()
    artefacts: tuple[Artefact, ...] = ()
    outputs: Mapping[str, str] | None = None  # name -> path in the run folder, for later phases
    numbers: tuple[Number, ...] = ()
    journal_entries: int = 0  # how many lines journal.jsonl had when this was written, and the hash of the last
    journal_hash: str = ""

    @property
    def stem(self) -> str:
        """The name of the attempt's files: 03-export, 03-export.2, …"""
        return stem(self.phase, self.attempt)

    @property
    def counts(self) -> dict[str, int]:
        """How many checks have which verdict."""
        return dict(sorted(Counter(str(check.verdict) for check in self.checks).items()))

    def number(self, name: str) -> float | None:
        """The value of a measured number, or None."""
        return next((number.value for number in self.numbers if number.name == name), None)

    def with_artefacts(self, artefacts: Iterable[Artefact]) -> PhaseResult:
        """The result with these artefacts; the same path is replaced."""
        merged = {artefact.path: artefact for artefact in (*self.artefacts, *artefacts)}
        return replace(self, artefacts=tuple(merged.values()))

    def with_number(self, name: str, value: float, unit: str) -> PhaseResult:
        """The result with this number; the same name is replaced."""
        kept = tuple(number for number in self.numbers if number.name != name)
        return replace(self, numbers=(*kept, Number(name, value, unit)))

    def plain(self) -> dict[str, Any]:
        """The result as it stands in the file."""
        return {
            "format": FORMAT,
            **{name: getattr(self, name) for name in self.__slots__},
            "verdict": str(self.verdict),
            "outputs": dict(self.outputs or {}),
            "counts": self.counts,
            "numbers": [asdict(number) for number in self.numbers],
            "artefacts": [asdict(artefact) for artefact in self.artefacts],
            "checks": [check.row() for check in self.checks],
        }


def stem(phase: str, attempt: int) -> str:
    """The name of an attempt's files without the ending."""
    return phase if attempt == 1 else f"{phase}.{attempt}"


def result_path(folder: Path, phase: str, attempt: int) -> Path:
    """Where the result of an attempt lies."""
    return folder / f"{stem(phase, attempt)}.result.json"


def write_result(folder: Path, result: PhaseResult) -> Path:
    """Write the result atomically and return its path."""
    path = result_path(folder, result.phase, result.attempt)
    write_json(path, result.plain())
    return path


def write_table(folder: Path, result: PhaseResult) -> Artefact:
    """Write `<stem>.checks.json`, the flat table of checks that `pandas.read_json` reads in one call."""
    path = folder / f"{result.stem}.checks.json"
    name = {"run": result.run, "environment": result.environment, "phase": result.phase, "attempt": result.attempt}
    write_json(path, [{**name, **check.row(), "keys": " ".join(check.keys)} for check in result.checks])
    return artefact_of(folder, path)


def read_result(path: Path) -> PhaseResult:
    """Read a result file.  Raises BadInput when it is missing or is none."""
    data = read_json(path)
    try:
        if data.pop("format") != FORMAT:
            raise ValueError
        del data["counts"]
        return PhaseResult(
            **{
                **data,
                "verdict": Verdict(data["verdict"]),
                "checks": tuple(_check(row) for row in data["checks"]),
                "artefacts": tuple(Artefact(**row) for row in data["artefacts"]),
                "numbers": tuple(Number(**row) for row in data["numbers"]),
            }
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        raise BadInput("is not a result of a phase", object=str(path), next="run the phase again") from None


def artefact_of(folder: Path, path: Path) -> Artefact:
    """A file in the run folder with its hash and size.  Raises BadInput when it is missing or lies elsewhere."""
    try:
        relative = path.resolve().relative_to(folder.resolve()).as_posix()
        sha256, size = digest(path)
    except ValueError:
        raise BadInput("lies outside the run folder", object=str(path), next="write it with run.path(…)") from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise BadInput(f"cannot be read: {reason}", object=str(path), next="write the artefact first") from None
    return Artefact(relative, sha256, size)


def _check(row: Mapping[str, Any]) -> Check:
    return Check(**{**row, "verdict": Verdict(row["verdict"]), "keys": tuple(row["keys"])})
