"""All runs of a project: what lies below outputs/, each with its verdict in short; what is no run is named, too."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from towpath.checks import Verdict
from towpath.plan.params import RUN_ID
from towpath.runs.overview import read_overview
from towpath.runs.standing import standing


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One run in short, or a folder that lies where runs lie and is none."""

    path: Path
    system: str  # system, environment and run are those of the folder's place
    environment: str
    run: str
    verdict: Verdict
    sentence: str  # what the verdict rests on
    is_run: bool = True
    is_current: bool = False  # phases that are run alone go on in it
    opened: str = ""  # UTC
    plan: str = ""
    phases: tuple[tuple[str, Verdict | None], ...] = ()  # of the runbook, with the newest attempt's verdict if it ran
    attempts: int = 0  # more than one at a phase: it ran again
    counts: Mapping[Verdict, int] = field(default_factory=dict)  # checks of the newest attempts
    approvals: tuple[tuple[str, str], ...] = ()  # name, what has become of it: stands, counted for …, void: …
    seal: str = ""  # one sentence over the seals of all attempts


def runs_in(outputs: Path) -> Sequence[RunSummary]:
    """Every run below `outputs`, newest first; after them the folders that are no run.

    Reads and never raises for what lies there: a run that is broken is INCOMPLETE, with the reason.
    """
    found = [_summary(outputs, folder) for folder in _folders(outputs)]
    return sorted(found, key=lambda one: (one.is_run, one.run, one.system, one.environment), reverse=True)


def _folders(outputs: Path) -> list[Path]:
    """The folders three levels deep, and those above them that hold nothing of the kind."""
    found = []
    for system in _below(outputs):
        environments = _below(system)
        found += [folder for environment in environments for folder in _below(environment)]
        if not environments:
            found.append(system)
    return found


def _below(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError:
        return []


def _summary(outputs: Path, folder: Path) -> RunSummary:
    system, environment, run = (*folder.relative_to(outputs).parts, "", "")[:3]
    wrong = _no_run(folder, run)
    if wrong:
        return RunSummary(folder, system, environment, run, Verdict.INCOMPLETE, wrong, is_run=False)
    view = read_overview(folder)
    verdict, sentence = view.verdict, view.sentence
    if (view.system, view.environment, view.run) != (system, environment, run):
        verdict = Verdict.INCOMPLETE
        sentence = f"The folder is in another's place: run.json says {view.system} {view.environment} {view.run}."
    signed = standing(folder)
    newest = {attempt.phase: attempt.verdict for attempt in view.newest}
    return RunSummary(
        path=folder,
        system=system,
        environment=environment,
        run=run,
        verdict=verdict,
        sentence=sentence,
        is_current=_current(folder.parent) == run,
        opened=view.opened,
        plan=view.plan,
        phases=tuple((phase, newest.get(phase)) for phase in view.phases),
        attempts=len(view.attempts),
        counts=Counter(check.verdict for _, check in view.checks),
        approvals=tuple((name, state) for name, _, _, state in signed.approvals),
        seal=signed.sentence,
    )


def _no_run(folder: Path, run: str) -> str:
    """Why a folder is no run; "" for one that is, however broken."""
    if not run:
        return "This folder holds no environments and no runs."
    if (folder / "run.json").is_file() or any(folder.glob("*.result.json")):
        return "" if re.match(RUN_ID, run) else "This folder is not called as runs are: its name is no run id."
    return "This folder is no run: it has neither run.json nor a result."


def _current(home: Path) -> str:
    try:
        return (home / "current").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""
