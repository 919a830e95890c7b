"""Which processes serve a data folder, so that `down` finds the application and its workers, and nobody else."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from towpath.local import processes

PATIENCE = 60.0  # seconds that a task or a request may take to its end


@contextmanager
def noted(data: Path) -> Iterator[None]:
    """This process serves the folder until the end of the block, which it comes to also when it is asked to end."""
    signal.signal(signal.SIGTERM, _leave)
    folder = data / "running"
    folder.mkdir(exist_ok=True)
    note = folder / f"{os.getpid()}.json"
    note.write_text(json.dumps({"created": psutil.Process().create_time()}) + "\n", encoding="utf-8")
    try:
        yield
    finally:
        note.unlink(missing_ok=True)


def _leave(*_: object) -> None:
    raise SystemExit(0)


def end_all(data: Path) -> int:
    """End every process that serves the folder, gently, and say how many there were."""
    found = []
    for note in (data / "running").glob("*.json"):
        created = float(json.loads(note.read_text(encoding="utf-8"))["created"])
        if processes.alive(int(note.stem), created):
            found.append(psutil.Process(int(note.stem)))
    processes.end(found, PATIENCE)
    for note in (data / "running").glob("*.json"):
        note.unlink(missing_ok=True)  # of those that were killed
    return len(found)
