"""What comes before an attempt, in a batch and by hand alike: what was ordered, the gate, the rehearsal."""

from __future__ import annotations

import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from towpath.errors import CannotFinish
from towpath.plan.params import Params, load_params, params_from, params_path
from towpath.plan.plan import Plan
from towpath.plan.problems import refuse
from towpath.plan.root import inside
from towpath.runs.approvals import check_approvals, counted_rows
from towpath.runs.folder import RunFolder
from towpath.runs.gates import check_gate
from towpath.runs.redaction import learn, redact

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


def admitted(root: Path, plan: Plan, folder: RunFolder, phase: str) -> list[dict[str, str]]:
    """Let a phase begin: its gate is open, its approvals stand, and what the runbook rehearses before it has run.

    Returns the approvals as the seal notes them.  Raises WrongUse and CannotFinish.
    """
    check_gate(folder, plan, phase)
    approvals = counted_rows(root, plan.system, check_approvals(root, folder, plan, phase))
    _rehearse(root, plan, folder, phase)
    return approvals


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
    with tempfile.TemporaryFile() as out:  # no pipe: what the command leaves running would keep it open
        try:
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
            raise CannotFinish(f"`{command}` did not run: {error}", object=phase, next="run it by hand") from None
        finally:
            _keep_log(log, out, plan.params, root)
    if done.returncode:
        what = f"`{command}` ended with {done.returncode}"
        raise CannotFinish(what, object=phase, next=f"read {inside(root, log)}")


def _keep_log(log: Path, out: IO[bytes], params: Params, root: Path) -> None:
    """What a command printed, without the secrets that its environment gave it."""
    learn(params.model_dump(), root)
    out.seek(0)
    said = redact(out.read().decode("utf-8", "replace"))
    with log.open("a", encoding="utf-8") as file:
        file.write(said)
