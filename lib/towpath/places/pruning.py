"""Pruning: a line in a log that stays, then the run goes.  A record that is missing is explained, or it is lost."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from towpath.errors import CannotFinish
from towpath.places.holding import Holding
from towpath.places.record import Home, whoever
from towpath.places.store import Store
from towpath.runs.folder import environment_folder
from towpath.runs.lock import Lock
from towpath.runs.results import now
from towpath.runs.seal import LIST
from towpath.runs.shelf import RunSummary

LOG = "pruned.jsonl"


def prune_here(root: Path, summary: RunSummary) -> int:
    """Remove a run from outputs/, and return its bytes.  Raises CannotFinish when the disk refuses.

    The line in outputs/pruned.jsonl is on disk before anything goes; a run that is cut half-way has another name, and
    is no run any more.
    """
    size = size_of(summary.path)
    gone = summary.path.with_name(f".{summary.run}.pruned")
    try:
        _append(root / "outputs" / LOG, entry(summary))
        summary.path.rename(gone)
        _remove(gone)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise CannotFinish(f"cannot be removed: {reason}", object=str(summary.path), next="prune again") from None
    return size


def sweep(root: Path, system: str, environment: str) -> None:
    """Finish what an interrupted pruning left half-way."""
    with contextlib.suppress(OSError):
        for gone in environment_folder(root, system, environment).glob(".*.pruned"):
            _remove(gone)


def prune_there(store: Store, summary: RunSummary) -> None:
    """Remove a run from a place: its tombstone first, then the states, which make it a run, then its files."""
    home = Home(summary.system, summary.environment, summary.run)
    store.create(home.tombstone, _line(entry(summary)))
    for beginning in (f"{home.beginning}states/", home.beginning):
        for name in [name for name, _ in store.names(beginning)]:
            store.remove(name)


def sweep_there(store: Store, system: str, environment: str) -> None:
    """Finish what an interrupted pruning of a place left half-way: what has a tombstone goes."""
    for name in [name for name, _ in store.names(f"{system}/{environment}/pruned/")]:
        home = Home(system, environment, name.rpartition("/")[2].removesuffix(".json"))
        for rest in [name for name, _ in store.names(home.beginning)]:
            store.remove(rest)


@contextlib.contextmanager
def nobody_else(root: Path, system: str, environment: str, store: Store | None) -> Iterator[None]:
    """No phase of that system and environment runs meanwhile, here or at the place.  Raises WrongUse (RN003)."""
    purpose = f"towpath prune {system} --env {environment}"
    if store is not None:
        with Holding(store, system, environment).take(purpose):
            yield
        return
    lock = Lock(environment_folder(root, system, environment))
    lock.take(purpose)
    try:
        yield
    finally:
        lock.release()


def entry(summary: RunSummary) -> dict[str, Any]:
    """What the log keeps of a run: enough to know that a copy found elsewhere is that run."""
    try:
        seals = (summary.path / LIST).read_text(encoding="ascii").split()
    except (OSError, UnicodeDecodeError):
        seals = []
    return {
        "time": now(),
        "by": whoever(),
        "system": summary.system,
        "environment": summary.environment,
        "run": summary.run,
        "verdict": str(summary.verdict),
        "opened": summary.opened,
        "plan": summary.plan,
        "last_seal_sha256": seals[-2] if len(seals) > 1 else "",
    }


def size_of(folder: Path) -> int:
    """Bytes of every file of a folder."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())


def _append(path: Path, line: dict[str, Any]) -> None:
    with path.open("ab") as file:
        file.write(_line(line))
        file.flush()
        os.fsync(file.fileno())


def _line(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, ensure_ascii=False) + "\n").encode()


def _remove(folder: Path) -> None:
    for home, _, _ in os.walk(folder):
        Path(home).chmod(0o755)
    shutil.rmtree(folder)
