"""`towpath run`: the phases of a system in their order, each through its gate, up to the first that is not PASS."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from towpath.checks import Verdict
from towpath.errors import COULD_NOT_FINISH, PASS, CannotFinish, TowpathError, WrongUse
from towpath.plan.params import Params, load_params, params_from, params_path
from towpath.plan.plan import Plan, make_plan
from towpath.plan.problems import refuse
from towpath.plan.root import VARIABLE, inside, project_root
from towpath.runs import journal
from towpath.runs.approvals import check_approvals, counted_rows
from towpath.runs.cells import LONGEST, error_line
from towpath.runs.execution import Ended, Interruptions, execute
from towpath.runs.folder import RunFolder, environment_folder
from towpath.runs.gates import check_gate
from towpath.runs.lock import Lock
from towpath.runs.notebooks import check_parameters, notebook_path
from towpath.runs.redaction import redact
from towpath.runs.results import PhaseResult, artefact_of, now, write_result
from towpath.runs.run import RESERVED, approval_of, run_folder
from towpath.runs.seal import seal_attempt, signer_for
from towpath.runs.terminal import Progress, Terminal
from towpath.signing.keys import Signer

PROGRESS = "TOWPATH_PROGRESS"  # the file to which towpath.show writes progress
REHEARSAL_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody asked to be run."""

    system: str
    environment: str
    phases: tuple[str, ...] = ()  # none: all of the runbook
    start: str = ""  # the first phase, where not all are meant
    approve: str = ""
    target: str = ""
    run_id: str = ""
    dry_run: bool = False
    overrides: Mapping[str, Any] | None = None


def run_system(order: Order, out: IO[str] | None = None) -> int:
    """Run the phases that `order` asks for and return the exit code.

    0 all PASS (or a dry run that was asked for came to its first write); 1 checks failed; 2 could not finish, or ended
    as a dry run nobody asked for; 3 wrong use; 130 or 143 stopped by SIGINT or SIGTERM.
    Raises WrongUse before the first kernel starts, and CannotFinish when the disk refuses.
    """
    root, terminal = project_root(), Terminal(out or sys.stdout)
    params = load_order(root, order)
    plan = make_plan(params, root)
    approval = approval_of(plan)
    signer = signer_for(plan.environment, root)
    phases = chosen(plan, order)
    if plan.params.run_id:
        RunFolder.open(root, plan.system, plan.environment, plan.params.run_id)
    for phase in phases:
        check_parameters(root, notebook_path(root, phase))
    lock = Lock(environment_folder(root, plan.system, plan.environment))
    lock.take(f"towpath run {plan.system} --env {plan.environment}")
    interruptions = Interruptions()
    try:
        folder = _folder(root, plan, phases[0], whole=not order.phases and not order.start)
        terminal.line(f"{plan.runbook.title}: {plan.environment}, run {folder.run_id}")
        terminal.line(f"plan {plan.hash}: {'approved' if approval else 'DRY RUN, nothing will be written'}")
        terminal.line(f"seal     {f'signed by {signer.public.name}' if signer else 'unsigned'}")
        if lock.stale:
            terminal.line(f"RN006 {lock.stale} ended without releasing the lock; its phase stays INCOMPLETE")
        code = PASS
        with interruptions.caught():
            for phase in phases:
                code = _phase(root, plan, folder, phase, approval, signer, interruptions, terminal)
                if code != PASS or interruptions.numbers:
                    break
                if (newest := folder.newest(phase)) and newest.verdict is Verdict.DRY_RUN:
                    code = PASS if order.dry_run else COULD_NOT_FINISH
                    _say_how_to_approve(newest, order.dry_run, terminal)
                    break
        terminal.line(f"record   {inside(root, folder.path / 'index.html')}")
        return code
    finally:
        lock.release()


def load_order(root: Path, order: Order) -> Params:
    """The params of an order: the file, then `--param`, then approvals.  Raises PlanRefused."""
    path = params_path(root, order.system, order.environment)
    shown = inside(root, path)
    params = load_params(path)
    given = {"approved_plan": order.approve, "approved_target": order.target, "run_id": order.run_id}
    changed = {**(order.overrides or {}), **{key: value for key, value in given.items() if value}}
    if order.dry_run:
        changed["approved_plan"] = ""
    if changed:
        params = params_from({**params.model_dump(), **changed}, "options of the command:")
    for key, expected in (("system", order.system), ("environment", order.environment)):
        if getattr(params, key) != expected:
            raise refuse("PL003", shown, key, f"does not say {expected}", f"write {key}: {expected}")
    return params


def chosen(plan: Plan, order: Order) -> tuple[str, ...]:
    """The phases of an order, in the runbook's order.  Raises WrongUse for one that the runbook does not have."""
    phases = plan.runbook.phases
    for name in (*order.phases, *([order.start] if order.start else [])):
        plan.runbook.step(name)
    if order.phases and order.start:
        raise WrongUse("--phase and --from exclude each other", next="use one of them")
    if order.phases:
        return tuple(phase for phase in phases if phase in order.phases)
    return phases[phases.index(order.start) :] if order.start else phases


def _folder(root: Path, plan: Plan, first: str, whole: bool) -> RunFolder:
    """A new run for all phases; else the run that `run_id` or `current` names."""
    return RunFolder.create(root, plan) if whole and not plan.params.run_id else run_folder(root, plan, first)


def _phase(
    root: Path,
    plan: Plan,
    folder: RunFolder,
    phase: str,
    approval: str,
    signer: Signer | None,
    interruptions: Interruptions,
    terminal: Terminal,
) -> int:
    try:
        check_gate(folder, plan, phase)
        approvals = counted_rows(root, plan.system, check_approvals(root, folder, plan, phase))
        _rehearse(root, plan, folder, phase)
    except TowpathError as error:
        terminal.line(f"{phase:<16}not started")
        terminal.line(f"    {error_line(error)}")
        return error.exit_code
    result = folder.begin(plan, phase, approval)
    partial = folder.path / f"{result.stem}.partial.ipynb"
    progress = Progress(folder.path / "log" / f"{result.stem}.progress.jsonl")
    progress.path.parent.mkdir(exist_ok=True)
    ended = execute(
        notebook_path(root, phase),
        partial,
        {**plan.params.model_dump(), "run_id": folder.run_id},
        {
            VARIABLE: str(root),
            RESERVED: f"{folder.run_id}/{phase}/{result.attempt}",
            PROGRESS: str(progress.path),
        },
        interruptions,
        lambda seconds: terminal.moving(f"{result.stem:<16}{seconds:6.0f} s  {progress.newest()}", seconds),
    )
    progress.path.unlink(missing_ok=True)
    result = _finished(folder, result, ended, partial, signer)
    seal_attempt(root, folder, plan, result, signer, approvals)
    terminal.phase(result)
    code = result.exit_code if result.exit_code is not None else COULD_NOT_FINISH
    return 128 + ended.signal if ended.signal and code != PASS else code


def _finished(folder: RunFolder, begun: PhaseResult, ended: Ended, partial: Path, signer: Signer | None) -> PhaseResult:
    """The result as the kernel left it, with what only the runner knows; never better than the kernel left it."""
    result = folder.result(begun.phase, begun.attempt)
    if result.verdict is Verdict.INCOMPLETE:
        error = result.error or _reason(ended)
        result = replace(
            result, error=error, exit_code=result.exit_code or COULD_NOT_FINISH, ended=result.ended or now()
        )
    elif ended.error is not None and result.verdict in (Verdict.PASS, Verdict.DRY_RUN):
        # The checks passed, then something broke: the attempt did not come to its end.
        error, code = _reason(ended), COULD_NOT_FINISH
        result = replace(result, verdict=Verdict.INCOMPLETE, error=error, exit_code=code)
    result = result.with_number("seconds", round(ended.seconds, 3), "s")
    peak = max(ended.peak or 0, int(result.number("kernel_peak_memory") or 0))
    if peak:
        result = result.with_number("kernel_peak_memory", peak, "bytes")
    entries, last = journal.head(folder.path / "journal.jsonl")
    result = replace(result, journal_entries=entries, journal_hash=last)
    final = folder.path / f"{result.stem}.ipynb"
    files = []
    if partial.is_file():
        partial.replace(final)
        files.append(final)
    write_result(folder.path, result)
    files += _pages(folder, result, signer)
    result = result.with_artefacts(artefact_of(folder.path, file) for file in files)
    write_result(folder.path, result)
    return result


def _pages(folder: RunFolder, result: PhaseResult, signer: Signer | None) -> list[Path]:
    """The page of the phase and the index of the run, as far as they can be rendered."""
    from towpath.runs.pages import render_index, render_phase  # nbconvert: seconds of imports

    made = []
    try:
        if (folder.path / f"{result.stem}.ipynb").is_file():
            made.append(render_phase(folder.path, result.stem))
        render_index(folder.path, sealing=(result.stem, signer.public.name if signer else ""))
    except (OSError, ValueError, TowpathError) as error:
        raise CannotFinish(
            f"the pages cannot be rendered: {error}", object=result.stem, next="the result file holds the verdict"
        ) from error
    return made


def _reason(ended: Ended) -> str:
    if ended.signal:
        return f"stopped by {signal.Signals(ended.signal).name}. Next: run the phase again"
    if ended.error is not None:
        return _raised(ended.error)
    return "the notebook ended without run.close(). Next: end it with its verdict"


def _raised(error: BaseException) -> str:
    """What papermill raised, in one line: a cell's error as the cell said it, anything else as the notebook says it."""
    from papermill.exceptions import PapermillExecutionError

    from towpath.runs.kernel import reason_of

    if isinstance(error, PapermillExecutionError):
        is_ours = " Next: " in error.evalue  # a TowpathError says everything itself
        return redact(" ".join((error.evalue if is_ours else f"{error.ename}: {error.evalue}").split()))[:LONGEST]
    if isinstance(error, TowpathError):
        return error_line(error)
    return f"{reason_of(error)}. Next: run the phase again; what was written has its receipt"[:LONGEST]


def _rehearse(root: Path, plan: Plan, folder: RunFolder, phase: str) -> None:
    """Run the step's `rehearse_before`: only in the environment local, with the target on this machine.

    Only before the first attempt at the phase: a later one goes on where the first stopped.
    """
    if folder.newest(phase) is not None:
        return
    command = plan.runbook.step(phase).rehearse_before
    if not command or plan.environment != "local" or not plan.params.on_this_machine:
        return
    words = shlex.split(command)
    if words[0] in ("python", "python3"):
        words[0] = sys.executable
    log = folder.inside(f"log/{phase}.rehearse.log")
    log.parent.mkdir(exist_ok=True)
    try:
        with log.open("ab") as out:
            done = subprocess.run(
                words,
                cwd=root,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                timeout=REHEARSAL_SECONDS,
                check=False,
            )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotFinish(f"`{command}` did not run: {error}", object=phase, next=f"read {log.name}") from None
    if done.returncode:
        what = f"`{command}` ended with {done.returncode}"
        raise CannotFinish(what, object=phase, next=f"read {inside(root, log)}")


def _say_how_to_approve(result: PhaseResult, asked: bool, terminal: Terminal) -> None:
    steps = [check.next for check in result.checks if check.verdict is Verdict.DRY_RUN and check.next]
    terminal.line("DRY RUN: nothing was written." if asked else "DRY RUN: no approval was given; nothing was written.")
    for step in dict.fromkeys(steps):
        terminal.line(f"    to go on: {step}")
