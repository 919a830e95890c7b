"""Small notebooks, params and run folders for the tests of records."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
import yaml

from towpath.checks import Check, Verdict
from towpath.runs.results import Artefact, Number, PhaseResult, write_result

PAPERMILL = str(Path(sys.executable).parent / "papermill")
PLAN = "ab" * 32
PHASES = ("00-ready", "01-inventory", "02-schema", "03-export", "04-import", "05-validate", "06-cutover")

PARAMS: dict[str, Any] = {
    "system": "joan",
    "environment": "local",
    "source_database": "build/joan/joan.sqlite",
    "source_files": "build/joan",
    "source_maintenance_switch": "build/joan/maintenance.json",
    "source_closed_cleanly": False,
    "cloudflare_api": "http://127.0.0.1:8787/client",
    "cloudflare_account": "",
    "cloudflare_token": "env:CANARY_TOKEN",
    "d1_database_id": "joan-local",
    "d1_database_name": "joan",
    "d1_plan": "free",
    "r2_endpoint": "http://127.0.0.1:8787/s3",
    "r2_bucket": "joan-attachments",
    "r2_access_key": "file:keys/access",
    "r2_secret_key": "file:keys/secret",
}


@contextmanager
def command(*words: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """`towpath …` in a process of its own, which does not outlive the block; `options` are those of Popen."""
    with subprocess.Popen(
        [sys.executable, "-m", "towpath", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        **options,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def notebook(*cells: str, is_ours: bool = True, metadata: Mapping[str, Any] | None = None) -> Any:
    """A notebook: the parameters cell, then code cells c1, c2, …; a cell that begins with `# ` is Markdown."""
    made = nbformat.v4.new_notebook()
    made.metadata.kernelspec = {"name": "python3", "language": "python", "display_name": "Python 3"}
    if is_ours:
        made.metadata.towpath = {"phase": "01-inventory"}
    made.metadata.update(metadata or {})
    first = nbformat.v4.new_code_cell("\n".join(f"{key} = None" for key in PARAMS), id="parameters")
    first.metadata.tags = ["parameters"]
    made.cells.append(first)
    for number, source in enumerate(cells, start=1):
        make = nbformat.v4.new_markdown_cell if source.startswith(("# ", "## ")) else nbformat.v4.new_code_cell
        made.cells.append(make(source, id=f"c{number}"))
    return made


class Desk:
    """A folder with params, key files and a notebook, as the engineer has them; papermill runs in it."""

    def __init__(self, folder: Path, **changed: Any) -> None:
        self.folder = folder
        (folder / "keys").mkdir(parents=True)
        (folder / "runbooks").mkdir()
        (folder / "environment.yml").touch()
        (folder / "keys/access").write_text("access-key-canary-1111\n")
        (folder / "keys/secret").write_text("secret-key-canary-2222\n")
        (folder / "params.yaml").write_text(yaml.safe_dump({**PARAMS, **changed}))
        (folder / "out").mkdir()
        self.output = folder / "out" / "01-inventory.ipynb"

    def start(self, made: Any, *options: str, **environment: str) -> subprocess.Popen[str]:
        """Start plain papermill on the notebook, with a relative output path and no engine named."""
        nbformat.write(made, self.folder / "in.ipynb")
        return subprocess.Popen(
            [PAPERMILL, "in.ipynb", "out/01-inventory.ipynb", "-f", "params.yaml", "--no-progress-bar", *options],
            cwd=self.folder,
            env={**os.environ, "TOWPATH_ROOT": str(self.folder), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # a shell in the background ignores SIGINT, and its children with it
            preexec_fn=_with_default_signals,
        )

    def run(self, made: Any, *options: str, **environment: str) -> tuple[int, str]:
        """Run plain papermill to its end; returns exit code and everything that it printed."""
        process = self.start(made, *options, **environment)
        said, _ = process.communicate(timeout=120)
        return process.returncode, said

    def execute(self, made: Any, **options: Any) -> None:
        """Run the notebook in this process, with no engine named; raises what papermill raises."""
        import papermill

        nbformat.write(made, self.folder / "in.ipynb")
        parameters = yaml.safe_load((self.folder / "params.yaml").read_text())
        papermill.execute_notebook(
            str(self.folder / "in.ipynb"), str(self.output), parameters=parameters, progress_bar=False, **options
        )

    def saved(self) -> Any:
        """The output notebook."""
        return nbformat.read(self.output, as_version=4)

    def everything(self) -> str:
        """Every byte of every file below out/, as text."""
        return "".join(
            f.read_bytes().decode("utf-8", "replace") for f in (self.folder / "out").rglob("*") if f.is_file()
        )


def states(made: Any) -> dict[str, str]:
    """The status of each code cell by its id, without the one that papermill injects."""
    return {
        cell.id: cell.metadata.papermill.status
        for cell in made.cells
        if cell.cell_type == "code" and "injected-parameters" not in cell.metadata.get("tags", [])
    }


def result(phase: str, number: int = 0, verdict: Verdict = Verdict.PASS, **values: Any) -> PhaseResult:
    """A finished result whose times follow the number of the phase."""
    values.setdefault("checks", (Check("TB101", "tables", "tasks", "200000 rows", "200000 rows", verdict),))
    values.setdefault("numbers", (Number("seconds", 2.5, "s"), Number("rows", 200000, "rows")))
    return PhaseResult(
        **{
            "system": "joan",
            "environment": "local",
            "run": "20260131T081500Z-1a2b",
            "phase": phase,
            "attempt": 1,
            "plan": PLAN,
            "started": f"2026-01-31T08:{15 + number:02d}:00.000Z",
            "ended": f"2026-01-31T08:{15 + number:02d}:30.000Z",
            "source": "sqlite joan.sqlite 41a2",
            "target": "d1 joan-local",
            "verdict": verdict,
            "artefacts": (Artefact(f"{phase}.ipynb", "cd" * 32, 12345),),
            **values,
        }
    )


def run_folder(folder: Path, results: Sequence[PhaseResult], phases: Sequence[str] = PHASES) -> Path:
    """A run folder that holds these results."""
    path = folder / "joan" / "local" / "20260131T081500Z-1a2b"
    path.mkdir(parents=True)
    attempts = [{"phase": r.phase, "attempt": r.attempt, "started": r.started} for r in results]
    head = {"format": 1, "run": path.name, "system": "joan", "environment": "local", "plan": PLAN}
    head = {**head, "opened": "2026-01-31T08:15:00.000Z", "phases": list(phases), "attempts": attempts}
    (path / "run.json").write_text(json.dumps(head))
    for one in results:
        write_result(path, one)
    return path


def _with_default_signals() -> None:
    import signal

    signal.signal(signal.SIGINT, signal.default_int_handler)
