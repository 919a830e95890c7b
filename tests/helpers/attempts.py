"""`towpath run` of phases that should not have been tried, in this process: how it ended, and what it said."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from helpers.project import Project
from towpath.cli.command import run_command

Did = tuple[int, str]  # the exit code, and everything that was said


@dataclass
class Attempt:
    """One `towpath run`."""

    code: int
    said: str
    results: dict[str, dict[str, Any]]  # by phase, those that this attempt began

    def stops(self, code: int, *words: str) -> str:
        """Assert that it ended so, and said why in one line with these words and a next step; the line."""
        assert self.code == code, self.said
        lines = [line for line in self.said.splitlines() if all(word in line for word in words)]
        assert len(lines) == 1, self.said
        assert "Next: " in lines[0]
        assert "Traceback" not in self.said
        return lines[0]

    def verdicts(self) -> dict[str, str]:
        """How each phase ended that this attempt began."""
        return {phase: result["verdict"] for phase, result in self.results.items()}

    def failed(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Every check that failed, by code and object; each says what to do next."""
        checks = [check for result in self.results.values() for check in result["checks"]]
        found = {(check["code"], check["object"]): check for check in checks if check["verdict"] == "FAIL"}
        assert all(check["next"] for check in found.values())
        return found


def tried(project: Project, do: Callable[[], Did]) -> Attempt:
    """Do it, and take the results that came of it."""
    known = _results(project)
    code, said = do()
    made = {path.name.split(".")[0]: json.loads(path.read_text("utf-8")) for path in _results(project) - known}
    return Attempt(code, said, made)


@contextmanager
def commands(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Did]]:
    """A function that runs phases with some params changed; the params are put back at the end of the block."""
    for name, value in project.variables.items():
        monkeypatch.setenv(name, value)
    kept = project.params_file.read_text(encoding="utf-8")

    def run(*phases: str, **changed: Any) -> Did:
        project.change_params(**changed)
        capsys.readouterr()
        words = [word for phase in phases for word in ("--phase", phase)]
        code = run_command(["run", project.system, "--env", "local", *words])
        return code, "".join(capsys.readouterr())

    yield run
    project.params_file.write_text(kept, encoding="utf-8")


def _results(project: Project) -> set[Path]:
    return set((project.root / "outputs").glob("*/*/*/*.result.json"))
