"""What PostgreSQL and Redis have in common: a folder, a made-up password, a record of the process, a start, a stop.

<folder>/
    password      made up at the first start, readable by its owner alone
    server.json   the process that serves the folder, with its start time and port
    server.log    what it said since its last start
    data/         what the server itself keeps
    lock          held while somebody starts or stops it
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from towpath.errors import CannotFinish, WrongUse
from towpath.local import processes
from towpath.local.state import State
from towpath.secrets import Secret

DEADLINE = 60.0  # seconds until a server must answer; 1 on an idle machine
LOG_TAIL = 800  # characters shown in an error
WATCHER = 'read -r line; kill -s "$1" "$2"'  # its stdin closes when the process that holds the other end dies

_children: dict[int, subprocess.Popen[bytes]] = {}  # ours to reap
_watchers: dict[int, subprocess.Popen[bytes]] = {}  # by the pid of the server that they end


@dataclass(frozen=True, slots=True)
class Server:
    """A server that answers."""

    folder: Path
    port: int
    password: str = field(repr=False)

    @property
    def secret(self) -> Secret:
        """The password by reference."""
        return Secret("file:password", self.folder)


@dataclass(frozen=True, slots=True)
class Record:
    """Who serves a folder; a process is meant only if its start time is the same too."""

    pid: int
    created: float
    port: int


@dataclass(frozen=True, slots=True)
class Start:
    """How a server is started."""

    name: str  # of the process, and of the server in errors
    command: Sequence[str | Path]
    folder: Path
    port: int
    ready: Callable[[], bool]
    stop: signal.Signals  # asks it to write everything down and end
    stdin: bytes = field(default=b"", repr=False)
    user: str | None = None
    ends_with_us: bool = False


def packaged(package: str, *parts: str) -> Path:
    """A file inside an installed package, which is not imported.  Raises WrongUse if it is not there."""
    found = importlib.util.find_spec(package)
    places = list(found.submodule_search_locations or []) if found else []
    for place in places:
        path = Path(place, *parts)
        if path.exists():
            return path
    raise WrongUse(f"{'/'.join(parts)} is not installed", object=f"package {package}", next="run `make install`")


def password(folder: Path, *, make: bool) -> str:
    """The password of the server in `folder`; with `make`, made up where there is none.

    Raises WrongUse if it is missing and may not be made, because the data was made with another one.
    """
    path = folder / "password"
    if path.is_file() and (found := path.read_text(encoding="ascii").strip()):
        return found
    if not make:
        step = "put the file back, or remove the whole folder to start afresh"
        raise WrongUse("there is data but no password for it", object=str(path), next=step)
    path.unlink(missing_ok=True)
    made = secrets.token_hex(24)
    handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as out:
        out.write(made + "\n")
    return made


def running(folder: Path) -> Record | None:
    """The process that serves `folder`; None if there is none."""
    try:
        record = Record(**json.loads((folder / "server.json").read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return record if processes.alive(record.pid, record.created) else None


def usable(folder: Path, port: int | None) -> Record | None:
    """The running server, if it is on the wanted port.  Raises WrongUse if it is on another one, or that is taken."""
    record = running(folder)
    if record is not None and port in (None, record.port):
        return record
    if record is not None:
        what = f"the server already runs on port {record.port}, not {port}"
        raise WrongUse(what, object=str(folder), next="use that port, or stop the server first")
    if port is not None and not processes.free(port):
        who = processes.described(processes.holder(port))
        raise WrongUse(f"port {port} is in use by {who}", object=str(folder), next="stop it, or choose another port")
    return None


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def leftovers(folder: Path, name: str) -> list[psutil.Process]:
    """Living processes of that name that work in the data of `folder`."""
    found = []
    for process in psutil.process_iter(["name"]):
        if process.info["name"] != name:
            continue
        with contextlib.suppress(psutil.Error, OSError):
            if Path(process.cwd()) == folder / "data" and not processes.gone(process):
                found.append(process)
    return found


def launch(start: Start, deadline: float = DEADLINE) -> Record:
    """Start a server and wait until it answers; the caller holds the folder's lock.  Raises CannotFinish."""
    log = start.folder / "server.log"
    owner = {} if start.user is None else {"user": start.user, "extra_groups": []}
    with log.open("wb") as out:
        child = subprocess.Popen(
            start.command,
            stdin=subprocess.PIPE if start.stdin else subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=start.folder / "data",
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8"},
            start_new_session=True,
            **owner,  # type: ignore[call-overload]
        )
    _children[child.pid] = child
    record = Record(child.pid, psutil.Process(child.pid).create_time(), start.port)
    try:
        if child.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                child.stdin.write(start.stdin)
                child.stdin.close()
        _wait(start, child, log, deadline)
        if start.ends_with_us:
            _watch(record.pid, start.stop)
        new = start.folder / "server.json.new"
        new.write_text(json.dumps(asdict(record)) + "\n", encoding="utf-8")
        new.replace(start.folder / "server.json")
    except BaseException:
        stop(start.folder, start.name, start.stop, record)
        raise
    return record


def stop(folder: Path, name: str, how: signal.Signals, record: Record | None) -> None:
    """End the server and what it left behind; the caller holds the folder's lock."""
    if record is not None:
        _unwatch(record.pid)
        with contextlib.suppress(psutil.NoSuchProcess):
            server = psutil.Process(record.pid)
            if processes.alive(record.pid, record.created):
                server.send_signal(how)
                processes.still_there([server], DEADLINE)
    processes.end(leftovers(folder, name))
    if record is not None and (child := _children.pop(record.pid, None)) is not None:
        child.wait()
    (folder / "server.json").unlink(missing_ok=True)


def end(folder: Path, name: str, how: signal.Signals) -> bool:
    """Stop the server of `folder`, and what a killed one left behind; True if it was up."""
    folder = folder.resolve()
    if not folder.is_dir():
        return False
    with State(folder).locked(patience=DEADLINE):
        record = running(folder)
        stop(folder, name, how, record)
    return record is not None


def said(log: Path) -> str:
    """The end of a log, in one line."""
    try:
        return " ".join(log.read_text(encoding="utf-8", errors="replace").split())[-LOG_TAIL:]
    except FileNotFoundError:
        return ""


@contextlib.contextmanager
def ending_with_us(pid: int, how: signal.Signals) -> Iterator[None]:
    """Within the block a process of ours ends when this one dies, in whatever way."""
    _watch(pid, how)
    try:
        yield
    finally:
        _unwatch(pid)


def _watch(pid: int, how: signal.Signals) -> None:
    """Let a small shell end the server when this process dies, in whatever way."""
    command = ["/bin/sh", "-c", WATCHER, "sh", how.name.removeprefix("SIG"), str(pid)]
    # It must outlive whoever is found by a mark in the environment.
    _watchers[pid] = subprocess.Popen(command, stdin=subprocess.PIPE, env={}, start_new_session=True)


def _unwatch(pid: int) -> None:
    if (watcher := _watchers.pop(pid, None)) is not None:
        watcher.kill()
        watcher.communicate()


def _wait(start: Start, child: subprocess.Popen[bytes], log: Path, deadline: float) -> None:
    until = time.monotonic() + deadline
    while not start.ready():
        if child.poll() is not None:
            what = f"{start.name} ended while starting (exit code {child.returncode}): {said(log)}"
            raise CannotFinish(what, object=str(start.folder), next=f"read {log}")
        if time.monotonic() > until:
            what = f"{start.name} does not answer after {deadline:.0f} s: {said(log)}"
            raise CannotFinish(what, object=str(start.folder), next=f"read {log}; is the machine overloaded?")
        time.sleep(0.02)
