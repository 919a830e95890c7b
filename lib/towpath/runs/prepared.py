"""Attempts that were prepared to be stepped by hand: which cells they must have, and which of them still waits.

`run.json` keeps the digest of every cell of the prepared notebook with the attempt, in the notebook's order.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from towpath.checks import Verdict
from towpath.errors import COULD_NOT_FINISH, WrongUse
from towpath.runs import journal
from towpath.runs.files import write_json
from towpath.runs.folder import RunFolder
from towpath.runs.redaction import ENGINE
from towpath.runs.results import PhaseResult, now, stem, write_result

KEY = "prepared"  # of an attempt in run.json
SEAL = ".dsse.json"  # as towpath.runs.seal names it
SESSION = "JPY_SESSION_NAME"  # in kernels that a Jupyter server started: the path of their notebook
WAITING = "prepared to be stepped by hand, and not sealed yet"
GIVEN_UP = "prepared to be stepped by hand, and never sealed"


def fingerprint(cell: Mapping[str, Any]) -> str:
    """SHA-256 of what a cell is: its type and its source."""
    source = "".join(cell["source"])
    return hashlib.sha256(f"{cell['cell_type']}\n{source}".encode("utf-8", "surrogatepass")).hexdigest()


def note_prepared(folder: RunFolder, result: PhaseResult, cells: Iterable[Mapping[str, Any]]) -> PhaseResult:
    """Note in run.json that an attempt is stepped by hand with these cells, and in its result that it waits."""
    head = folder.head
    for entry in head["attempts"]:
        if (entry["phase"], entry["attempt"]) == (result.phase, result.attempt):
            entry[KEY] = {str(cell["id"]): fingerprint(cell) for cell in cells}
    write_json(folder.path / "run.json", head)
    waiting = replace(result, error=WAITING)
    write_result(folder.path, waiting)
    return waiting


def prepared_cells(folder: RunFolder, phase: str, attempt: int) -> dict[str, str]:
    """The digest of each prepared cell by its id, in order; empty for an attempt that was not prepared."""
    for entry in folder.head["attempts"]:
        if (entry["phase"], entry["attempt"]) == (phase, attempt):
            return dict(entry.get(KEY) or {})
    return {}


def is_unsealed(folder: RunFolder, result: PhaseResult) -> bool:
    """True for an attempt that was prepared and has no seal: it opens no gate."""
    has_seal = (folder.path / f"{result.stem}{SEAL}").is_file()
    return not has_seal and bool(prepared_cells(folder, result.phase, result.attempt))


def was_opened(folder: RunFolder, result: PhaseResult) -> bool:
    """True when a kernel has executed cells of this attempt."""
    path = folder.path / "journal.jsonl"
    entries = journal.read(path) if path.is_file() else iter(())
    return any((one["phase"], one["attempt"]) == (result.phase, result.attempt) for one in entries)


def give_up(folder: RunFolder, phase: str) -> None:
    """A new attempt begins: one that was prepared before and never sealed is INCOMPLETE, whatever it says."""
    result = folder.newest(phase)
    if result is not None and is_unsealed(folder, result):
        error = (
            GIVEN_UP if result.error in ("", WAITING) else f"{GIVEN_UP}: {result.error}".replace(f": {GIVEN_UP}", "")
        )
        gone = replace(result, verdict=Verdict.INCOMPLETE, error=error, exit_code=COULD_NOT_FINISH)
        write_result(folder.path, replace(gone, ended=result.ended or now()))


def waiting_attempt(folder: RunFolder, phase: str, run_id: str) -> PhaseResult | None:
    """The prepared attempt that the notebook of this kernel belongs to; None for a notebook that was not prepared.

    Raises WrongUse when it was prepared, and its attempt is over or was opened before.
    """
    newest = folder.newest(phase)
    session = Path(os.environ.get(SESSION, ""))
    if newest is None or run_id != folder.run_id or ENGINE in os.environ:
        return None
    name = newest.stem
    if session.name:
        name = session.stem
        numbers = {stem(phase, number): number for one, number in folder.attempts() if one == phase}
        if session.parent.name not in ("", run_id) or name not in numbers:
            return None
        if not prepared_cells(folder, phase, numbers[name]):
            return None
    elif not is_unsealed(folder, newest):
        return None
    if name != newest.stem:
        raise _over(folder, f"{newest.stem} came after it", name)
    if not is_unsealed(folder, newest):
        raise _over(folder, "it is sealed", name)
    if was_opened(folder, newest) or newest.ended:
        raise _over(
            folder, "it was opened before, and an attempt is stepped once from its first cell to its last", name
        )
    return replace(newest, started=now(), error="")


def _over(folder: RunFolder, why: str, name: str) -> WrongUse:
    phase = name.partition(".")[0]
    step = f"towpath prepare {folder.system} --env {folder.environment} --phase {phase}, then open what it names"
    return WrongUse(f"this attempt is over: {why}", object=f"{name}.ipynb", next=step)
