"""The folder of a local runtime, and how its processes are told from others; nothing is started here."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import psutil
import pytest

from towpath.errors import WrongUse
from towpath.local import State, down, reset, status
from towpath.local.processes import alive, described, free, holder, marked
from towpath.local.state import Record


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path / "joan-local")


def record(pid: int, created: float, port: int = 1) -> Record:
    return Record(pid, created, port, "signal", "bucket", "database")


def test_the_folder_is_named_by_system_and_environment(tmp_path: Path) -> None:
    assert State.of(tmp_path, "joan", "local").folder == tmp_path.resolve() / "build" / "local" / "joan-local"
    for system, environment in (("../x", "local"), ("joan", "a/b"), ("", "local"), ("Joan", "local")):
        with pytest.raises(WrongUse, match="not a name"):
            State.of(tmp_path, system, environment)


def test_credentials_are_made_once_and_are_for_their_owner_alone(state: State) -> None:
    state.prepare()
    first = state.access_key.reveal(), state.secret_key.reveal()
    state.prepare()
    assert (state.access_key.reveal(), state.secret_key.reveal()) == first
    assert (len(first[0]), len(first[1])) == (32, 64)
    for name in ("r2-access-key", "r2-secret-key"):
        assert (state.folder / name).stat().st_mode & 0o777 == 0o600


def test_an_interrupted_first_start_makes_credentials_again(state: State) -> None:
    state.folder.mkdir()
    (state.folder / "r2-access-key").touch()
    state.prepare()
    assert len(state.access_key.reveal()) == 32


def test_a_record_that_cannot_be_read_is_none(state: State) -> None:
    assert state.read() is None
    state.folder.mkdir()
    state.write(record(1, 2.0))
    assert state.read() == record(1, 2.0)
    for broken in ("", "{", '{"pid": 1}', "[]"):
        (state.folder / "runtime.json").write_text(broken)
        assert state.read() is None


def test_a_pid_that_was_used_again_is_not_ours(state: State) -> None:
    me = psutil.Process()
    assert alive(me.pid, me.create_time())
    assert not alive(me.pid, me.create_time() - 60)
    state.prepare()
    state.write(record(me.pid, me.create_time() - 60))
    assert status(state).record is None
    assert not down(state)  # and this test goes on living


def test_nothing_is_ours_without_the_mark(state: State) -> None:
    assert marked(state.folder) == []
    assert marked(Path(os.environ.get("HOME", "/"))) == []


def test_reset_empties_the_data_of_a_rehearsal_alone(state: State) -> None:
    state.prepare()
    kept = state.access_key.reveal()
    (state.data / "d1").mkdir()
    with pytest.raises(WrongUse, match="only a rehearsal"):
        reset(state, "production")
    assert (state.data / "d1").exists()
    reset(state, "local")
    assert not state.data.exists()
    assert state.access_key.reveal() == kept
    reset(state, "local")


def test_only_one_may_start_or_stop_at_a_time(state: State) -> None:
    with state.locked():
        with pytest.raises(WrongUse, match="somebody else"):
            down(state)
        with pytest.raises(WrongUse, match="somebody else"):
            reset(state, "local")
    assert not down(state)


def test_the_end_of_the_log_is_one_line(state: State) -> None:
    assert state.said() == ""
    state.folder.mkdir()
    state.log.write_bytes(b"start" + b"x" * 3000 + b"\nfirst\n\xff second\n")
    assert state.said().endswith("x first \N{REPLACEMENT CHARACTER} second")
    assert len(state.said()) <= 1500


def test_who_holds_a_port() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        assert not free(port)
        found = holder(port)
        assert found is not None
        assert found.pid == os.getpid()
        assert described(found).startswith(f"pid {os.getpid()} (")
    assert free(port)
    assert described(None) == "a process of another user"
