"""One phase at a time per system and environment: a lock file that says who holds it.

The system's lock (`flock`) ends with its process, whatever ended it; the text in the file explains the holder to
people, also across machines that share the folder.
"""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import socket
from pathlib import Path
from typing import IO

from towpath.errors import CannotFinish, WrongUse
from towpath.runs.results import now

NAME = "lock"


class Lock:
    """Held from `take` until `release` or the end of the process."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self.stale = ""  # who held it before and ended without releasing it
        self._file: IO[str] | None = None
        self._since = ""

    def take(self, purpose: str) -> None:
        """Take the lock, or say of the one that is held what it is held for now.

        Raises WrongUse naming the holder when somebody else has it.
        """
        if self._file is not None:
            self._write(self._file, purpose)
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = self.path.open("a+", encoding="utf-8")
        except OSError as error:
            step = "make the folder writable"
            raise CannotFinish(f"cannot lock: {error.strerror}", object=str(self.path), next=step) from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = _holder(file)
            file.close()
            raise self._held(
                holder, "wait for it, or stop that process (in JupyterLab: shut its kernel down)"
            ) from None
        holder = _holder(file)
        if holder and holder.get("host") != socket.gethostname():
            file.close()
            raise self._held(holder, f"if that process is dead, remove {self.path.name} in that folder") from None
        if holder:
            self.stale = _said(holder)
        self._file = file
        self._write(file, purpose)

    def release(self) -> None:
        """Give the lock back."""
        if self._file is not None:
            self._file.truncate(0)
            self._file.close()
            self._file = None
            self._since = ""

    def _write(self, file: IO[str], purpose: str) -> None:
        self._since = self._since or now()
        who = {"pid": os.getpid(), "user": _user(), "host": socket.gethostname()}
        holder = {**who, "since": self._since, "for": purpose}
        file.seek(0)
        file.truncate(0)
        file.write(json.dumps(holder))
        file.flush()

    def _held(self, holder: dict[str, object], step: str) -> WrongUse:
        return WrongUse(f"is held by {_said(holder)}", object=str(self.path), next=step, code="RN003")


def _holder(file: IO[str]) -> dict[str, object]:
    file.seek(0)
    text = file.read()
    if not text.strip():
        return {}
    try:
        holder = json.loads(text)
    except ValueError:
        return {"pid": "unknown", "host": socket.gethostname(), "since": "unknown", "for": "unknown"}
    return dict(holder) if isinstance(holder, dict) else {}


def _said(holder: dict[str, object]) -> str:
    if not holder:
        return "another process"
    user = f" of {holder['user']}" if holder.get("user") else ""
    where = f"process {holder.get('pid')}{user} on {holder.get('host')}"
    return f"{where} since {holder.get('since')} for {holder.get('for')}"


def _user() -> str:
    """Who runs this process, "" where the system has no name for them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""
