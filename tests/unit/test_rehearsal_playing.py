"""One rehearsal at a time; what a killed one left is known by its mark and ended, and nothing else is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from helpers.listening import Handler, listening
from helpers.ports import free_port
from helpers.waiting import until

from towpath.cli.command import run_command
from towpath.errors import CannotFinish, WrongUse
from towpath.local import State
from towpath.local.processes import gone
from towpath.rehearsal.playing import MARK, Stopped, end_left_behind, playing, stoppable
from towpath.rehearsal.sides import OldSide, served

FOREVER = (sys.executable, "-c", "import signal; print('up', flush=True); signal.pause()")  # until a signal ends it
SLEEPS = (sys.executable, "-c", "import sys; print('up', flush=True); sys.stdin.read()")
# It plays, starts a process in a session of its own, tells its pid, and waits to be killed.
PLAYS = """
import subprocess, sys
from pathlib import Path
from towpath.local import State
from towpath.rehearsal.playing import playing
with playing(State(Path(sys.argv[1]))):
    child = subprocess.Popen(sys.argv[2:], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    child.stdout.readline()
    print(child.pid, flush=True)
    child.wait()
"""
# Serves an application that answers once it is up, and waits to be killed.
SERVES = """
import sys
from pathlib import Path
from towpath.rehearsal.sides import OldSide, served
root, port = Path(sys.argv[1]), sys.argv[2]
with served(OldSide(root, "toy", root, f"http://127.0.0.1:{port}", root / "old.log")) as old:
    print(old.process.pid, flush=True)
    sys.stdin.read()
"""
TOY = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Answers(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

HTTPServer(("127.0.0.1", int(sys.argv[-1])), Answers).serve_forever()
"""


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State((tmp_path / "build" / "local" / "toy-rehearsal").resolve())


@contextmanager
def started(*words: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True, env={**os.environ, **environment}) as child:
        try:
            yield child
        finally:
            child.kill()


def said(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


def is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or gone(psutil.Process(pid))


def test_what_a_killed_rehearsal_left_is_ended_by_the_next_and_nothing_else_is(state: State) -> None:
    with (
        started(sys.executable, "-c", PLAYS, str(state.folder), *FOREVER) as first,
        started(*SLEEPS) as stranger,
        started(*SLEEPS, **{MARK: f"{state.folder}-2"}) as neighbour,
    ):
        left = int(said(first))
        with pytest.raises(WrongUse, match=rf"is being played already \(pid {first.pid}\).*kill {first.pid}"):
            playing(state).__enter__()
        assert end_left_behind(state) == []
        assert not is_gone(left)
        first.kill()
        first.wait()
        assert not is_gone(left), "it would have ended by itself, and nothing is under test"
        with playing(state) as ended:
            assert ended == [left]
            assert is_gone(left)
            assert (stranger.poll(), neighbour.poll()) == (None, None)
            assert os.environ[MARK] == str(state.folder)
    assert MARK not in os.environ
    assert not (state.folder / "rehearsal.json").exists()


def test_the_runtime_is_stopped_with_what_a_killed_rehearsal_left(
    tmp_path: Path,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("environment.yml", "runbooks"):
        (tmp_path / name).symlink_to(root / name)
    monkeypatch.setenv("TOWPATH_ROOT", str(tmp_path))
    state = State.of(tmp_path, "toy", "rehearsal")
    with started(sys.executable, "-c", PLAYS, str(state.folder), *FOREVER) as one:
        left = int(said(one))
        one.kill()
        one.wait()
        assert run_command(["local", "down", "toy", "--env", "rehearsal"]) == 0
        assert capsys.readouterr().out == "stopped\n"
        assert is_gone(left)
    assert run_command(["local", "down", "toy", "--env", "rehearsal"]) == 0
    assert capsys.readouterr().out == "was not up\n"


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"pid": 1}', json.dumps({"pid": os.getpid(), "created": 1.0})],
    ids=["empty", "cut", "a list", "no moment", "another's number"],
)
def test_who_plays_no_more_keeps_nobody_away(state: State, text: str) -> None:
    state.folder.mkdir(parents=True)
    (state.folder / "rehearsal.json").write_text(text, encoding="utf-8")
    with playing(state) as ended:
        assert ended == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_ends_it_and_the_others_wait(number: int) -> None:
    def work() -> None:
        try:
            os.kill(os.getpid(), number)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)  # while everything is ended

    before = signal.getsignal(number)
    with pytest.raises(Stopped, match=signal.Signals(number).name), stoppable():
        work()
    assert signal.getsignal(number) is before


# -- the old application


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    folder = tmp_path / "runbooks" / "toy" / "legacy"
    folder.mkdir(parents=True)
    (folder / "__main__.py").write_text(TOY, encoding="utf-8")
    return tmp_path


def test_the_old_application_ends_with_who_serves_it(toy: Path) -> None:
    with started(sys.executable, "-c", SERVES, str(toy), str(free_port())) as one:
        old = int(said(one))
        assert not is_gone(old)
        one.kill()
        one.wait()
        until(lambda: is_gone(old), "the old application goes on")


def test_another_ones_answer_is_not_taken_for_its_own(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Answers(Handler):
        def do_GET(self) -> None:  # noqa: N802
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

    with listening(Answers) as port:
        # it was free a moment ago
        monkeypatch.setattr("towpath.rehearsal.sides.processes.freed", lambda _: True)
        old = OldSide(toy, "toy", toy, f"http://127.0.0.1:{port}", toy / "old.log")
        with pytest.raises(CannotFinish, match="Address already in use"), served(old):
            pass
