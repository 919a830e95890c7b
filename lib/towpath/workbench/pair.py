"""Copies of both sides to ask: the old application twice and the new one once, over the snapshot of this run.

The sides of the cutover are not touched: 05-validate must leave source and target equal.  So the snapshot's file and
folders are copied twice and the old application is served over each copy; the same chunks that 04-import sent go into a
D1 of its own, the same files into a bucket of its own, and the system's Worker is served over them.  All of it lies in
a folder that is removed, on ports that are free, and ends with the `with` block.
"""

from __future__ import annotations

import shutil
import socket
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import apsw

from towpath import objects
from towpath.cloudflare import D1
from towpath.local.runtime import Runtime, start
from towpath.local.state import State as RuntimeState
from towpath.local.worker import worker_folder
from towpath.parity.replay import Watch
from towpath.rehearsal.sides import OldSide, served
from towpath.tables import load as loading
from towpath.tables.schema import Table, reflect
from towpath.tables.snapshot import FILE
from towpath.tables.target import apply_migration
from towpath.workbench import watching
from towpath.workbench.load import after_the_rows
from towpath.workbench.state import State
from towpath.workbench.workbench import Workbench

WHERE = ("local", "rehearsal")  # environments in which copies are made
_IN_ONE = 40  # statements of one request to D1


@dataclass(frozen=True, slots=True)
class Copy:
    """One copy: where it answers, and who tells the rows that changed."""

    url: str
    watch: Watch


@dataclass(frozen=True, slots=True)
class Pair:
    """The old application over two copies, the new one over one."""

    old: Copy
    again: Copy
    new: Copy


def reason_against(bench: Workbench) -> str:
    """Why there can be no copies; "" where there can."""
    params = bench.params
    if params.environment not in WHERE or not params.on_this_machine:
        return "they are made only in the environments local and rehearsal, on this machine"
    if params.source_is_server or params.source_cache or params.source_jobs:
        return "they are made of a file with its folders, not of servers"
    if worker_folder(bench.root, params.system) is None:
        return "the system has no Worker in this project"
    if not (bench.root / "runbooks" / params.system / "legacy" / "__main__.py").is_file():
        return "the old application is not in this project"
    return ""


@contextmanager
def pair(bench: Workbench) -> Iterator[Pair]:
    """Both sides over copies, for the length of a `with` block.  Raises what starting and loading them raise."""
    state = next(state for state in bench.states() if not state.is_delta)
    with tempfile.TemporaryDirectory(prefix="towpath-pair-") as name, ExitStack() as stack:
        folder = Path(name)
        old, again = (_old(bench, state, folder / copy, stack) for copy in ("old", "again"))
        yield Pair(old, again, _new(bench, state, folder / "new", stack))


def _old(bench: Workbench, state: State, folder: Path, stack: ExitStack) -> Copy:
    """The old application over a copy of the snapshot and of its files."""
    files, database = bench.run.source("source_files"), bench.run.source("source_database")
    to = folder / (database.relative_to(files) if database.is_relative_to(files) else database.name)
    to.parent.mkdir(parents=True)
    shutil.copyfile(state.folder / FILE, to)
    to.chmod(stat.S_IRUSR | stat.S_IWUSR)
    for inner in bench.run.mapping.objects.folders:
        if (files / inner).is_dir():
            shutil.copytree(files / inner, folder / inner)
    db = apsw.Connection(str(to))
    stack.callback(db.close)
    tables = reflect(db).tables
    for statement in watching.statements(tables):
        db.execute(statement)
    url = f"http://127.0.0.1:{_free_port()}"
    stack.enter_context(served(OldSide(bench.root, bench.params.system, folder, url, folder.with_suffix(".log"))))
    return Copy(url, watching.watch(lambda sql: list(db.execute(sql)), tables))


def _new(bench: Workbench, state: State, folder: Path, stack: ExitStack) -> Copy:
    """The Worker over a D1 and a bucket that hold what 04-import sent."""
    params, conversion = bench.params, bench.conversion
    runtime: Runtime = stack.enter_context(
        start(
            params.system,
            "pair",
            0,
            bucket=params.r2_bucket,
            database_id="pair",
            root=bench.root,
            state=RuntimeState(folder),
            worker=worker_folder(bench.root, params.system),
        )
    )
    d1 = D1(stack.enter_context(runtime.client()), "pair")
    apply_migration(d1, "0001_tables.sql", conversion.table_statements, bench.claim)
    loading.load(d1, state.folder, state.manifest)
    loading.finish(d1, state.manifest, after_the_rows(bench), state.manifest.sequences)
    with closing(runtime.r2()) as s3:
        objects.upload(state.objects, bench.run.source("source_files"), s3, params.r2_bucket)
    tables = _tables(conversion.table_statements)
    made = list(watching.statements(tables))
    for begin in range(0, len(made), _IN_ONE):
        d1.batch(made[begin : begin + _IN_ONE])
    return Copy(runtime.url, watching.watch(lambda sql: d1.query(sql).rows, tables))


def _tables(statements: Sequence[str]) -> tuple[Table, ...]:
    """What the target's statements declare, as SQLite reads them."""
    with closing(apsw.Connection(":memory:")) as db:
        for statement in statements:
            db.execute(statement)
        return reflect(db).tables


def _free_port() -> int:
    with closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
