"""What copies of both sides are, and how both applications are served and watched over them."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from towpath.cloudflare import D1
from towpath.local import servers
from towpath.parity.replay import Watch
from towpath.rehearsal.sides import OldSide, served
from towpath.tables.schema import Table
from towpath.workbench import watching
from towpath.workbench.workbench import Workbench

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


def old_application(bench: Workbench, folder: Path, stack: ExitStack) -> str:
    """Serve the old application over a folder until `stack` closes, or this process ends; its URL."""
    url = f"http://127.0.0.1:{servers.free_port()}"
    stack.enter_context(served(OldSide(bench.root, bench.params.system, folder, url, folder.with_suffix(".log"))))
    return url


def copy_files(bench: Workbench, folder: Path) -> None:
    """Copy the folders whose files move."""
    files = bench.run.source("source_files")
    for inner in bench.run.mapping.objects.folders:
        if (files / inner).is_dir():
            shutil.copytree(files / inner, folder / inner)


def watched(d1: D1, tables: Iterable[Table]) -> Watch:
    """Put up, in a D1 that is a copy, the triggers that tell what is written into these tables."""
    known = tuple(tables)
    made = list(watching.statements(known))
    for begin in range(0, len(made), _IN_ONE):
        d1.batch(made[begin : begin + _IN_ONE])
    return watching.watch(lambda sql: d1.query(sql).rows, known)
