"""Processes: which ones are ours, who holds a port, how to end them.

Ours carry the folder of their state in their environment (`TOWPATH_STATE`).  That is how a workerd whose node was
killed is recognised; a pid alone is never believed, because pids are used again.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

MARK = "TOWPATH_STATE"
SERVING = ("node", "workerd", "MainThread")  # what the runtime's processes are called
POLITE = 10.0  # seconds between asking and killing


def marked(folder: Path, mark: str = MARK, names: tuple[str, ...] = SERVING) -> list[psutil.Process]:
    """The living processes that serve the state in `folder`, node before workerd; or those of another mark."""
    found = []
    for process in psutil.process_iter(["name", "create_time"]):
        name = process.info["name"] or ""
        if not name.startswith(names):
            continue
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(mark) == str(folder) and not gone(process):
                found.append(process)
    return sorted(found, key=lambda process: float(process.info["create_time"]))


def alive(pid: int, created: float) -> bool:
    """True if that very process lives, not another one that got its number."""
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - created) < 1.0 and not gone(process)
    except psutil.Error:
        return False


def end(processes: Sequence[psutil.Process], patience: float = POLITE) -> None:
    """End these processes: ask first, then kill.  Returns when they are gone."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    stubborn = still_there(processes, patience)
    for process in stubborn:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    still_there(stubborn, patience)


def gone(process: psutil.Process) -> bool:
    """True if the process has ended, reaped or not: in a container nobody may reap an orphan for a long time."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def still_there(processes: Sequence[psutil.Process], patience: float) -> list[psutil.Process]:
    """Those of the processes that have not ended after `patience` seconds."""
    deadline = time.monotonic() + patience
    left = [process for process in processes if not gone(process)]
    while left and time.monotonic() < deadline:
        time.sleep(0.02)
        left = [process for process in left if not gone(process)]
    return left


def free(port: int) -> bool:
    """True if a server may listen on this port of 127.0.0.1."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def freed(port: int, patience: float = 2.0) -> bool:
    """True once a server may listen on this port, which an ended process may hold a moment longer than it lives."""
    deadline = time.monotonic() + patience
    while not free(port):
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.02)
    return True


def holder(port: int) -> psutil.Process | None:
    """Who listens on that port; None if it is not ours to know."""
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections(kind="tcp"):
            at = connection.laddr
            if connection.status == psutil.CONN_LISTEN and at and at.port == port and connection.pid:
                return psutil.Process(connection.pid)
    return None


def described(process: psutil.Process | None) -> str:
    """`pid 4711 (node server.js)`, as far as it may be known."""
    if process is None:
        return "a process of another user"
    try:
        command = " ".join(process.cmdline())[:120]
    except psutil.Error:
        command = ""
    return f"pid {process.pid}" + (f" ({command})" if command else "")
