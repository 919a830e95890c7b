"""Joan's phases that write, stepped by hand in JupyterLab: a write that is done is not done again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from helpers.lab import Front, Lab, jupyter
from helpers.project import Project, joan

WRITES = ("apply-tables", "send-rows", "finish", "upload", "send-keys", "apply-rows", "apply-files", "apply-keys")


@dataclass(frozen=True)
class Desk:
    """Joan, and the engineer's JupyterLab."""

    project: Project
    lab: Lab

    def prepare(self, phase: str) -> Path:
        """`towpath prepare`; returns the notebook."""
        ran = self.project.do(*self.project.words("prepare", "joan", "--env", "local", "--phase", phase))
        assert ran.code == 0, ran.text
        (line,) = [line for line in ran.text.splitlines() if line.startswith("notebook ")]
        return self.project.root / line.removeprefix("notebook ")

    def seal(self, phase: str) -> tuple[int, str]:
        """`towpath seal`."""
        ran = self.project.do(*self.project.words("seal", "joan", "--env", "local", "--phase", phase))
        return ran.code, ran.text


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    home = tmp_path_factory.mktemp("stepped")
    with joan(home / "joan") as project, jupyter(home, home / "jupyter") as lab:
        ran = project.phases("00-ready", "01-inventory")
        assert ran.code == 0, ran.text
        yield Desk(project, lab)


def text_of(front: Front, cell: str) -> str:
    """What a cell shows, as plain text."""
    return "\n".join(
        "".join(output.get("text") or output.get("data", {}).get("text/plain") or output.get("evalue", ""))
        for output in front.cell(cell)["outputs"]
    )


def step_with_writes_twice(desk: Desk, phase: str) -> dict[str, str]:
    """Step a phase whose writing cells are executed twice; returns what each said the second time."""
    said = {}
    path = desk.prepare(phase)
    with desk.lab.opened(path) as front:
        for cell in front.code:
            assert front.execute(cell) == "ok", (cell["id"], text_of(front, cell["id"]))
            if cell["id"] in WRITES:
                before = desk.project.fingerprint()
                assert front.execute(cell) == "ok", (cell["id"], text_of(front, cell["id"]))
                assert desk.project.fingerprint() == before, cell["id"]
                said[cell["id"]] = text_of(front, cell["id"])
        front.save()
    code, text = desk.seal(phase)
    assert code == 1
    assert f"FAIL {next(iter(said))}: was executed more than once" in text
    return said


def test_a_write_that_is_repeated_by_hand_changes_nothing_and_says_so(desk: Desk) -> None:
    assert "already done" in step_with_writes_twice(desk, "02-schema")["apply-tables"]
    path = desk.prepare("02-schema")
    with desk.lab.opened(path) as front:
        front.step_all()
        assert "already done" in text_of(front, "apply-tables")
        front.save()
    assert path.name == "02-schema.2.ipynb"
    assert desk.seal("02-schema")[0] == 0
    ran = desk.project.phases("03-export")
    assert ran.code == 0, ran.text

    said = step_with_writes_twice(desk, "04-import")
    for cell in ("send-rows", "upload"):
        assert "Already done: all " in said[cell], said
        assert "nothing was sent" in said[cell], said
    ran = desk.project.phases("04-import", "05-validate")
    assert ran.code == 0, ran.text

    said = step_with_writes_twice(desk, "06-cutover")
    assert "Already done: all " in said["apply-rows"], said
    path = desk.prepare("06-cutover")
    with desk.lab.opened(path) as front:
        front.step_all()
        front.save()
    code, text = desk.seal("06-cutover")
    assert code == 0, text
    assert desk.project.unlike_the_source() == []
    run = json.loads((path.parent / "run.json").read_bytes())["run"]
    ran = desk.project.do(*desk.project.words("verify", run))
    assert ran.code == 0, ran.text
