"""PostgreSQL and Redis of our own: started, found, stopped, and told from others; one test for each error."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
import redis

from towpath.errors import CannotFinish, WrongUse
from towpath.local import processes, servers
from towpath.local.postgresql import NOT_ROOT, Postgresql, running_postgresql, start_postgresql, stop_postgresql
from towpath.local.redis import RedisServer, running_redis, start_redis, stop_redis

Server = Postgresql | RedisServer


class Kind:
    """One kind of server, so that both go through the same tests."""

    def __init__(self, name: str, start: Callable[..., Any], running: Callable[..., Any], stop: Callable[..., Any]):
        self.name, self.start, self.running, self.stop = name, start, running, stop

    def keep(self, server: Any, word: str) -> None:
        """Write a word into the server's data."""
        if isinstance(server, RedisServer):
            with redis.Redis.from_url(server.url(3), password=server.password) as client:
                client.set("word", word)
        else:
            with psycopg.connect(server.url("postgres"), password=server.password) as connection:
                connection.execute(f"CREATE TABLE word AS SELECT '{word}' AS word")

    def kept(self, server: Any) -> str:
        """Read it back."""
        if isinstance(server, RedisServer):
            with redis.Redis.from_url(server.url(3), password=server.password) as client:
                return (client.get("word") or b"").decode()
        with psycopg.connect(server.url("postgres"), password=server.password) as connection:
            return str(connection.execute("SELECT word FROM word").fetchone()[0])

    def pid(self, server: Any) -> int:
        record = servers.running(server.folder)
        assert record is not None
        return record.pid


KINDS = [
    Kind("postgres", start_postgresql, running_postgresql, stop_postgresql),
    Kind("redis-server", start_redis, running_redis, stop_redis),
]
both = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path) -> Iterator[None]:
    yield
    for kind in KINDS:
        for folder in tmp_path.iterdir():
            if folder.is_dir():
                kind.stop(folder)
                assert servers.leftovers(folder, kind.name) == []


def gone(pid: int) -> None:
    """Wait until a process has ended."""
    try:
        process = psutil.Process(pid)
    except psutil.NoSuchProcess:
        return
    assert processes.still_there([process], 30.0) == []


@both
def test_data_and_password_outlive_a_stop(kind: Kind, tmp_path: Path) -> None:
    folder = tmp_path / "server"
    assert kind.running(folder) is None
    first = kind.start(folder)
    assert kind.running(folder) == first
    assert kind.start(folder) == first, "a server that is up is used"
    assert (folder / "password").stat().st_mode & 0o777 == 0o600
    assert first.secret.reveal() == first.password
    assert first.password not in repr(first)
    kind.keep(first, "barge")
    first.stop()
    assert kind.running(folder) is None
    assert processes.free(first.port)
    first.stop()
    second = kind.start(folder, port=first.port)
    assert (second.port, second.password, kind.kept(second)) == (first.port, first.password, "barge")


@both
def test_a_killed_server_is_started_again(kind: Kind, tmp_path: Path) -> None:
    folder = tmp_path / "server"
    first = kind.start(folder)
    pid = kind.pid(first)
    os.kill(pid, signal.SIGKILL)
    gone(pid)
    assert kind.running(folder) is None
    second = kind.start(folder)
    kind.keep(second, "after")
    assert kind.kept(second) == "after"


@both
def test_a_stale_pid_is_not_believed(kind: Kind, tmp_path: Path) -> None:
    folder = tmp_path / "server"
    server = kind.start(folder)
    server.stop()
    # a living process of the user that PostgreSQL runs as, which got the number of the server that is no more
    owner = {"user": NOT_ROOT} if os.geteuid() == 0 else {}
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, **owner) as other:
        born = psutil.Process(other.pid).create_time() - 60
        (folder / "server.json").write_text(f'{{"pid": {other.pid}, "created": {born}, "port": 1}}')
        if kind.name == "postgres":
            (folder / "data" / "postmaster.pid").write_text(f"{other.pid}\n{folder}/data\n1\n1\n\n\n\nready\n")
        assert kind.running(folder) is None
        assert not kind.stop(folder)
        again = kind.start(folder)
        kind.keep(again, "again")
        assert kind.kept(again) == "again"
        assert other.poll() is None


@both
def test_the_password_is_in_no_argument_and_in_no_environment(kind: Kind, tmp_path: Path) -> None:
    server = kind.start(tmp_path / "server")
    process = psutil.Process(kind.pid(server))
    assert server.password not in " ".join(process.cmdline())
    assert server.password not in str(process.environ())
    assert server.password not in (tmp_path / "server" / "server.log").read_text()


@both
def test_it_asks_for_the_password(kind: Kind, tmp_path: Path) -> None:
    server = kind.start(tmp_path / "server")
    for wrong in (None, "wrong"):
        if isinstance(server, RedisServer):
            with redis.Redis(port=server.port, password=wrong) as client, pytest.raises(redis.AuthenticationError):
                client.ping()
        else:
            with pytest.raises(psycopg.OperationalError, match="password"):
                psycopg.connect(server.url("postgres"), password=wrong)


@both
def test_it_ends_with_the_process_that_started_it(kind: Kind, tmp_path: Path) -> None:
    module = "postgresql" if kind.name == "postgres" else "redis"
    code = (
        f"import pathlib, sys\nfrom towpath.local.{module} import start_{module} as start\n"
        f"start(pathlib.Path({str(tmp_path / 'server')!r}), ends_with_us=True)\n"
        "print('up', flush=True)\nsys.stdin.read()\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"up\n"
        record = servers.running(tmp_path / "server")
        assert record is not None
        parent.kill()
    gone(record.pid)


@both
def test_a_port_in_use_is_refused(kind: Kind, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(WrongUse, match=rf"in use by pid {os.getpid()} .*another port"):
            kind.start(tmp_path / "server", port=taken.getsockname()[1])
    assert not (tmp_path / "server" / "data").exists()


@both
def test_another_port_than_that_of_the_running_server_is_refused(kind: Kind, tmp_path: Path) -> None:
    server = kind.start(tmp_path / "server")
    with pytest.raises(WrongUse, match=f"already runs on port {server.port}, not 1"):
        kind.start(tmp_path / "server", port=1)
    assert kind.running(tmp_path / "server") == server


@both
def test_a_missing_package_is_told(kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(WrongUse, match=r"is not installed.*make install"):
        kind.start(tmp_path / "server")


@both
def test_a_server_that_cannot_start_says_why(kind: Kind, tmp_path: Path) -> None:
    folder = tmp_path / "server"
    kind.start(folder).stop()
    if kind.name == "postgres":
        (folder / "data" / "PG_VERSION").write_text("9\n")
        reason = "version"
    else:
        (folder / "data" / "dump.rdb").write_bytes(b"REDIS0099" + bytes(40))
        reason = "RDB"
    with pytest.raises(CannotFinish, match=rf"ended while starting .*{reason}.*Next: read") as caught:
        kind.start(folder)
    assert "\n" not in str(caught.value)
    assert kind.running(folder) is None


@both
def test_a_server_that_does_not_answer_is_stopped(kind: Kind, tmp_path: Path) -> None:
    server = kind.start(tmp_path / "server")
    server.stop()
    silent = servers.Start("sleep", ["sleep", "600"], server.folder, 1, lambda: False, signal.SIGTERM)
    with pytest.raises(CannotFinish, match=r"does not answer after 0 s.*overloaded"):
        servers.launch(silent, deadline=0.05)
    assert servers.leftovers(server.folder, "sleep") == []


def test_data_without_its_password_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "server"
    start_postgresql(folder).stop()
    (folder / "password").unlink()
    with pytest.raises(WrongUse, match=r"password: there is data but no password"):
        start_postgresql(folder)


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "server"
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "mine.txt").write_text("mine")
    with pytest.raises(CannotFinish, match=r"initdb could not make the data directory: .*not empty"):
        start_postgresql(folder)
    assert (folder / "data" / "mine.txt").read_text() == "mine"


def test_a_folder_that_moved_is_served_again(tmp_path: Path) -> None:
    start_postgresql(tmp_path / "server").stop()
    shutil.move(tmp_path / "server", tmp_path / "moved")
    assert isinstance(start_postgresql(tmp_path / "moved"), Postgresql)


def test_stopping_what_was_never_there(tmp_path: Path) -> None:
    for kind in KINDS:
        assert not kind.stop(tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()


def test_fixtures(postgresql_url: str, postgresql_server: Postgresql, redis_client: Any) -> None:
    assert postgresql_server.password not in postgresql_url
    with psycopg.connect(postgresql_url, password=postgresql_server.password) as connection:
        assert connection.execute("SHOW server_encoding").fetchone() == ("UTF8",)
        assert connection.execute("SHOW timezone").fetchone() == ("UTC",)
    assert redis_client.dbsize() == 0
    redis_client.set(b"a", b"\xff")
    assert redis_client.get("a") == b"\xff"
