"""Killed at any step with clients at work: 06 and 07 begun again come to their end, and the ledger holds.

One run of Joan, real in every part: her old side, the runtime with her Worker, the gateway, and clients that never
stop.  What is killed is the kernel of the phase, the runtime with gateway and Worker, the old side, and the rehearsal
itself.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from helpers.ports import free_port
from helpers.project import HERE, kernel_of, lay_out
from helpers.waiting import until

from towpath.checks import Verdict
from towpath.local import State, down, processes
from towpath.plan.params import load_params
from towpath.rehearsal import observed
from towpath.rehearsal.ledger import read_ledger
from towpath.rehearsal.playing import MARK, end_left_behind
from towpath.rehearsal.stage import Asked, Stage, staged, used
from towpath.traffic import setting

OVER, BACK = "06-cutover", "07-roll-back"
BEFORE = ("00-ready", "01-inventory", "02-schema", "03-export", "04-import", "05-validate")
SECONDS = 300  # that a step may take on a machine that is busy with other tests


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Joan in a project of her own on free ports."""
    root = tmp_path / "project"
    lay_out(root)
    shutil.copytree(HERE / "runbooks", root / "runbooks", ignore=shutil.ignore_patterns("__pycache__"))
    mapping = root / "runbooks" / "joan" / "mapping.yaml"
    words = mapping.read_text(encoding="utf-8")
    mapping.write_text(re.sub(r"(?m)^  corpus: .*\n", "", words), encoding="utf-8")  # parity is not under test here
    text = (HERE / "params" / "joan" / "rehearsal.yaml").read_text(encoding="utf-8")
    for port in ("8801", "8802", "8803"):
        text = text.replace(port, str(free_port()))
    params = root / "params" / "joan" / "rehearsal.yaml"
    params.parent.mkdir(parents=True)
    # A machine that is busy with other tests is slow, and no budget of time is under test here.
    params.write_text(re.sub(r"(?m)^ramp_p95_ms: \d+", "ramp_p95_ms: 30000", text), encoding="utf-8")
    monkeypatch.setenv("TOWPATH_ROOT", str(root))
    data = root / "build" / "rehearsal" / "joan"
    make = (sys.executable, "-m", "runbooks.joan.legacy", "generate", "--scale", "small", "--to", str(data))
    subprocess.run(make, cwd=root, check=True)
    return root


@pytest.fixture
def stage(project: Path) -> Iterator[Stage]:
    """Clients at work, and everything up to 05-validate done."""
    params, data = project / "params" / "joan" / "rehearsal.yaml", project / "build" / "rehearsal" / "joan"
    asked = Asked(project, "joan", load_params(params), data, project / "build" / "traffic", clients=5, rate=12.0)
    with staged(asked, print) as ready, used(ready):
        ready.live(10, "origin")
        assert ready.towpath("run", *(word for phase in BEFORE for word in ("--phase", phase))) == 0
        yield ready


def noted(stage: Stage, step: str) -> int:
    """How often a step was noted in this run."""
    files = (stage.folder().path / "traffic").glob("steps*.jsonl")
    lines = [json.loads(line) for path in files for line in path.read_text(encoding="utf-8").splitlines() if line]
    return sum(line["name"] == step for line in lines)


def disturbed(stage: Stage, phase: str, step: str, disturb: Callable[[subprocess.Popen[bytes]], None]) -> int:
    """Run a phase, and disturb it when it has noted this step; returns the command's exit code."""
    before = noted(stage, step)
    command = stage.words("run", "--phase", phase)
    with subprocess.Popen(command, cwd=stage.asked.root, env=stage.variables) as process:
        until(
            lambda: noted(stage, step) > before or process.poll() is not None, f"{phase} never came to {step}", SECONDS
        )
        assert process.poll() is None, f"{phase} ended before {step}"
        disturb(process)
        return process.wait(SECONDS)


def kernel(process: subprocess.Popen[bytes]) -> None:
    """The kernel dies, if the phase has not ended with what was killed before it."""
    try:
        kernel_of(process, 20).kill()
    except (AssertionError, psutil.NoSuchProcess):
        assert process.wait(SECONDS) != 0


def runtime(stage: Stage) -> None:
    """Gateway, Worker, D1, KV and R2 die at once; then they come up again with what they held."""
    state = State.of(stage.asked.root, "joan", "rehearsal")
    serving = processes.marked(state.folder)
    assert serving
    for process in serving:
        process.kill()
    psutil.wait_procs(serving, timeout=60)
    assert stage.towpath("local", "up", "--stumble") == 0


def old_side(stage: Stage) -> None:
    stage.old.kill()
    stage.old.start()


def fact(stage: Stage) -> str:
    holds = setting.read(stage.kv)
    return holds.fact if holds else ""


def test_killed_on_the_way_over_and_on_the_way_back(stage: Stage) -> None:
    def with_kernel(kill: Callable[[Stage], None]) -> Callable[[subprocess.Popen[bytes]], None]:
        def both(process: subprocess.Popen[bytes]) -> None:
            kernel(process)
            kill(stage)

        return both

    assert disturbed(stage, OVER, "freeze", kernel) != 0
    assert stage.result(OVER).verdict is Verdict.INCOMPLETE
    assert fact(stage) == "frozen"
    stage.mark("the old side is killed while everything is frozen")
    assert disturbed(stage, OVER, "shut old", with_kernel(old_side)) != 0
    assert stage.settle("old").holds
    stage.mark("the runtime is killed before the new side is opened")
    assert disturbed(stage, OVER, "delta", with_kernel(runtime)) != 0
    assert (fact(stage), stage.settle("old").holds) == ("frozen", True)
    stage.mark("the kernel is killed at 10 %")
    assert disturbed(stage, OVER, "split 10", kernel) != 0
    assert fact(stage) == "split 10"
    stage.live(5, "worker")
    assert stage.settle("new").holds
    stage.mark("06 goes on to its end")
    assert stage.towpath("run", "--phase", OVER) == 0
    assert (stage.result(OVER).verdict, fact(stage)) == (Verdict.PASS, "worker")
    stage.live(10, "worker")
    assert stage.settle("new").holds

    stage.mark("the way back, with its kernel killed")
    assert disturbed(stage, BACK, "shut new", kernel) != 0
    stage.mark("the way back, with the runtime killed")
    disturbed(stage, BACK, "shut new", lambda _: runtime(stage))  # it may be patient enough to go on by itself
    stage.mark("07 goes on to its end")
    if fact(stage) != "origin":
        assert stage.towpath("run", "--phase", BACK) == 0
    assert (stage.result(BACK).verdict, fact(stage)) == (Verdict.PASS, "origin")
    stage.live(10, "origin")
    settled = stage.settle("old")
    assert settled.holds
    assert settled.told["acknowledged"] > 50
    assert observed.broken_promises(stage.requests(), stage.changes.modes)[0] == []


# -- the rehearsal itself


@contextmanager
def rehearsing(project: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`towpath rehearse`, up to where clients have written and the first phase is under way."""
    traffic = project / "build" / "rehearsal" / "joan.traffic"
    known = set(traffic.glob("*"))
    command = [sys.executable, "-m", "towpath", "rehearse", "joan", "--clients", "5"]
    with subprocess.Popen(command, cwd=project) as process:

        def begun() -> bool:
            assert process.poll() is None, "it ended"
            ledgers = [one for one in traffic.glob("*/traffic/ledger.jsonl") if one.parents[1] not in known]
            running = any("run" in child.cmdline() for child in psutil.Process(process.pid).children())
            return running and any(len(read_ledger(ledger)) > 60 for ledger in ledgers)

        try:
            until(begun, "nobody writes", SECONDS)
            yield process
        finally:
            process.kill()


def test_what_a_killed_rehearsal_left_keeps_no_other_one_from_beginning(project: Path) -> None:
    state = State.of(project, "joan", "rehearsal")
    try:
        with rehearsing(project) as first:
            ours = psutil.Process(first.pid).children(recursive=True)
            first.kill()
            first.wait()
        left = processes.marked(state.folder, MARK, ("",))
        assert left, "nothing was left, and nothing is under test"
        assert processes.marked(state.folder)
        with rehearsing(project) as second:
            assert not [one for one in ours if not processes.gone(one)]
            second.send_signal(signal.SIGTERM)
            assert second.wait(SECONDS) == 143
        assert processes.marked(state.folder, MARK, ("",)) == []
        assert processes.marked(state.folder) == []
        told = json.loads((project / "outputs" / "joan" / "rehearsal" / "rehearsal.json").read_text(encoding="utf-8"))
        assert told["broken"] == "stopped by SIGTERM"
    finally:
        end_left_behind(state)
        down(state)
