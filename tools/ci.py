"""What CI needs besides `make` and `towpath`: the steps of a workflow run here, and what one job tells the next.

python tools/ci.py steps .github/workflows/rehearse.yml rehearse system=joan
python tools/ci.py told joan staging
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from towpath.errors import TowpathError
from towpath.plan.root import project_root
from towpath.runs.folder import RunFolder

EXPRESSION = re.compile(r"\$\{\{\s*matrix\.(\w+)\s*\}\}")
SHELL = ("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c")  # as GitHub's runner calls bash


@dataclass(frozen=True)
class Step:
    """One step of a job that runs a command."""

    name: str
    command: str
    environment: Mapping[str, str]
    always: bool


def steps(workflow: Path, job: str, matrix: Mapping[str, str]) -> list[Step]:
    """The steps of a job that run a command, with the values of its matrix put in.

    Steps that use an action are GitHub's: a checkout, a Python and an upload, all of which this machine has.  Raises
    ValueError for what GitHub would do and this does not.
    """
    document = yaml.safe_load(workflow.read_text(encoding="utf-8"))
    told = document["jobs"][job]
    found = []
    for step in told["steps"]:
        if "run" not in step:
            continue
        if step.get("if", "always()") != "always()":
            raise ValueError(f"{workflow.name}: the condition {step['if']!r} means nothing here")
        environment = {**document.get("env", {}), **told.get("env", {}), **step.get("env", {})}
        filled = {name: _filled(str(value), matrix) for name, value in environment.items()}
        found.append(Step(step["name"], step["run"], filled, "if" in step))
    return found


def run(found: list[Step]) -> int:
    """Run the steps in their order as the runner does; after one that failed only those that always run."""
    code = 0
    for step in found:
        if code and not step.always:
            print(f"== {step.name}: left out", flush=True)
            continue
        print(f"== {step.name}", flush=True)
        done = subprocess.run([*SHELL, step.command], env={**os.environ, **step.environment}, check=False)
        code = code or done.returncode
    return code


def told(system: str, environment: str) -> list[str]:
    """The current run, its plan, and the target as the newest dry run saw it: lines for the file GITHUB_OUTPUT.

    Raises TowpathError without a run, ValueError when the newest attempt names no target.
    """
    folder = RunFolder.current(project_root(), system, environment)
    if folder is None or not folder.attempts():
        raise ValueError(f"{system} has no run in {environment}")
    newest = folder.result(*folder.attempts()[-1])
    if not newest.fingerprint or "\n" in newest.fingerprint:
        raise ValueError(f"{newest.stem} is {newest.verdict} and names no target")
    return [f"run={folder.run_id}", f"plan={folder.plan_hash}", f"target={newest.fingerprint}"]


def _filled(value: str, matrix: Mapping[str, str]) -> str:
    filled = EXPRESSION.sub(lambda match: matrix[match[1]], value)
    if "${{" in filled:
        raise ValueError(f"{value!r} is known to GitHub alone")
    return filled


def main(words: list[str]) -> int:
    """Do what the words say; 2 for wrong words, 3 for what is not there."""
    try:
        match words:
            case ["steps", workflow, job, *matrix]:
                pairs: dict[str, Any] = dict(word.split("=", 1) for word in matrix)
                return run(steps(Path(workflow), job, pairs))
            case ["told", system, environment]:
                print("\n".join(told(system, environment)))
                return 0
    except (OSError, KeyError, ValueError, TowpathError) as error:
        print(f"ci: {error}", file=sys.stderr)
        return 3
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
