"""Copies of both sides to ask: the old application twice and the new one once.

The sides of the cutover are not touched: 05-validate must leave source and target equal.  How copies are made depends
on what the source is.  All of it lies in a folder that is removed, on ports that are free, and ends with the `with`
block.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from towpath.errors import WrongUse
from towpath.local.processes import alive
from towpath.local.state import LOCK
from towpath.local.state import State as RuntimeState
from towpath.local.worker import worker_folder
from towpath.workbench.copied import Pair
from towpath.workbench.file_pair import file_pair
from towpath.workbench.server_pair import server_pair
from towpath.workbench.workbench import Workbench

PREFIX = "towpath-pair-"
WHERE = ("local", "rehearsal")  # environments in which copies are made


def reason_against(bench: Workbench) -> str:
    """Why there can be no copies; "" where there can."""
    params = bench.params
    if params.environment not in WHERE or not params.on_this_machine:
        return "they are made only in the environments local and rehearsal, on this machine"
    if not params.source_is_server and (params.source_cache or params.source_jobs):
        return "they are made of a file with its folders, or of servers, and not of a file with servers beside it"
    if worker_folder(bench.root, params.system) is None:
        return "the system has no Worker in this project"
    if not (bench.root / "runbooks" / params.system / "legacy" / "__main__.py").is_file():
        return "the old application is not in this project"
    if params.source_is_server and not _is_our_runtime(bench):
        return "the target is not the local runtime of this project, whose state would be copied"
    return ""


@contextmanager
def pair(bench: Workbench) -> Iterator[Pair]:
    """Both sides over copies, for the length of a `with` block.  Raises what making and starting them raise."""
    _clear()
    make = server_pair if bench.params.source_is_server else file_pair
    with (
        tempfile.TemporaryDirectory(prefix=PREFIX) as name,
        RuntimeState(Path(name)).locked(),
        make(bench, Path(name)) as made,
    ):
        yield made


def _clear() -> None:
    """Remove what was left by somebody who was killed: whoever lives holds the lock of his folder."""
    for lock in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{LOCK}"):  # one without a lock is just being made
        with contextlib.suppress(WrongUse, OSError), RuntimeState(lock.parent).locked():
            shutil.rmtree(lock.parent)


def _is_our_runtime(bench: Workbench) -> bool:
    """Whether the API is answered by the runtime that keeps its state in this project."""
    params = bench.params
    record = RuntimeState.of(bench.root, params.system, params.environment).read()
    if record is None or not alive(record.pid, record.created):
        return False
    return record.port == urlsplit(params.cloudflare_api).port
