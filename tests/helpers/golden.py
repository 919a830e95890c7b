"""Golden copies of the notebooks: how they are made, and how nbval holds a new run against them.

A golden is the notebook as its source stands, with the outputs of the cells tagged nbval-check-output, cleaned of what
differs between two runs (`tests/notebooks/sanitize.txt`).  All other outputs are left out: nbval runs those cells, and
compares nothing.
"""

from __future__ import annotations

import json
import re
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml
from papermill.execute import execute_notebook

from helpers.contract import COMPARED, PHASES, VOYAGE, Notebook, code, source, tags
from helpers.project import HERE, Project
from helpers.tiny import sql, written

GOLDEN = HERE / "tests" / "notebooks" / "golden"
SANITIZE = HERE / "tests" / "notebooks" / "sanitize.txt"
COLOUR = re.compile(r"(\x1b|#x1B)\[\d*m")
BEFORE_CUTOVER = VOYAGE[:-1]


def read(path: Path) -> Notebook:
    return dict(json.loads(path.read_text(encoding="utf-8")))


def write(path: Path, notebook: Notebook) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(notebook, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def clean(value: Any) -> Any:
    """What nbval makes of every text before it compares it."""
    if isinstance(value, dict):
        return {key: clean(item) for key, item in value.items()}
    text = "".join(value)
    for pattern, replacement in re.findall("^regex: (.*)$\n^replace: (.*)$", SANITIZE.read_text("utf-8"), re.MULTILINE):
        text = re.sub(pattern, replacement, text)
    return text.splitlines(keepends=True)


def make_golden(notebook: Notebook, executed: Notebook) -> Notebook:
    """The golden copy of a notebook from an executed one."""
    outputs = {cell["id"]: cell["outputs"] for cell in executed["cells"] if cell["cell_type"] == "code"}
    golden: Notebook = json.loads(json.dumps(notebook))
    for count, cell in enumerate(code(golden), start=1):
        if COMPARED in tags(cell):  # nbval takes a cell without a count for one that never ran
            cell["execution_count"] = count
            cell["outputs"] = [_cleaned(output, count) for output in outputs[cell["id"]]]
    return golden


def _cleaned(output: dict[str, Any], count: int) -> dict[str, Any]:
    parts = {key: clean(output[key]) for key in ("data", "text") if key in output}
    counted = {"execution_count": count} if "execution_count" in output else {}
    return {**output, **parts, **counted}


def make_all(project: Project) -> dict[str, Notebook]:
    """Run the whole voyage over the tiny source, and make the goldens of it."""
    done = project.run(*(word for phase in BEFORE_CUTOVER for word in ("--phase", phase)))
    assert done.code == 0, done.text
    sql(project, "changes.sql")
    done = project.phases(VOYAGE[-1])
    assert done.code == 0, done.text
    written(project)
    done = project.phases(PHASES[-1])
    assert done.code == 0, done.text
    return {
        phase: make_golden(read(HERE / "notebooks" / f"{phase}.ipynb"), read(project.folder / f"{phase}.ipynb"))
        for phase in PHASES
    }


def compared(notebook: Notebook) -> list[str]:
    """The cells whose output nbval compares."""
    return [cell["id"] for cell in notebook["cells"] if COMPARED in tags(cell) and cell["outputs"]]


def sources(notebook: Notebook) -> list[tuple[str, str, str, list[str]]]:
    """What must be equal in a notebook and its golden copy, cell by cell."""
    return [(cell["id"], cell["cell_type"], source(cell), tags(cell)) for cell in notebook["cells"]]


def prepare(project: Project, goldens: Iterable[Path], folder: Path) -> list[Path]:
    """Give goldens the params of this project; their stored outputs stay (papermill --prepare-only)."""
    folder.mkdir(parents=True, exist_ok=True)
    parameters = yaml.safe_load(project.params_file.read_text(encoding="utf-8"))
    made = [(golden, folder / golden.name) for golden in goldens]
    for golden, output in made:
        execute_notebook(
            str(golden), str(output), parameters=parameters, prepare_only=True, progress_bar=False, engine_name=None
        )
    return [output for _, output in made]


def nbval(project: Project, notebooks: Sequence[Path]) -> dict[str, dict[int, str]]:
    """Run notebooks under nbval in this order, one kernel each; what was wrong, by notebook and number of the cell.

    A process of its own, and in one piece: what loadscope would do with them, and in the order of the phases.
    """
    report = notebooks[0].with_suffix(".xml")
    words = ["--nbval-lax", f"--nbval-sanitize-with={SANITIZE}", f"--junit-xml={report}", "--nbval-cell-timeout=120"]
    alone = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-c", "/dev/null", f"--rootdir={notebooks[0].parent}"]
    command = [sys.executable, "-m", "pytest", *alone, *words, *map(str, notebooks)]
    done = project.do(*command)
    assert report.is_file(), done.text
    out: dict[str, dict[int, str]] = {path.stem: {} for path in notebooks}
    for case in ET.parse(report).iter("testcase"):
        name = re.search(r"(0\d-[a-z]+(?:-[a-z]+)*)", str(case.get("classname")) + str(case.get("name")))
        number = re.search(r"Cell (\d+)", str(case.get("name")))
        assert name, ET.tostring(case)
        assert number, ET.tostring(case)
        problem = next((p for p in case if p.tag in ("failure", "error", "skipped")), None)
        out[name[1]][int(number[1])] = COLOUR.sub("", problem.text or "without words") if problem is not None else ""
    assert done.code in (0, 1), done.text
    return out
