"""What earlier phases of this run have read of the files, on both sides, so that a freeze need not read it again.

A list that is missing, damaged, or not the one that its phase wrote is as if there were none: then all is read.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from towpath import objects
from towpath.errors import BadInput
from towpath.runs.attempt import Run
from towpath.workbench.state import SEEN
from towpath.workbench.workbench import Workbench

PROOF = "05-validate"
PROVED = "validate/objects-proved.jsonl"


def seen(bench: Workbench) -> objects.Kept | tuple[()]:
    """The source's files as they were when the newest list of them was made."""
    state = next(bench.states())
    path = state.folder / SEEN
    try:
        return objects.read_seen(path, state.objects) if _is_as_written(bench.run, path) else ()
    except BadInput as error:
        bench.run.log("every file is read:", error.line)
        return ()


def proved(bench: Workbench) -> objects.Before | None:
    """The objects that the last 05-validate proved by content."""
    result = bench.run.run_folder.newest(PROOF)
    name = (result.outputs or {}).get(PROVED) if result else None
    if name is None:
        return None
    path = bench.run.folder / name
    try:
        found = objects.read_proved(path, bench.params.r2_bucket, PROOF)
    except BadInput as error:
        bench.run.log("every object is read:", error.line)
        return None
    known = {state.objects.digest for state in bench.states()}
    return found if found.manifest in known and _is_as_written(bench.run, path) else None


def _is_as_written(run: Run, path: Path) -> bool:
    """True if the record names this file with this digest."""
    if not path.is_file():
        return False
    name = path.relative_to(run.folder).as_posix()
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return any((a.path, a.sha256) == (name, digest) for r in run.run_folder.results() for a in r.artefacts)
