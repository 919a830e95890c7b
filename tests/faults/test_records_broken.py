"""How a run ended badly, and what its record says: papermill's own account says "completed" in most of these cases."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from helpers.records import Desk, notebook, result, run_folder, states
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.exceptions import PapermillExecutionError

from towpath.checks import Verdict
from towpath.runs.pages import render_index, render_phase

# The cell says through a pipe that it runs, and then waits to be ended.
WAITING = """import os, threading
from IPython.display import display
display({'text/plain': 'INCOMPLETE'}, raw=True, display_id='banner')
print('written before the end', flush=True)
with open('ready', 'w') as pipe:
    pipe.write(str(os.getpid()))
threading.Event().wait(60)"""


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("TOWPATH_ROOT", str(tmp_path / "desk"))
    monkeypatch.setenv("CANARY_TOKEN", "environment-canary-3333")
    return Desk(tmp_path / "desk")


@pytest.fixture
def ready(desk: Desk) -> Iterator[int]:
    """The reading end of the pipe `ready` in the folder where papermill runs."""
    os.mkfifo(desk.folder / "ready")
    pipe = os.open(desk.folder / "ready", os.O_RDONLY | os.O_NONBLOCK)
    yield pipe
    os.close(pipe)


@pytest.mark.parametrize(
    ("number", "code", "reason"),
    [
        (signal.SIGINT, 1, "interrupted by SIGINT (Ctrl-C)"),
        (signal.SIGTERM, 143, "stopped by SIGTERM"),
        (signal.SIGKILL, -9, None),
    ],
)
def test_a_signal_to_papermill(desk: Desk, ready: int, number: signal.Signals, code: int, reason: str | None) -> None:
    process = desk.start(notebook("1", WAITING, "print('never')"), "--autosave-cell-every", "1")
    assert select.select([ready], [], [], 60)[0], "the cell did not start"
    kernel = psutil.Process(int(os.read(ready, 100)))
    process.send_signal(number)
    said, _ = process.communicate(timeout=60)
    assert psutil.wait_procs([kernel], timeout=30)[1] == [], "the kernel outlived its run"
    saved = desk.saved()
    assert process.returncode == code, said
    assert states(saved)["c3"] == "pending"
    if reason is None:  # nobody was left to write: the last save stands, and it claims nothing
        assert states(saved)["c2"] == "running"
        assert saved.metadata.papermill.end_time is None
    else:
        assert states(saved)["c2"] == "failed"
        assert saved.metadata.papermill.reason == reason
        assert saved.cells[0].source == f"**INCOMPLETE** in cell c2: {reason}. Later cells did not run."
        assert "written before the end" in desk.everything()
    assert "environment-canary" not in desk.everything() + said


def test_a_cell_that_takes_too_long(desk: Desk) -> None:
    cells = ("import threading\nprint('begun')\nthreading.Event().wait(60)", "print('never')")
    with pytest.raises(CellTimeoutError):
        desk.execute(notebook(*cells), execution_timeout=5)
    saved = desk.saved()
    assert states(saved) == {"parameters": "completed", "c1": "failed", "c2": "pending"}
    assert saved.metadata.papermill.exception is True
    assert saved.metadata.papermill.reason == "timed out after 5 s"
    cell = next(cell for cell in saved.cells if cell.id == "c1")
    assert [output.get("text") or output.evalue for output in cell.outputs] == ["begun\n", "timed out after 5 s"]


def test_a_kernel_that_dies(desk: Desk) -> None:
    with pytest.raises(DeadKernelError):
        desk.execute(notebook("import os\nos._exit(0)", "1"))
    saved = desk.saved()
    assert states(saved) == {"parameters": "completed", "c1": "failed", "c2": "pending"}
    assert saved.metadata.papermill.reason.startswith("the kernel died")


def test_a_kernel_that_never_starts(desk: Desk) -> None:
    with pytest.raises(Exception, match="No such kernel"):
        desk.execute(notebook("1"), kernel_name="nosuch", language="python")
    saved = desk.saved()
    assert set(states(saved).values()) == {"pending"}
    assert saved.metadata.papermill.exception is True
    assert saved.cells[0].source.startswith("**INCOMPLETE**: the kernel did not start: NoSuchKernel")


@pytest.mark.parametrize("source", ["import sys\nsys.exit(0)", "exit()"])
def test_an_exit_in_a_cell_is_a_failure(desk: Desk, source: str) -> None:
    with pytest.raises(PapermillExecutionError, match="that is a failure"):
        desk.execute(notebook(source))
    saved = desk.saved()
    assert states(saved)["c1"] == "failed"
    assert "the cells after it did not run" in saved.metadata.papermill.reason


def test_a_pass_over_a_notebook_that_broke_is_shown_as_incomplete(desk: Desk, tmp_path: Path) -> None:
    """The checks passed and the result was written; then the clean-up cell broke."""
    with pytest.raises(PapermillExecutionError):
        desk.execute(notebook("# Inventory", "1/0"))
    folder = run_folder(tmp_path, [result("01-inventory")], phases=["01-inventory"])
    desk.output.replace(folder / "01-inventory.ipynb")
    page = render_phase(folder, "01-inventory").read_text()
    assert "INCOMPLETE · Inventory" in page
    assert "but the notebook did not come to its end: ZeroDivisionError: division by zero" in page


def test_a_killed_phase_is_incomplete_on_the_run_page(tmp_path: Path) -> None:
    killed = result("01-inventory", 1, Verdict.INCOMPLETE, checks=(), ended="", numbers=())
    folder = run_folder(tmp_path, [result("00-ready"), killed])
    page = render_index(folder).read_text()
    assert "INCOMPLETE · joan, local" in page
    assert "01-inventory did not come to its end" in page
