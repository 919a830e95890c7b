"""Runs at a place, found by their ids and read in short: as if they lay in outputs/."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from towpath.checks import Verdict
from towpath.errors import TowpathError, WrongUse
from towpath.places.record import Home, homes, read_state
from towpath.places.store import Store
from towpath.places.sync import bring_to
from towpath.runs.files import write_text
from towpath.runs.shelf import RunSummary, runs_in


@dataclass(frozen=True, slots=True)
class Shelf:
    """The runs of a place, or of outputs/, with their sizes in bytes by (system, environment, run)."""

    outputs: Path
    runs: tuple[RunSummary, ...]
    sizes: dict[tuple[str, str, str], int]


def find(store: Store, run: str) -> Home:
    """The run with this id at a place.  Raises WrongUse when there is none."""
    found = [home for home in homes(store) if home.run == run]
    if not found:
        step = f"use an id that `towpath list --records {store.address}` shows"
        raise WrongUse("no such run at that place", object=f"{store.address}, {run}", next=step)
    return found[0]


@contextlib.contextmanager
def shelf(store: Store, system: str = "", environment: str = "") -> Iterator[Shelf]:
    """The runs of a place, newest first, read from a temporary folder that holds only what a list needs.

    The newest run of each environment counts as its current one.  What cannot be read is named and is no run.
    """
    with tempfile.TemporaryDirectory(prefix="towpath-") as name:
        outputs = Path(name)
        broken: list[RunSummary] = []
        sizes: dict[tuple[str, str, str], int] = {}
        for home in homes(store, system, environment):
            names = (home.system, home.environment, home.run)
            try:
                folder = bring_to(store, home, outputs, small=True)
                state = read_state(store, home)
            except TowpathError as error:
                where = outputs.joinpath(*names)
                broken.append(RunSummary(where, *names, Verdict.INCOMPLETE, f"{error.line}", is_run=False))
                continue
            sizes[names] = state.size if state else 0
            write_text(folder.parent / "current", home.run + "\n")
        is_broken = {one.path for one in broken}
        runs = tuple(one for one in runs_in(outputs) if one.path not in is_broken)
        yield Shelf(outputs, (*runs, *broken), sizes)
