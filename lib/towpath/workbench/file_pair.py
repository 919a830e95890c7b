"""Copies of both sides of a system that is a file with its folders, made from the snapshot of this run.

The snapshot's file and the folders are copied twice, and the old application is served over each copy; the same chunks
that 04-import sent go into a D1 of its own, the same files into a bucket of its own, and the system's Worker is served
over them.
"""

from __future__ import annotations

import shutil
import stat
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import apsw

from towpath import objects
from towpath.cloudflare import D1
from towpath.local.runtime import Runtime, start
from towpath.local.state import State as RuntimeState
from towpath.local.worker import worker_folder
from towpath.tables import load as loading
from towpath.tables.schema import reflect
from towpath.tables.snapshot import FILE
from towpath.tables.target import apply_migration
from towpath.workbench import watching
from towpath.workbench.copied import Copy, Pair, copy_files, old_application, watched
from towpath.workbench.load import after_the_rows
from towpath.workbench.server_fit import declared_by
from towpath.workbench.state import State
from towpath.workbench.workbench import Workbench


@contextmanager
def file_pair(bench: Workbench, folder: Path) -> Iterator[Pair]:
    """Both sides over copies in `folder`, for the length of a `with` block."""
    state = next(state for state in bench.states() if not state.is_delta)
    with ExitStack() as stack:
        old, again = (_old(bench, state, folder / copy, stack) for copy in ("old", "again"))
        yield Pair(old, again, _new(bench, state, folder / "new", stack))


def _old(bench: Workbench, state: State, folder: Path, stack: ExitStack) -> Copy:
    """The old application over a copy of the snapshot and of its files."""
    files, database = bench.run.source("source_files"), bench.run.source("source_database")
    to = folder / (database.relative_to(files) if database.is_relative_to(files) else database.name)
    to.parent.mkdir(parents=True)
    shutil.copyfile(state.folder / FILE, to)
    to.chmod(stat.S_IRUSR | stat.S_IWUSR)
    copy_files(bench, folder)
    db = apsw.Connection(str(to))
    stack.callback(db.close)
    tables = reflect(db).tables
    for statement in watching.statements(tables):
        db.execute(statement)
    return Copy(old_application(bench, folder, stack), watching.watch(lambda sql: list(db.execute(sql)), tables))


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
    return Copy(runtime.url, watched(d1, declared_by(conversion.table_statements).tables))
