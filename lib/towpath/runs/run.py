"""What a notebook works with.

run = open_run("03-export", vars())
run.identify(source=…, target=…)
run.add(checks)
run.close()
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from towpath.checks import Verdict
from towpath.errors import TowpathError, WrongUse
from towpath.plan.params import REHEARSAL, Params, params_from
from towpath.plan.plan import Plan, make_plan
from towpath.plan.root import project_root
from towpath.runs import journal
from towpath.runs.approvals import check_approvals
from towpath.runs.attempt import ChecksFailed, Run
from towpath.runs.cells import watch_cells
from towpath.runs.folder import RunFolder, environment_folder
from towpath.runs.gates import check_gate
from towpath.runs.guard import guard
from towpath.runs.lock import Lock
from towpath.runs.outputs import keep_note, note_path
from towpath.runs.prepared import give_up, waiting_attempt
from towpath.runs.results import PhaseResult, stem

__all__ = ["RESERVED", "ChecksFailed", "Run", "open_run", "run_folder"]

RESERVED = "TOWPATH_ATTEMPT"  # set by the runner: <run id>/<phase>/<attempt>; its process holds the lock
_locks: dict[Path, Lock] = {}


def open_run(phase: str, variables: Mapping[str, Any]) -> Run:
    """Open a phase from a notebook's variables (`vars()`); only the keys of Params are looked at.

    Validates params, makes the plan, finds or makes the run folder, checks the gate, and writes the result INCOMPLETE.
    Raises WrongUse, with nothing started, when any of that refuses.
    """
    root = project_root()
    known = {name: variables[name] for name in Params.model_fields if name in variables}
    params = params_from(known, f"parameters of {phase}")
    plan = make_plan(params, root)
    approval = approval_of(plan)
    reserved = os.environ.get(RESERVED, "")
    lock = None if reserved else _lock(root, plan, phase)
    try:
        folder = run_folder(root, plan, phase)
        before = check_gate(folder, plan, phase)
        waiting = None if reserved else waiting_attempt(folder, phase, plan.params.run_id)
        check_approvals(root, folder, plan, phase, waiting.stem if waiting else _stem(reserved))
        result = waiting or (_taken(folder, phase, reserved) if reserved else _begun(folder, plan, phase, approval))
    except TowpathError:
        if lock is not None:
            lock.release()
        raise
    guard(params.model_dump(), str(root))
    run = Run(root, plan, folder, replace(result, approval=approval), before, lock)
    watch_cells(run.trace)
    journal.attach(folder.path / "journal.jsonl", phase, result.attempt)
    if waiting is not None:
        keep_note(note_path(folder.path, result.stem))
    return run


def run_folder(root: Path, plan: Plan, phase: str) -> RunFolder:
    """The run that a phase belongs to: the one `run_id` names, else the current one, else a new one.

    A phase with gate none opens a new run when the current one is finished, absent, or of another plan.
    """
    may_open = plan.runbook.step(phase).gate == "none"
    if plan.params.run_id:
        return RunFolder.open(root, plan.system, plan.environment, plan.params.run_id)
    current = RunFolder.current(root, plan.system, plan.environment)
    if may_open and (current is None or current.plan_hash != plan.hash or current.is_finished()):
        return RunFolder.create(root, plan)
    if current is None:
        raise WrongUse("there is no run yet", object=phase, next=f"run {plan.runbook.phases[0]} first", code="RN001")
    return current


def approval_of(plan: Plan) -> str:
    """How a plan is approved: "", "plan" or "rehearsal".  Raises WrongUse when the approval names another plan."""
    if not plan.approved:
        return ""
    return "rehearsal" if plan.params.approved_plan == REHEARSAL else "plan"


def _lock(root: Path, plan: Plan, phase: str) -> Lock:
    home = environment_folder(root, plan.system, plan.environment)
    lock = _locks.setdefault(home, Lock(home))
    lock.take(f"{phase} of {plan.system} in {plan.environment}")
    return lock


def _begun(folder: RunFolder, plan: Plan, phase: str, approval: str) -> PhaseResult:
    """A new attempt of a notebook that nobody prepared."""
    give_up(folder, phase)
    return folder.begin(plan, phase, approval)


def _stem(reserved: str) -> str:
    """The stem of the attempt that the runner opened, "" where none did."""
    _, _, rest = reserved.partition("/")
    name, _, number = rest.partition("/")
    return stem(name, int(number)) if number.isdecimal() else ""


def _taken(folder: RunFolder, phase: str, reserved: str) -> PhaseResult:
    """The attempt that the runner opened for this kernel."""
    run_id, _, rest = reserved.partition("/")
    name, _, number = rest.partition("/")
    if run_id == folder.run_id and name == phase and number.isdecimal():
        result = folder.result(phase, int(number))
        if result.verdict is Verdict.INCOMPLETE and not result.ended:
            return result
    step = f"unset {RESERVED}; only the runner sets it"
    raise WrongUse(f"{RESERVED} is {reserved!r}, which is not an open attempt at {phase}", next=step)
