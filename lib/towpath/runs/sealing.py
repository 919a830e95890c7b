"""`towpath seal`: what somebody stepped through by hand becomes the same record as a batch run, or is refused."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from towpath.checks import Verdict
from towpath.errors import CHECKS_FAILED, COULD_NOT_FINISH, BadInput, WrongUse
from towpath.plan.params import params_from
from towpath.plan.plan import Plan, make_plan
from towpath.runs import journal
from towpath.runs.approvals import check_approvals, counted_rows
from towpath.runs.files import write_text
from towpath.runs.finishing import finish_attempt
from towpath.runs.folder import RunFolder, environment_folder
from towpath.runs.gates import check_gate
from towpath.runs.lengths import Lengths
from towpath.runs.lock import Lock
from towpath.runs.outputs import note_path
from towpath.runs.prepared import is_unsealed, prepared_cells
from towpath.runs.redaction import learn, redact_notebook
from towpath.runs.results import PhaseResult
from towpath.runs.seal import signer_for
from towpath.runs.stepped import problems, without_blanks
from towpath.runs.terminal import Terminal

CHECKPOINTS = ".ipynb_checkpoints"  # JupyterLab's second copy of what it saves


def seal_by_hand(root: Path, folder: RunFolder, phase: str, key: str = "", out: IO[str] | None = None) -> int:
    """Seal the newest attempt at a phase, which was stepped by hand, and return the exit code.

    0 it is PASS or a dry run, and sealed; 1 it is FAIL and sealed, or it was not stepped whole and in order, and is not
    sealed: one line for each thing.  Raises WrongUse (3) where there is nothing to seal or something else stands in the
    way; then nothing was written.
    """
    terminal = Terminal(out or sys.stdout)
    lock = Lock(environment_folder(root, folder.system, folder.environment))
    lock.take(f"towpath seal {folder.run_id} --phase {phase}")
    try:
        result = _waiting(folder, phase)
        path = folder.path / f"{result.stem}.ipynb"
        notebook = _read(path)
        plan = _plan(root, folder, result, notebook)
        signer = signer_for(plan.environment, root, key)
        check_gate(folder, plan, phase)
        approvals = counted_rows(root, plan.system, check_approvals(root, folder, plan, phase, result.stem))
        prepared = prepared_cells(folder, phase, result.attempt)
        notebook.cells = without_blanks(notebook.cells, prepared)
        lines = _journal(folder, result)
        found = problems(notebook.cells, prepared, lines, _note(folder, result), result)
        if found:
            for one in found:
                terminal.line(f"FAIL {one.line}")
            terminal.line(
                f"{result.stem} is not sealed. What was executed stays, and is recognised when the phase is repeated. "
                f"Next: towpath prepare {folder.system} --env {folder.environment} --phase {phase}"
            )
            return CHECKS_FAILED
        learn(plan.params.model_dump(), root)
        _finish_notebook(notebook, lines, result, Lengths(folder.path / "log", result.stem))
        write_text(path, _text(notebook))
        _sweep(folder, result)
        result = finish_attempt(root, folder, plan, result, signer, approvals)
    finally:
        lock.release()
    terminal.phase(result)
    terminal.line(f"sealed   {f'signed by {signer.public.name}' if signer else 'unsigned'}")
    return result.exit_code if result.exit_code is not None else COULD_NOT_FINISH


def _waiting(folder: RunFolder, phase: str) -> PhaseResult:
    """The newest attempt at the phase, which must have been prepared and not sealed."""
    result = folder.newest(phase)
    step = f"towpath prepare {folder.system} --env {folder.environment} --phase {phase}"
    if result is None or not prepared_cells(folder, phase, result.attempt):
        what = "was not prepared to be stepped by hand" if result else "has no attempt in this run"
        raise WrongUse(what, object=f"{folder.run_id} {phase}", next=step)
    if not is_unsealed(folder, result):
        raise WrongUse(
            "is sealed already", object=f"{folder.run_id} {result.stem}", next=f"for another attempt: {step}"
        )
    return result


def _plan(root: Path, folder: RunFolder, result: PhaseResult, notebook: Any) -> Plan:
    """The plan as it is now, from the parameters that were injected; the gate demands that it is the run's."""
    given = notebook.metadata.get("papermill", {}).get("parameters", {})
    params = params_from(dict(given), f"parameters of {result.stem}.ipynb")
    if (params.system, params.environment, params.run_id) != (folder.system, folder.environment, folder.run_id):
        step = "restore the notebook that `towpath prepare` wrote, or prepare the phase again"
        raise WrongUse("its parameters are of another run", object=f"{result.stem}.ipynb", next=step)
    return make_plan(params, root)


def _journal(folder: RunFolder, result: PhaseResult) -> list[dict[str, Any]]:
    """The lines of this attempt.  Raises BadInput when the journal's chain is broken."""
    path = folder.path / "journal.jsonl"
    if not path.is_file():
        return []
    wrong = [one for one in journal.verify(path) if "is cut" not in one and "no journal entry" not in one]
    if wrong:
        raise BadInput(wrong[0], object=folder.run_id, next="restore the file from where the record is kept")
    mine = (result.phase, result.attempt)
    return [entry for entry in journal.read(path) if (entry["phase"], entry["attempt"]) == mine]


def _note(folder: RunFolder, result: PhaseResult) -> Mapping[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        note = json.loads(note_path(folder.path, result.stem).read_bytes())
        if isinstance(note, dict):
            return note
    return {}


def _read(path: Path) -> Any:
    import nbformat

    try:
        return nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    except FileNotFoundError:
        raise BadInput("the notebook is missing", object=path.name, next="prepare the phase again") from None
    except Exception as error:  # nbformat raises whatever its parsers raise
        what = f"is no notebook: {type(error).__name__}"
        raise BadInput(what, object=path.name, next="save it again in JupyterLab, or prepare the phase again") from None


def _text(notebook: Any) -> str:
    import nbformat

    return str(nbformat.writes(notebook)) + "\n"  # type: ignore[no-untyped-call]


def _finish_notebook(notebook: Any, lines: Sequence[Mapping[str, Any]], result: PhaseResult, lengths: Lengths) -> None:
    """Bring the notebook into the form that a batch leaves: redacted, not too long, with its account."""
    redact_notebook(notebook)
    times = {str(entry["cell"]): entry for entry in lines}
    is_failed = result.verdict is Verdict.FAIL
    for cell in notebook.cells:
        entry = times.get(str(cell.id))
        broke = bool(entry) and not (entry or {})["success"]
        account = {"status": "failed" if broke else "completed", "exception": broke, **_times(entry)}
        cell.metadata["papermill"] = account
        if cell.cell_type == "code":
            cell.outputs = _shortened(cell, lengths)
    account = notebook.metadata.setdefault("papermill", {})
    first, last = _times(lines[0]), _times(lines[-1])
    account.update(start_time=first["start_time"], end_time=last["end_time"], exception=is_failed or None)
    account["duration"] = _seconds(first["start_time"], last["end_time"])
    if is_failed:
        account["reason"] = result.error


def _shortened(cell: Any, lengths: Lengths) -> list[Any]:
    """The outputs of a cell with each stream in one piece, and nothing longer than a page can carry."""
    made: list[Any] = []
    streams: dict[str, tuple[Any, Any]] = {}
    for output in cell.outputs:
        if output.output_type != "stream":
            lengths.cap(output.output_type, output, str(cell.id))
            made.append(output)
            continue
        if output.name not in streams:
            streams[output.name] = lengths.stream(str(cell.id), output.name), output
            made.append(output)
        streams[output.name][0].feed(output.text)
    for stream, output in streams.values():
        output.text = stream.close()
    return made


def _times(entry: Mapping[str, Any] | None) -> dict[str, Any]:
    """When a cell began and ended by the journal; before the run was opened there is none."""
    if entry is None:
        return {"start_time": None, "end_time": None, "duration": None}
    end = dt.datetime.fromisoformat(str(entry["time"]))
    start = end - dt.timedelta(seconds=float(entry["seconds"]))
    return {"start_time": start.isoformat(), "end_time": end.isoformat(), "duration": float(entry["seconds"])}


def _seconds(start: str, end: str) -> float:
    return (dt.datetime.fromisoformat(end) - dt.datetime.fromisoformat(start)).total_seconds()


def _sweep(folder: RunFolder, result: PhaseResult) -> None:
    """Remove what only stepping needed: the kernel's note, and JupyterLab's own copy of the notebook."""
    note_path(folder.path, result.stem).unlink(missing_ok=True)
    copies = folder.path / CHECKPOINTS
    (copies / f"{result.stem}-checkpoint.ipynb").unlink(missing_ok=True)
    for empty in (copies, folder.path / "log"):
        with contextlib.suppress(OSError):  # it is not empty, or not there
            empty.rmdir()
