"""A phase stepped by hand in JupyterLab: what is sealed, and every way to step it wrongly, with a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.lab import Lab, jupyter

from towpath.checks import Verdict
from towpath.cli.command import run_command
from towpath.runs.folder import RunFolder
from towpath.runs.verification import verify_run

PHASES = ("01-inventory", "02-schema")
OPEN = "from towpath.runs.run import open_run\nrun = open_run({phase!r}, vars())\nrun.identify(source='s', target='t')"
SHOWN = """from towpath import show
with show.progress('rows', 3, 'rows') as report:
    report(3)
print('three', flush=True)
run.log('looked')"""
CELLS = (SHOWN, "run.check('TB401', 'tables', 'tasks', 3, 3, True)", "run.close()")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    base = tmp_path_factory.getbasetemp()
    with jupyter(base, base / "jupyter") as running:
        yield running


@pytest.fixture
def stepped(toy: Any) -> Any:
    for phase in PHASES:
        toy.notebook(phase, OPEN.format(phase=phase), *CELLS)
    return toy


def prepared(toy: Any, phase: str = PHASES[0]) -> Path:
    assert run_command(["prepare", "toy", "--env", "local", "--phase", phase]) == 0
    folder = RunFolder.current(toy.root, "toy", "local")
    assert folder is not None
    newest = folder.newest(phase)
    assert newest is not None
    return folder.path / f"{newest.stem}.ipynb"


def seal(phase: str = PHASES[0]) -> int:
    return run_command(["seal", "toy", "--env", "local", "--phase", phase])


def test_a_stepped_phase_is_sealed_and_opens_the_gate(stepped: Any, lab: Lab) -> None:
    path = prepared(stepped)
    with lab.opened(path) as front:
        front.step_all()
        front.save()
        assert run_command(["run", "toy", "--env", "local", "--phase", PHASES[1]]) == 3
    assert seal() == 0
    folder = RunFolder.current(stepped.root, "toy", "local")
    assert folder is not None
    assert [one.found for one in verify_run(folder) if one.verdict is Verdict.FAIL] == []
    assert run_command(["run", "toy", "--env", "local", "--phase", PHASES[1]]) == 0
