"""The index over all runs: `outputs/index.html`, newest first, grouped by system and environment.

It lies beside the records, not in them, and is made from them: no seal names it, and it may be written at any time.
"""

from __future__ import annotations

import fcntl
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from towpath.checks import Verdict
from towpath.errors import CannotFinish
from towpath.runs.files import write_text
from towpath.runs.rendering import fitting, rendered, said
from towpath.runs.shelf import RunSummary, runs_in

OUTPUTS, INDEX = "outputs", "index.html"
ROOM = 850_000  # bytes of the page for all its rows
COMPARISONS = 100  # links to pages that compare two runs


@dataclass(frozen=True, slots=True)
class Group:
    """The runs of one system in one environment, newest first."""

    system: str
    environment: str
    runs: Sequence[RunSummary]
    left: int  # older runs that the page has no room for


def render_site(outputs: Path) -> Path:
    """Write the index over all runs below `outputs` and return its path.  Raises CannotFinish when the disk refuses.

    Two that write at once wait for each other, so that the last page names what both have done.
    """
    path = outputs / INDEX
    with _alone(outputs):
        write_text(path, site_text(outputs))
    return path


def site_text(outputs: Path) -> str:
    """The index over all runs."""
    found = runs_in(outputs)
    runs = [one for one in found if one.is_run]
    foreign, foreign_left = fitting([one for one in found if not one.is_run], ROOM // 10)
    newest = [group[0] for group in _grouped(runs)]
    shown = {one.path for one in fitting(runs, ROOM)[0]}
    groups = [_group(group, shown) for group in _grouped(runs)]
    comparisons = sorted((path.relative_to(outputs) for path in outputs.glob("*/*-against-*.html")), reverse=True)
    return rendered(
        "site.html.j2",
        groups=groups,
        total=len(runs),
        verdicts=said(Counter(one.verdict for one in newest)),
        foreign=[(one.path.relative_to(outputs).as_posix(), one.sentence) for one in foreign],
        foreign_left=foreign_left,
        comparisons=[path.as_posix() for path in comparisons[:COMPARISONS]],
        phases_of=_phases_of,
        approvals_of=_approvals_of,
    )


def _grouped(runs: Sequence[RunSummary]) -> list[list[RunSummary]]:
    """By system and environment; the group with the newest run first."""
    groups: dict[tuple[str, str], list[RunSummary]] = {}
    for one in runs:
        groups.setdefault((one.system, one.environment), []).append(one)
    return list(groups.values())


def _group(runs: Sequence[RunSummary], shown: set[Path]) -> Group:
    there = [one for one in runs if one.path in shown]
    return Group(runs[0].system, runs[0].environment, there, len(runs) - len(there))


def _phases_of(one: RunSummary) -> str:
    """7 of 7 passed; 3 of 7 passed, 1 FAIL."""
    counts = Counter(verdict for _, verdict in one.phases if verdict is not None)
    odd = said({verdict: count for verdict, count in counts.items() if verdict is not Verdict.PASS})
    return f"{counts[Verdict.PASS]} of {len(one.phases)} passed{f', {odd}' if odd else ''}" if one.phases else "unknown"


def _approvals_of(one: RunSummary) -> str:
    """2 valid, 1 void."""
    void = sum(state.startswith(("void", "is no")) for _, state in one.approvals)
    words = [f"{len(one.approvals) - void} valid"] if len(one.approvals) > void else []
    return ", ".join(words + ([f"{void} void"] if void else [])) or "none"


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder's own lock, which leaves no file behind and ends with the process."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise CannotFinish(f"cannot be written: {reason}", object=str(folder), next="make it writable") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
