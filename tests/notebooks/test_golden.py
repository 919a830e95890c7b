"""Golden copies under nbval: a new run of every notebook over the tiny source says what the last one said."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from helpers import golden
from helpers.contract import COMPARED, PHASES, ROOT, code, tags
from helpers.golden import GOLDEN
from helpers.project import Project
from helpers.tiny import sql, tiny, written


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with tiny(tmp_path_factory.mktemp("tiny") / "project") as made:
        yield made


@dataclass(frozen=True)
class Again:
    """Every golden, run again: what nbval says of each cell, and the verdicts that the run left."""

    said: dict[str, dict[int, str]]
    verdicts: dict[str, str]


@pytest.fixture(scope="module")
def again(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Again:
    copies = golden.prepare(project, [GOLDEN / f"{phase}.ipynb" for phase in PHASES], tmp_path_factory.mktemp("golden"))
    said = golden.nbval(project, copies[:-2])
    sql(project, "changes.sql")
    said |= golden.nbval(project, copies[-2:-1])
    written(project)
    return Again({**said, **golden.nbval(project, copies[-1:])}, project.verdicts())


@pytest.mark.parametrize("phase", PHASES)
def test_a_new_run_says_what_the_golden_copy_says(again: Again, phase: str) -> None:
    # the parameters that papermill injected are one cell more
    assert len(again.said[phase]) == len(code(golden.read(GOLDEN / f"{phase}.ipynb"))) + 1
    wrong = [said for said in again.said[phase].values() if said]
    assert not wrong, "\n\n".join(wrong)


def test_the_new_run_left_the_same_record(again: Again) -> None:
    """nbval runs a plain kernel, as JupyterLab does."""
    assert again.verdicts == dict.fromkeys(PHASES, "PASS")


def test_a_changed_output_is_found(again: Again, project: Project, tmp_path: Path) -> None:
    assert again.verdicts["06-cutover"] == "PASS"  # that run is over: this one begins another
    project.database.unlink()
    (project.data / "attachments" / "new-there.txt").unlink()  # 07-roll-back brought it
    sql(project, "source.sql")
    phase = "01-inventory"
    broken = golden.read(GOLDEN / f"{phase}.ipynb")
    index, cell = next((i, c) for i, c in enumerate(code(broken)) if c["id"] == "count-orphans")
    shown = cell["outputs"][0]["data"]
    shown["text/plain"] = [line.replace("tasks 1 5", "tasks 0 5") for line in shown["text/plain"]]
    golden.write(tmp_path / f"{phase}.ipynb", broken)
    (copy,) = golden.prepare(project, [tmp_path / f"{phase}.ipynb"], tmp_path / "prepared")
    said = {number: text for number, text in golden.nbval(project, [copy])[phase].items() if text}
    assert list(said) == [index + 1]
    assert "inventory.foreign_keys" in said[index + 1]


@pytest.mark.parametrize("phase", PHASES)
def test_the_golden_copy_is_of_the_present_notebook(phase: str) -> None:
    """A golden keeps its own copy of the code: without this, yesterday's notebook would be tested."""
    now = golden.read(ROOT / "notebooks" / f"{phase}.ipynb")
    kept = golden.read(GOLDEN / f"{phase}.ipynb")
    assert golden.sources(kept) == golden.sources(now), "run make golden"
    assert kept["metadata"] == now["metadata"], "run make golden"


def test_another_source_would_be_noticed() -> None:
    now = golden.read(ROOT / "notebooks" / "04-import.ipynb")
    changed = json.loads(json.dumps(now))
    changed["cells"][-1]["source"] = ["bench.close()"]
    assert golden.sources(changed) != golden.sources(now)
    moved = json.loads(json.dumps(now))
    moved["cells"][-1]["metadata"]["tags"] = []
    assert golden.sources(moved) != golden.sources(now)


@pytest.mark.parametrize("phase", PHASES)
def test_what_is_to_be_compared_is_there(phase: str) -> None:
    """nbval compares nothing where nothing is stored, and says nothing of it."""
    kept = golden.read(GOLDEN / f"{phase}.ipynb")
    wanted = [cell["id"] for cell in kept["cells"] if COMPARED in tags(cell)]
    assert golden.compared(kept) == wanted
    assert len(wanted) >= 2
    assert [cell["id"] for cell in code(kept) if cell["outputs"]] == wanted


def test_golden_copies_hold_nothing_of_the_machine_that_made_them() -> None:
    assert sorted(path.stem for path in GOLDEN.iterdir()) == list(PHASES)
    for path in GOLDEN.iterdir():
        outputs = json.dumps([cell["outputs"] for cell in code(golden.read(path))])
        assert not re.search(r"127\.0\.0\.1:\d|/tmp|/home|/root|/work", outputs), path.stem
        assert not re.search(r"\d{8}T\d{6}Z|20[2-9]\d-\d\d-\d\dT", outputs), path.stem


def test_cleaning_again_changes_nothing() -> None:
    for path in GOLDEN.iterdir():
        for cell in code(golden.read(path)):
            for output in cell["outputs"]:
                for text in output["data"].values():
                    assert golden.clean(text) == text, (path.stem, cell["id"])


def test_cleaning_leaves_what_is_said() -> None:
    said = "tasks 3 rows\n  t1   'half past 3.5'   2026-01-02 03:04:05"
    assert "".join(golden.clean(said)) == "tasks 3 rows\nt1 'half past 3.5' 2026-01-02 03:04:05"
