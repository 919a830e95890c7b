"""Who plays a rehearsal now, what one that was killed left behind, and how one is stopped.

Whatever a rehearsal starts carries the folder of the runtime's state in its environment, and so does what that starts:
so it is known again when nobody is left who started it.  rehearsal.json in that folder says who plays.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType

import psutil

from towpath.errors import WrongUse
from towpath.local import State, processes

MARK = "TOWPATH_REHEARSAL"
PATIENCE = 30.0  # seconds: a phase that is asked to end gives its kernel ten
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Player:
    """The process that plays; it is meant only if its start time is the same too."""

    pid: int
    created: float  # seconds since 1970


class Stopped(KeyboardInterrupt):
    """A signal that ends a rehearsal, and all that it has started."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number = number


@contextmanager
def playing(state: State) -> Iterator[list[int]]:
    """Nobody else plays over this state meanwhile; what a killed rehearsal left is ended first: gives its pids.

    Raises WrongUse while another one plays.
    """
    with state.locked(patience=2 * processes.POLITE):
        if (player := _read(state)) is not None:
            what = f"a rehearsal is being played already (pid {player.pid})"
            raise WrongUse(what, object=state.folder.name, next=f"wait for its end, or stop it: kill {player.pid}")
        ended = _end(state)
        me = psutil.Process()
        draft = state.folder / "rehearsal.json.new"
        draft.write_text(json.dumps(asdict(Player(me.pid, me.create_time()))) + "\n", encoding="utf-8")
        draft.replace(_path(state))
    before = os.environ.get(MARK)
    os.environ[MARK] = str(state.folder)
    try:
        yield ended
    finally:
        os.environ.pop(MARK)
        if before is not None:
            os.environ[MARK] = before
        _path(state).unlink(missing_ok=True)


def end_left_behind(state: State) -> list[int]:
    """End what a killed rehearsal left behind, unless one is being played; the pids."""
    if not state.folder.is_dir():
        return []
    with state.locked(patience=2 * processes.POLITE):
        return _end(state) if _read(state) is None else []


@contextmanager
def stoppable() -> Iterator[None]:
    """The first signal that should end this process is an exception; until everything is ended, the others wait."""
    heard: list[int] = []

    def hear(number: int, _: FrameType | None) -> None:
        heard.append(number)
        if len(heard) == 1:
            raise Stopped(number)

    before = {number: signal.signal(number, hear) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _path(state: State) -> Path:
    return state.folder / "rehearsal.json"


def _read(state: State) -> Player | None:
    """Who plays; None if nobody does any more."""
    try:
        player = Player(**json.loads(_path(state).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return player if processes.alive(player.pid, player.created) else None


def _end(state: State) -> list[int]:
    """End the processes that carry our mark, but for this one and who started it."""
    ours = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = [process for process in processes.marked(state.folder, MARK, ("",)) if process.pid not in ours]
    processes.end(found, PATIENCE)
    return [process.pid for process in found]
