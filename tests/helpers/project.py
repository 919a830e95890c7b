"""Joan in a project of her own: root, data, runtime and records, so that tests meet neither each other nor people.

What a test may change is copied (runbooks, params, data), what none may change is linked (notebooks, node_modules).
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw
import psutil
import yaml

from helpers.carry import same_rows
from helpers.passage import Passage
from helpers.waiting import until
from towpath.cloudflare import D1, Client
from towpath.local import Runtime, State, start
from towpath.local.runtime import API, S3
from towpath.runs.redaction import SECRET_NAME
from towpath.tables.schema import reflect

HERE = Path(__file__).resolve().parents[2]
PHASES = ("00-ready", "01-inventory", "02-schema", "03-export", "04-import", "05-validate", "06-cutover")
LINKED = ("environment.yml", "package.json", "node_modules", "notebooks")
PATIENCE = 300  # seconds that a command may take on a machine that is busy with other tests


@dataclass(frozen=True)
class Ran:
    """A command that ended, and everything that it printed."""

    code: int
    text: str


@dataclass
class Project:
    """One project on disk with its runtime."""

    root: Path
    runtime: Runtime
    port: int
    system: str = "joan"
    environment: dict[str, str] = field(default_factory=dict)

    # -- what it is made of

    @property
    def data(self) -> Path:
        """The legacy application's folder."""
        return self.root / "build" / self.system

    @property
    def database(self) -> Path:
        return self.data / f"{self.system}.sqlite"

    @property
    def params_file(self) -> Path:
        return self.root / "params" / self.system / "local.yaml"

    def params(self) -> dict[str, Any]:
        return dict(yaml.safe_load(self.params_file.read_text(encoding="utf-8")))

    def change_params(self, **changes: Any) -> None:
        self.params_file.parent.mkdir(parents=True, exist_ok=True)
        text = yaml.safe_dump({**(self.params() if self.params_file.is_file() else {}), **changes}, sort_keys=False)
        self.params_file.write_text(text, encoding="utf-8")

    def runbook(self, name: str) -> Path:
        return self.root / "runbooks" / self.system / name

    def source(self, sql: str) -> list[Any]:
        """Ask the source database, or change it as its application would."""
        with closing(apsw.Connection(str(self.database))) as db:
            return list(db.execute(sql))

    # -- the target

    @contextmanager
    def d1(self) -> Iterator[D1]:
        """The target database over its API, past any passage."""
        with Client(self.runtime.api) as client:
            yield D1(client, self.params()["d1_database_id"])

    def target(self, sql: str) -> list[list[Any]]:
        """One statement to the target."""
        with self.d1() as d1:
            return d1.batch([sql])[0].rows

    def objects(self) -> dict[str, bytes]:
        """Every object of the bucket."""
        with closing(self.runtime.r2()) as s3:
            pages = s3.get_paginator("list_objects_v2").paginate(Bucket=self.runtime.bucket)
            keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
            return {key: s3.get_object(Bucket=self.runtime.bucket, Key=key)["Body"].read() for key in keys}

    def fresh_target(self) -> None:
        """An empty bucket and a database that nobody used: a changed id is a new plan, so a new run."""
        with closing(self.runtime.r2()) as s3:
            for key in self.objects():
                s3.delete_object(Bucket=self.runtime.bucket, Key=key)
        self.change_params(d1_database_id=f"{self.system}-{secrets.token_hex(4)}")

    def unlike_the_source(self) -> list[str]:
        """Tables and files in which the target is not the source after Joan's decisions; empty when all is well.

        A reading of its own: it shares no code with the product's comparison.
        """
        with self.d1() as d1, closing(self._decided()) as db:
            wrong = [table.name for table in reflect(db).moving if not same_rows(db, d1, table)]
        files = {p for p in (self.data / "attachments").rglob("*") if p.is_file()}
        on_disk = {unicodedata.normalize("NFC", p.relative_to(self.data).as_posix()): p.read_bytes() for p in files}
        there = self.objects()
        return wrong + sorted(key for key in on_disk.keys() | there.keys() if on_disk.get(key) != there.get(key))

    def _decided(self) -> apsw.Connection:
        """The source in memory, with what mapping.yaml decides about Joan's orphans done by hand."""
        copy = apsw.Connection(":memory:")
        with closing(apsw.Connection(str(self.database))) as db, copy.backup("main", db, "main") as backup:
            backup.step()
        for (name,) in list(copy.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'")):
            copy.execute(f'DROP TRIGGER "{name}"')
        copy.execute("UPDATE tasks SET project_id = NULL WHERE project_id NOT IN (SELECT id FROM projects)")
        copy.execute("UPDATE notes SET folder_id = NULL WHERE folder_id NOT IN (SELECT id FROM folders)")
        copy.execute("DELETE FROM daily_schedule_tasks WHERE task_id NOT IN (SELECT id FROM tasks)")
        return copy

    def fingerprint(self) -> tuple[dict[str, int], dict[str, bytes]]:
        """Everything that the target holds: rows by table, bookkeeping included, and objects."""
        with self.d1() as d1:
            names = [row[0] for row in d1.query("SELECT name FROM sqlite_schema WHERE type = 'table'").rows]
            names = [name for name in names if not name.startswith("_cf_")]
            rows = {name: d1.query(f'SELECT count(*) FROM "{name}"').rows[0][0] for name in names}
        return rows, self.objects()

    # -- commands

    @property
    def variables(self) -> dict[str, str]:
        ours = {k: v for k, v in os.environ.items() if not k.startswith("TOWPATH_") and not SECRET_NAME.search(k)}
        return {**ours, "TOWPATH_ROOT": str(self.root), **self.environment}

    def start(self, *command: str, **options: Any) -> subprocess.Popen[str]:
        """Start a command in the project's root, in a process group of its own; `options` are those of Popen."""
        return subprocess.Popen(
            command,
            cwd=self.root,
            env=self.variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            **options,
        )

    def do(self, *command: str, **options: Any) -> Ran:
        """Run a command to its end."""
        with self.start(*command, **options) as process:
            try:
                text, _ = process.communicate(timeout=PATIENCE)
            except BaseException:
                process.kill()
                raise
        return Ran(process.returncode, text)

    @staticmethod
    def words(*arguments: str) -> tuple[str, ...]:
        return (sys.executable, "-m", "towpath", *arguments)

    def run(self, *options: str) -> Ran:
        """`towpath run` of this system in local."""
        return self.do(*self.words("run", self.system, "--env", "local", *options))

    def phases(self, *phases: str) -> Ran:
        """`towpath run` of these phases in the current run."""
        return self.run(*(word for phase in phases for word in ("--phase", phase)))

    def live(self, seed: int, changes: int = 60) -> None:
        """Joan goes on working."""
        self.switch.unlink(missing_ok=True)
        command = (sys.executable, "-m", "runbooks.joan.legacy", "live", "--data", str(self.data))
        done = self.do(*command, "--seed", str(seed), "--changes", str(changes))
        assert done.code == 0, done.text

    @property
    def switch(self) -> Path:
        return self.data / "maintenance.json"

    # -- the record

    @property
    def folder(self) -> Path:
        """The current run's folder."""
        home = self.root / "outputs" / self.system / "local"
        return home / (home / "current").read_text(encoding="utf-8").strip()

    def result(self, stem: str) -> dict[str, Any]:
        """One result of the current run, e.g. of 05-validate.2."""
        return dict(json.loads((self.folder / f"{stem}.result.json").read_text(encoding="utf-8")))

    def verdicts(self) -> dict[str, str]:
        """Every attempt of the current run with its verdict, in order."""
        attempts = json.loads((self.folder / "run.json").read_text(encoding="utf-8"))["attempts"]
        stems = [a["phase"] if a["attempt"] == 1 else f"{a['phase']}.{a['attempt']}" for a in attempts]
        return {stem: self.result(stem)["verdict"] for stem in stems}

    def failed(self, stem: str) -> list[dict[str, Any]]:
        """The failed checks of a result."""
        return [check for check in self.result(stem)["checks"] if check["verdict"] == "FAIL"]

    def differences(self, stem: str, surface: str = "tables") -> list[dict[str, Any]]:
        """The differences that a phase wrote down."""
        path = self.folder / self.result(stem)["outputs"][f"validate/{surface}-differences.jsonl"]
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@contextmanager
def joan(root: Path, passage: Passage | None = None, worker: Path | None = None) -> Iterator[Project]:
    """Joan with small data of seed 1 and an empty target, behind a passage and with a Worker if they are given."""
    lay_out(root)
    with running(root, "joan", passage, worker) as project:
        _furnish(project)
        yield project


def beside(project: Project, root: Path) -> Project:
    """Joan once more, on another project's runtime, whose keys she does not have: for phases that only read her."""
    lay_out(root)
    other = Project(root, project.runtime, project.port)
    _furnish(other)
    return other


def _furnish(project: Project) -> None:
    shutil.copytree(HERE / "runbooks", project.root / "runbooks", ignore=shutil.ignore_patterns("__pycache__"))
    given = yaml.safe_load((HERE / "params" / "joan" / "local.yaml").read_text(encoding="utf-8"))
    project.change_params(**{**given, **addresses(project)})
    make = (sys.executable, "-m", "runbooks.joan.legacy", "generate", "--scale", "small", "--to", str(project.data))
    made = project.do(*make)
    assert made.code == 0, made.text


@contextmanager
def running(root: Path, system: str, passage: Passage | None = None, worker: Path | None = None) -> Iterator[Project]:
    """A runtime for a project that is laid out already."""
    state = State.of(root, system, "local")
    bucket = f"{system}-attachments"
    places: dict[str, Any] = {"bucket": bucket, "database_id": f"{system}-local", "worker": worker}
    with start(system, "local", 0, root=root, state=state, deadline=120.0, **places) as runtime:
        if passage is not None:
            passage.behind = runtime.port
        yield Project(root, runtime, passage.port if passage else runtime.port, system)


def addresses(project: Project) -> dict[str, str]:
    """The keys of params that say where the target is."""
    base = f"http://127.0.0.1:{project.port}"
    return {"cloudflare_api": f"{base}{API}", "r2_endpoint": f"{base}{S3}"}


def lay_out(root: Path) -> None:
    """The links that every project needs."""
    root.mkdir(parents=True, exist_ok=True)
    for name in LINKED:
        (root / name).symlink_to(HERE / name)


def kernel_of(process: subprocess.Popen[str], seconds: float = 60) -> psutil.Process:
    """The kernel that a papermill or a `towpath run` started."""

    def kernel() -> psutil.Process | None:
        children = psutil.Process(process.pid).children(recursive=True)
        return next((one for one in children if any("ipykernel" in word for word in one.cmdline())), None)

    return until(kernel, "no kernel was started", seconds)
