"""The runtime when things die, ports are taken, packages are broken: nothing of ours stays, nothing else is killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from towpath.cloudflare import D1
from towpath.errors import CannotFinish, WrongUse
from towpath.local import State, down, start, status, up
from towpath.local.processes import gone, marked, still_there

NAMES = {"bucket": "towpath-test", "database_id": "joan-local"}
PATIENCE = 30.0  # seconds that a process is given to go; it takes a fraction of one

PARENT = """
import os, sys, time
from pathlib import Path
from towpath.local import State, start
from towpath.local.processes import marked
state = State(Path(sys.argv[1]))
with start("joan", "local", 0, root=Path(sys.argv[2]), state=state, bucket="b", database_id="d") as runtime:
    print(*[process.pid for process in marked(state.folder)], flush=True)
    time.sleep(600)
"""


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path / "state")


def test_a_killed_parent_takes_the_runtime_with_it(state: State, root: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(state.folder), str(root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        ours = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
        assert [process.name() for process in ours][1:] == ["workerd"]
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        assert still_there(ours, PATIENCE) == []
    now = status(state)
    assert (now.record, now.leftovers) == (None, ())


def test_a_workerd_whose_node_was_killed_is_cleared_away_by_the_next_start(state: State, root: Path) -> None:
    runtime, _ = up("joan", "local", 0, root=root, state=state, **NAMES)
    try:
        with runtime.client() as client:
            D1(client, "joan-local").batch(["CREATE TABLE t (a)"])
        node, workerd = marked(state.folder)
        node.kill()
        assert still_there([node], PATIENCE) == []
        assert not gone(workerd)
        now = status(state)
        assert now.record is None
        assert now.leftovers == (workerd.pid,)
        assert now.line == f"down (left over: pid {workerd.pid})"

        with start("joan", "local", runtime.port, root=root, state=state, **NAMES) as again:  # the same port
            assert gone(workerd)
            with again.client() as client:
                assert D1(client, "joan-local").facts().tables == (("t", 0),)
    finally:
        down(state)
    assert marked(state.folder) == []


def test_down_clears_away_a_left_over_workerd(state: State, root: Path) -> None:
    up("joan", "local", 0, root=root, state=state, **NAMES)
    node, workerd = marked(state.folder)
    node.kill()
    assert still_there([node], PATIENCE) == []
    assert down(state)
    assert gone(workerd)


def test_a_runtime_that_lives_but_does_not_answer_is_replaced(state: State, root: Path) -> None:
    first, _ = up("joan", "local", 0, root=root, state=state, **NAMES)
    try:
        _, workerd = marked(state.folder)
        workerd.suspend()  # a killed one is started again by its node
        second, started = up("joan", "local", first.port, root=root, state=state, **NAMES)
        assert started
        assert second.pid != first.pid
        assert gone(workerd)
        assert status(state).answering
    finally:
        down(state)


def test_a_port_in_use_is_named_with_its_holder(state: State, root: Path) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        with pytest.raises(WrongUse) as caught, start("joan", "local", port, root=root, state=state, **NAMES):
            pass
        assert f"port {port} is in use by pid {os.getpid()}" in caught.value.what
        assert "cloudflare_api" in caught.value.next
    assert not state.data.exists()
    assert marked(state.folder) == []


def test_packages_that_are_broken_show_in_the_error(state: State, tmp_path: Path) -> None:
    broken = tmp_path / "project"
    (broken / "node_modules" / "miniflare").mkdir(parents=True)
    (broken / "node_modules" / "miniflare" / "package.json").write_text(json.dumps({"name": "miniflare"}))
    (broken / "package.json").write_text("{}")
    with pytest.raises(CannotFinish, match=r"ended while starting.*miniflare") as caught:
        up("joan", "local", 0, root=broken, state=state, **NAMES)
    assert "make install" in caught.value.next
    assert "\n" not in caught.value.line
    assert marked(state.folder) == []
    assert status(state).line == "down"


def test_a_start_that_takes_too_long_is_ended(state: State, root: Path) -> None:
    with pytest.raises(CannotFinish, match="does not answer after 0 s"):
        up("joan", "local", 0, root=root, state=state, deadline=0.0, **NAMES)
    assert marked(state.folder) == []
