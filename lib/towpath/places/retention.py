"""What may be pruned: old runs that nobody needs any more, and never one that proves something that still counts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from towpath.errors import WrongUse
from towpath.runs.shelf import RunSummary, runs_in

STANDS, COUNTED = "stands", "counted for"


@dataclass(frozen=True, slots=True)
class Choice:
    """One run, and why it stays; `stays` is "" for one that may go."""

    summary: RunSummary
    stays: str


def choose(
    outputs: Path,
    system: str,
    environment: str,
    *,
    newest: int | None = None,
    days: int | None = None,
    approved_too: bool = False,
    today: dt.datetime | None = None,
) -> list[Choice]:
    """Every run of a system and environment below `outputs`, newest first, with why it stays or "".

    Either all but the `newest` runs may go, or those that are older than `days`.  Folders that are no run stay.
    Raises WrongUse for production, whose records are never pruned, and when neither or both are given.
    """
    if environment == "production":
        step = "keep it as long as the application's data; whoever must remove one does it by hand, and answers for it"
        raise WrongUse("a record of production is never pruned", object=f"{system} {environment}", next=step)
    if (newest is None) == (days is None) or (newest or 0) < 0 or (days or 0) < 0:
        raise WrongUse("needs --keep or --older-than, one of them", object="prune", next="say what may go")
    every = runs_in(outputs)
    mine = [one for one in every if (one.system, one.environment) == (system, environment) and one.is_run]
    before = (today or dt.datetime.now(dt.UTC)) - dt.timedelta(days=days or 0)
    choices = []
    for place, one in enumerate(mine):
        stays = ""
        if newest is not None and place < newest:
            stays = f"one of the newest {newest}"
        elif days is not None and _opened(one.run) > before:
            stays = f"not older than {days} days"
        choices.append(Choice(one, stays or _needed(one, every, approved_too)))
    return choices


def _needed(one: RunSummary, every: Sequence[RunSummary], approved_too: bool) -> str:
    """Why a run that is old enough stays."""
    if one.is_current:
        return "the current run"
    approved = [name for name, state in one.approvals if state.startswith((STANDS, COUNTED))]
    if approved and not approved_too:
        return f"approved by {', '.join(approved)}"
    for page in sorted(one.path.parent.parent.glob(f"*{one.run}*.html")):
        return f"compared in {page.name}"
    for other in every:
        if other.path != one.path and _names(other.path, one.run):
            return f"{other.environment} {other.run} refers to it"
    return ""


def _names(folder: Path, run: str) -> bool:
    """True when a run says anything about another one: in its results, plan or pages of its own."""
    wanted = run.encode()
    for path in sorted([*folder.glob("*.json"), *folder.glob("*.html")]):
        try:
            if path.name != "current" and wanted in path.read_bytes():
                return True
        except OSError:
            continue
    return False


def _opened(run: str) -> dt.datetime:
    """When a run was opened: its id begins with that time."""
    try:
        return dt.datetime.strptime(run[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC)
    except ValueError:
        return dt.datetime.max.replace(tzinfo=dt.UTC)
