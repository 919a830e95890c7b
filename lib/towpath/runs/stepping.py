"""`towpath prepare`: a phase is opened as `towpath run` opens it, and its notebook waits to be stepped by hand."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import IO, Any

from towpath.errors import CannotFinish, TowpathError
from towpath.plan.params import Params
from towpath.plan.plan import make_plan
from towpath.plan.root import inside, project_root
from towpath.runs.files import write_text
from towpath.runs.folder import environment_folder
from towpath.runs.lock import Lock
from towpath.runs.notebooks import check_parameters, notebook_path
from towpath.runs.prepared import give_up, note_prepared
from towpath.runs.run import approval_of, run_folder
from towpath.runs.seal import signer_for
from towpath.runs.starting import Order, admitted, load_order
from towpath.runs.terminal import Terminal

ENGINE = "towpath"


def prepare(order: Order, out: IO[str] | None = None) -> Path:
    """Open an attempt at the one phase of `order`, and return its notebook, which nobody has executed.

    The plan, the gate, the approvals and the rehearsal are those of `towpath run`.  Raises what refuses, with nothing
    opened.
    """
    root, terminal = project_root(), Terminal(out or sys.stdout)
    plan = make_plan(load_order(root, order), root)
    (phase,) = order.phases
    plan.runbook.step(phase)
    approval, signer = approval_of(plan), signer_for(plan.environment, root)
    template = notebook_path(root, phase)
    check_parameters(root, template)
    lock = Lock(environment_folder(root, plan.system, plan.environment))
    lock.take(f"towpath prepare {plan.system} --env {plan.environment} --phase {phase}")
    try:
        folder = run_folder(root, plan, phase)
        admitted(root, plan, folder, phase)
        give_up(folder, phase)
        result = folder.begin(plan, phase, approval)
        notebook = _parameterised(template, folder.path / f"{result.stem}.ipynb", plan.params, folder.run_id)
        result = note_prepared(folder, result, notebook.cells)
    finally:
        lock.release()
    path = folder.path / f"{result.stem}.ipynb"
    terminal.line(f"{plan.runbook.title}: {plan.environment}, run {folder.run_id}")
    terminal.line(f"plan     {plan.hash}: {'approved' if approval else 'DRY RUN, nothing will be written'}")
    terminal.line(f"seal     {f'will be signed by {signer.public.name}' if signer else 'will be unsigned'}")
    terminal.line(f"notebook {inside(root, path)}")
    terminal.line(
        "open it in JupyterLab (`make lab`), execute every cell once from the first to the last, save it, then:"
    )
    terminal.line(f"    towpath seal {folder.run_id} --phase {phase}")
    return path


def _parameterised(template: Path, path: Path, params: Params, run_id: str) -> Any:
    """Write the notebook with its parameters as papermill injects them, without any output."""
    import nbformat
    from papermill.execute import execute_notebook

    try:
        notebook = execute_notebook(
            str(template),
            str(path),
            parameters={**params.model_dump(), "run_id": run_id},
            engine_name=ENGINE,
            prepare_only=True,
            progress_bar=False,
        )
    except TowpathError:
        raise
    except Exception as error:  # papermill raises whatever its parsers raise
        what = f"cannot be prepared: {type(error).__name__}: {error}"
        raise CannotFinish(what, object=path.name, next="look at the notebook and at the disk") from None
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    write_text(path, nbformat.writes(notebook) + "\n")  # type: ignore[no-untyped-call]
    return notebook
