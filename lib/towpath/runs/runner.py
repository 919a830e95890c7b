"""`towpath run`: the phases of a system in their order, each through its gate, up to the first that is not PASS."""

from __future__ import annotations

import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import IO

from towpath.checks import Verdict
from towpath.errors import COULD_NOT_FINISH, PASS, TowpathError, WrongUse
from towpath.plan.plan import Plan, make_plan
from towpath.plan.root import VARIABLE, inside, project_root
from towpath.runs.cells import LONGEST, error_line
from towpath.runs.execution import Ended, Interruptions, execute
from towpath.runs.finishing import finish_attempt
from towpath.runs.folder import RunFolder, environment_folder
from towpath.runs.keeping import Keeper
from towpath.runs.lock import Lock
from towpath.runs.notebooks import check_parameters, notebook_path
from towpath.runs.prepared import give_up
from towpath.runs.redaction import redact
from towpath.runs.results import PARTIAL, PhaseResult, now
from towpath.runs.run import RESERVED, approval_of, run_folder
from towpath.runs.seal import signer_for
from towpath.runs.starting import Order, admitted, load_order
from towpath.runs.terminal import Progress, Terminal
from towpath.signing.keys import Signer

PROGRESS = "TOWPATH_PROGRESS"  # the file to which towpath.show writes progress


def run_system(order: Order, out: IO[str] | None = None, keeper: Keeper | None = None) -> int:
    """Run the phases that `order` asks for and return the exit code; `keeper` keeps the record elsewhere, too.

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
    if plan.params.run_id and keeper is None:
        RunFolder.open(root, plan.system, plan.environment, plan.params.run_id)
    for phase in phases:
        check_parameters(root, notebook_path(root, phase))
    lock = Lock(environment_folder(root, plan.system, plan.environment))
    purpose = f"towpath run {plan.system} --env {plan.environment}"
    lock.take(purpose)
    interruptions = Interruptions()
    try:
        whole = not order.phases and not order.start and not plan.params.run_id
        kept = keeper.begin(plan.system, plan.environment, plan.params.run_id, whole) if keeper else []
        folder = _folder(root, plan, phases[0], whole)
        terminal.line(f"{plan.runbook.title}: {plan.environment}, run {folder.run_id}")
        terminal.line(f"plan {plan.hash}: {'approved' if approval else 'DRY RUN, nothing will be written'}")
        terminal.line(f"seal     {f'signed by {signer.public.name}' if signer else 'unsigned'}")
        for line in kept:
            terminal.line(line)
        if lock.stale:
            terminal.line(f"RN006 {lock.stale} ended without releasing the lock; its phase stays INCOMPLETE")
        code = PASS
        with interruptions.caught():
            for phase in phases:
                lock.take(f"{purpose}, now {phase}")
                code = _phase(root, plan, folder, phase, approval, signer, interruptions, terminal)
                if keeper is not None:
                    terminal.line(keeper.keep(folder))
                if code != PASS or interruptions.numbers:
                    break
                if (newest := folder.newest(phase)) and newest.verdict is Verdict.DRY_RUN:
                    code = PASS if order.dry_run else COULD_NOT_FINISH
                    _say_how_to_approve(newest, order.dry_run, terminal)
                    break
        terminal.line(f"record   {inside(root, folder.path / 'index.html')}")
        return code
    finally:
        if keeper is not None:
            keeper.end()
        lock.release()


def chosen(plan: Plan, order: Order) -> tuple[str, ...]:
    """The phases of an order, in the runbook's order; the way back only where it is named.

    Raises WrongUse for one that the runbook does not have.
    """
    phases = plan.runbook.phases
    for name in (*order.phases, *([order.start] if order.start else [])):
        plan.runbook.step(name)
    if order.phases and order.start:
        raise WrongUse("--phase and --from exclude each other", next="use one of them")
    if order.phases:
        return tuple(step.phase for step in plan.runbook.all_steps if step.phase in order.phases)
    if order.start and order.start not in phases:
        raise WrongUse(f"nothing comes after {order.start}", next=f"name it with --phase {order.start}")
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
        approvals = admitted(root, plan, folder, phase)
    except TowpathError as error:
        terminal.line(f"{phase:<16}not started")
        terminal.line(f"    {error_line(error)}")
        return error.exit_code
    give_up(folder, phase)
    result = folder.begin(plan, phase, approval)
    partial = folder.path / f"{result.stem}{PARTIAL}"
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
    result = _finished(folder, result, ended, partial)
    result = finish_attempt(root, folder, plan, result, signer, approvals)
    terminal.phase(result)
    code = result.exit_code if result.exit_code is not None else COULD_NOT_FINISH
    return 128 + ended.signal if ended.signal and code != PASS else code


def _finished(folder: RunFolder, begun: PhaseResult, ended: Ended, partial: Path) -> PhaseResult:
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
    if partial.is_file():
        partial.replace(folder.path / f"{result.stem}.ipynb")
    return result


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


def _say_how_to_approve(result: PhaseResult, asked: bool, terminal: Terminal) -> None:
    steps = [check.next for check in result.checks if check.verdict is Verdict.DRY_RUN and check.next]
    terminal.line("DRY RUN: nothing was written." if asked else "DRY RUN: no approval was given; nothing was written.")
    for step in dict.fromkeys(steps):
        terminal.line(f"    to go on: {step}")
