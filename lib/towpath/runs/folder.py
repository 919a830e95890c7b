"""The run folder: outputs/<system>/<environment>/<run id>/, where nothing is overwritten.

`run.json` names the plan and every attempt in order; `current`, beside the runs, names the newest run.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from towpath.checks import Verdict
from towpath.errors import BadInput, CannotFinish, WrongUse
from towpath.plan.ends import NAME
from towpath.plan.params import RUN_ID
from towpath.plan.plan import Plan
from towpath.runs.files import read_json, write_json, write_text
from towpath.runs.results import PARTIAL, PhaseResult, now, read_result, result_path, write_result

FORMAT = 1
KILLED = "its process was killed when it had just begun"


def new_run_id() -> str:
    """The UTC time and four random hex digits: 20260131T081500Z-1a2b."""
    return f"{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"


def environment_folder(root: Path, system: str, environment: str) -> Path:
    """The folder that holds the runs of a system in an environment."""
    if not NAME.match(system) or not NAME.match(environment):
        raise WrongUse("no such system or environment", object=f"{system} {environment}", next="look into runbooks/")
    return root / "outputs" / system / environment


@dataclass(frozen=True, slots=True)
class RunFolder:
    """One run on disk."""

    path: Path
    system: str
    environment: str
    run_id: str

    @classmethod
    def create(cls, root: Path, plan: Plan) -> RunFolder:
        """Make the folder of a new run and point `current` to it.  Raises CannotFinish when the disk refuses."""
        home = environment_folder(root, plan.system, plan.environment)
        try:
            home.mkdir(parents=True, exist_ok=True)
            while True:
                folder = cls(home / (run_id := new_run_id()), plan.system, plan.environment, run_id)
                try:
                    folder.path.mkdir()
                    break
                except FileExistsError:
                    continue
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise CannotFinish(f"cannot be made: {reason}", object=str(home), next="make it writable") from None
        head = {"format": FORMAT, "run": run_id, "system": plan.system, "environment": plan.environment}
        write_json(
            folder.path / "run.json",
            {**head, "plan": plan.hash, "opened": now(), "phases": list(plan.runbook.phases), "attempts": []},
        )
        write_text(folder.path / "plan.json", plan.canonical + "\n")
        write_text(home / "current", run_id + "\n")
        return folder

    @classmethod
    def open(cls, root: Path, system: str, environment: str, run_id: str) -> RunFolder:
        """An existing run.  Raises WrongUse when there is none with this id."""
        home = environment_folder(root, system, environment)
        if not RUN_ID.match(run_id) or not (home / run_id / "run.json").is_file():
            step = f'use an id that `towpath status {system}` lists, or ""'
            raise WrongUse("no such run", object=f"{system} {environment} {run_id}", next=step)
        return cls(home / run_id, system, environment, run_id)

    @classmethod
    def current(cls, root: Path, system: str, environment: str) -> RunFolder | None:
        """The newest run, or None."""
        pointer = environment_folder(root, system, environment) / "current"
        try:
            run_id = pointer.read_text(encoding="utf-8").strip()
        except OSError:
            return None
        return cls.open(root, system, environment, run_id)

    @property
    def head(self) -> dict[str, Any]:
        """run.json.  Raises BadInput when it is missing or is none."""
        head = read_json(self.path / "run.json")
        if not isinstance(head, dict) or not isinstance(head.get("attempts"), list) or "plan" not in head:
            raise BadInput("is not a run", object=str(self.path / "run.json"), next="start a new run")
        return head

    @property
    def plan_hash(self) -> str:
        """The plan that the run was opened with."""
        return str(self.head["plan"])

    def attempts(self) -> list[tuple[str, int]]:
        """Every attempt in order, as (phase, number)."""
        return [(str(item["phase"]), int(item["attempt"])) for item in self.head["attempts"]]

    def results(self) -> Iterator[PhaseResult]:
        """Every attempt's result in order.  Raises BadInput for one that is missing or is none."""
        for phase, attempt in self.attempts():
            yield self.result(phase, attempt)

    def result(self, phase: str, attempt: int) -> PhaseResult:
        """One attempt's result.  Raises BadInput."""
        return read_result(result_path(self.path, phase, attempt))

    def newest(self, phase: str) -> PhaseResult | None:
        """The result of the newest attempt at a phase, or None.  Raises BadInput when its file is gone or broken."""
        numbers = [attempt for name, attempt in self.attempts() if name == phase]
        return self.result(phase, max(numbers)) if numbers else None

    def begin(self, plan: Plan, phase: str, approval: str = "") -> PhaseResult:
        """Open the next attempt at a phase: its result is written INCOMPLETE before anything runs."""
        head = self.head
        entries = list(head["attempts"])
        attempt = 1 + max((n for name, n in self.attempts() if name == phase), default=0)
        while True:  # never take the name of a result that is already there
            try:
                os.close(os.open(result_path(self.path, phase, attempt), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
                break
            except FileExistsError:
                entries += self._left(plan, phase, attempt)
                attempt += 1
        result = self._opened(plan, phase, attempt, approval)
        write_result(self.path, result)
        write_json(self.path / "run.json", {**head, "attempts": [*entries, _entry(result)]})
        return result

    def _opened(self, plan: Plan, phase: str, attempt: int, approval: str = "") -> PhaseResult:
        return PhaseResult(
            system=self.system,
            environment=self.environment,
            run=self.run_id,
            phase=phase,
            attempt=attempt,
            plan=plan.hash,
            started=now(),
            approval=approval,
        )

    def _left(self, plan: Plan, phase: str, attempt: int) -> list[dict[str, Any]]:
        """What run.json must say of a result that a kill kept it from naming; nothing of one that says more."""
        path = result_path(self.path, phase, attempt)
        result = self._opened(plan, phase, attempt)
        if path.stat().st_size:
            try:
                result = read_result(path)
            except BadInput:
                return []
            if result.verdict is not Verdict.INCOMPLETE or result.ended or result.checks:
                return []
        write_result(self.path, replace(result, error=KILLED))
        return [_entry(result)]

    def inside(self, relative: str) -> Path:
        """A path in the run folder.  Raises WrongUse when it would lead out of it."""
        path = (self.path / relative).resolve()
        if not path.is_relative_to(self.path.resolve()) or Path(relative).is_absolute():
            raise WrongUse("leads out of the run folder", object=relative, next="use a relative path without ..")
        return self.path / relative

    def is_finished(self) -> bool:
        """True when the last phase of the runbook is PASS, and was not cut after it said so."""
        phases = self.head.get("phases") or []
        last = self.newest(str(phases[-1])) if phases else None
        if last is None or (self.path / f"{last.stem}{PARTIAL}").is_file():
            return False
        return last.verdict is Verdict.PASS


def _entry(result: PhaseResult) -> dict[str, Any]:
    return {"phase": result.phase, "attempt": result.attempt, "started": result.started}


def list_runs(root: Path, system: str = "", environment: str = "") -> list[RunFolder]:
    """Every run, by system, environment and time."""
    found = []
    for head in sorted((root / "outputs").glob("*/*/*/run.json")):
        folder = head.parent
        names = folder.parts[-3:]
        if re.match(RUN_ID, names[2]) and system in ("", names[0]) and environment in ("", names[1]):
            found.append(RunFolder(folder, *names))
    return found
