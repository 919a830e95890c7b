"""Killed at any moment, a time-out, and two at once: what the record says then, and how the next attempt goes on."""

from __future__ import annotations

import functools
import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import papermill.execute
import psutil
import pytest
from helpers.records import command
from helpers.waiting import until

from towpath.checks import Verdict
from towpath.cli.command import run_command
from towpath.errors import BadInput, WrongUse
from towpath.plan.params import load_params
from towpath.plan.plan import make_plan
from towpath.runs import journal
from towpath.runs.folder import RunFolder
from towpath.runs.gates import check_gate
from towpath.runs.overview import read_overview
from towpath.runs.pages import index_text
from towpath.runs.verification import NOT_ENDED, PASSING, verify_run

PHASES = FIRST, SECOND, _ = "01-inventory", "02-schema", "03-export"
OPEN = "from towpath.runs.run import open_run\nrun = open_run({phase!r}, vars())\nrun.identify(source='s', target='t')"
CHECK = "run.check('TB401', 'tables', 'tasks', 3, 3, True)"
CLOSE = "run.close()"
RUN = ("run", "toy", "--env", "local")
# The cell kills its own process, or the runner; then it waits to be ended, as the end of the runner ends its kernel.
KILL = {
    "kernel": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "runner": "import os, signal, threading; os.kill(os.getppid(), signal.SIGKILL); threading.Event().wait(300)",
}
HALF_A_LINE = """from towpath.runs import journal
def half(self, **values):
    with self.path.open('ab') as file:
        file.write(b'{{"time":"2026-01-31T08')
    {kill}
journal.Journal.append = half"""


def cells(moment: str, kill: str) -> tuple[str, ...]:
    """The cells of a phase that passes, but for what is killed in it."""
    opening = OPEN.format(phase=FIRST)
    return {
        "before it is open": (kill, opening, CHECK, CLOSE),
        "when it is open": (f"{opening}\n{kill}", CHECK, CLOSE),
        "among the checks": (opening, f"{CHECK}\n{kill}", CLOSE),
        "in a line of the journal": (opening, HALF_A_LINE.format(kill=kill), CHECK, CLOSE),
        "when it is closed": (opening, CHECK, f"{CLOSE}\n{kill}"),
    }[moment]


def current(toy: Any) -> RunFolder:
    found = RunFolder.current(toy.root, "toy", "local")
    assert found is not None
    return found


def gate(toy: Any, folder: RunFolder) -> None:
    """Raises what keeps the second phase from being begun."""
    check_gate(folder, make_plan(load_params(toy.root / "params/toy/local.yaml"), toy.root), SECOND)


def found(folder: RunFolder, verdict: Verdict) -> list[str]:
    return [f"{one.object}: {one.found}" for one in verify_run(folder) if one.verdict is verdict]


def wrong(folder: RunFolder) -> list[str]:
    return found(folder, Verdict.FAIL)


def is_mended_by_running(folder: RunFolder) -> bool:
    """True when nothing is wrong that would keep somebody from approving the record as it was left."""
    return all(one.found.startswith(PASSING) for one in verify_run(folder) if one.verdict is Verdict.FAIL)


def verdicts(toy: Any) -> dict[str, str]:
    return {stem: result["verdict"] for stem, result in toy.results().items()}


def kernels(root: Path) -> list[int]:
    """The kernels that work in a project."""
    made = psutil.process_iter(["environ", "cmdline"])
    words = [(one.info["cmdline"] or [], one.info["environ"] or {}, one.pid) for one in made]
    return [
        pid
        for line, variables, pid in words
        if variables.get("TOWPATH_ROOT") == str(root) and any("ipykernel" in word for word in line)
    ]


@pytest.mark.parametrize(
    "moment",
    [
        "before it is open",
        "when it is open",
        "among the checks",
        "in a line of the journal",
        "when it is closed",
    ],
)
@pytest.mark.parametrize("who", KILL)
def test_a_phase_that_was_killed_is_incomplete_and_its_next_attempt_passes(
    toy: Any, capsys: pytest.CaptureFixture[str], who: str, moment: str
) -> None:
    toy.notebook(FIRST, *cells(moment, KILL[who]))
    if who == "kernel":
        assert run_command([*RUN, "--phase", FIRST]) == 2
    else:
        with command(*RUN, "--phase", FIRST) as process:
            said, _ = process.communicate(timeout=120)
        assert process.returncode == -signal.SIGKILL, said
        until(lambda: not kernels(toy.root), "the kernel outlived its runner")
    killed = current(toy)
    result = toy.results()[FIRST]
    if who == "kernel":
        assert (result["verdict"], result["exit_code"]) == ("INCOMPLETE", 2)
        assert "the kernel died" in result["error"]
        assert "INCOMPLETE" in (killed.path / f"{FIRST}.html").read_text("utf-8")
        page = (killed.path / "index.html").read_text("utf-8")
    else:
        assert f"{FIRST}.partial.ipynb: the runner was killed while it ran" in wrong(killed)
        assert (f"{FIRST}: {NOT_ENDED}" in wrong(killed)) == (moment != "when it is closed")
        page = index_text(killed.path)
    (newest,) = read_overview(killed.path).newest
    assert newest.verdict is Verdict.INCOMPLETE
    assert f"{FIRST} did not come to its end" in page
    capsys.readouterr()
    assert run_command(["status", "toy"]) == 0
    assert f"    {FIRST}    INCOMPLETE" in capsys.readouterr().out
    with pytest.raises(WrongUse, match=f"RN001 .*{FIRST}.result.json: says "):
        gate(toy, killed)
    assert is_mended_by_running(killed)

    toy.notebook(FIRST, OPEN.format(phase=FIRST), CHECK, CLOSE)
    assert run_command([*RUN, "--phase", FIRST]) == 0
    assert current(toy) == killed
    assert verdicts(toy) == {FIRST: result["verdict"], f"{FIRST}.2": "PASS"}
    gate(toy, killed)
    assert wrong(killed) == []
    notes = found(killed, Verdict.WARN)
    if who == "runner" and moment != "when it is closed":
        assert f"{FIRST}: {NOT_ENDED}" in notes
    cut = [note for note in notes if "is cut: the kernel was killed while it wrote" in note]
    assert len(cut) == (moment == "in a line of the journal")
    if cut:  # what the kill left still lies there, and is held by the chain
        path = killed.path / "journal.jsonl"
        before = path.read_bytes()
        assert b'\n{"time":"2026-01-31T08\n' in before
        path.write_bytes(before.replace(b'\n{"time":"2026-01-31T08\n', b'\n{"time":"2026-01-31T09\n'))
        assert "no journal entry" in journal.verify(path)[0]


def test_a_cell_that_takes_too_long_is_incomplete_and_says_so(toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The runner sets no limit; one that is set for papermill holds for what it starts, too."""
    limited = functools.partial(papermill.execute.execute_notebook, execution_timeout=15)
    monkeypatch.setattr(papermill.execute, "execute_notebook", limited)
    toy.notebook(FIRST, OPEN.format(phase=FIRST), CHECK, "import threading; threading.Event().wait(300)", CLOSE)
    assert run_command([*RUN, "--phase", FIRST]) == 2
    result = toy.results()[FIRST]
    assert (result["verdict"], result["exit_code"]) == ("INCOMPLETE", 2)
    assert result["error"] == "timed out. Next: run the phase again; what was written has its receipt"
    assert "timed out after 15 s" in (current(toy).path / f"{FIRST}.html").read_text("utf-8")
    assert not kernels(toy.root)
    toy.notebook(FIRST, OPEN.format(phase=FIRST), CHECK, CLOSE)
    assert run_command([*RUN, "--phase", FIRST]) == 0
    assert verdicts(toy) == {FIRST: "INCOMPLETE", f"{FIRST}.2": "PASS"}
    assert wrong(current(toy)) == []


# A fake: what a kernel and papermill leave of a notebook that passes, without the seconds that they take.  The kills
# are real: the process ends itself right before its n-th change of the project's folder (a file opened to be written,
# a rename, a new folder, a removal), as Python's audit events tell them.
DRIVER = """import os, shutil, signal, sys
from towpath.cli.command import run_command
from towpath.runs import runner
from towpath.runs.execution import Ended
from towpath.runs.run import open_run

def execute(notebook, output, parameters, environment, *_):
    shutil.copy(notebook, output)  # papermill saves it before the first cell
    os.environ.update(environment)
    run = open_run('01-inventory', parameters)
    run.identify(source='s', target='t')
    run.check('TB401', 'tables', 'tasks', 3, 3, True)
    run.close()
    return Ended()

runner.execute = execute
command = ['run', 'toy', '--env', 'local', '--phase', '01-inventory']
root, left = os.environ['TOWPATH_ROOT'], 0
run_command(command)  # so that no child needs to import and compile again
shutil.rmtree(f'{root}/outputs')
del os.environ['TOWPATH_ATTEMPT']
print('ready', flush=True)

def before(event, arguments):
    global left
    is_change = event in ('os.rename', 'os.mkdir', 'os.remove', 'os.rmdir', 'os.truncate')
    is_change = is_change or (event == 'open' and arguments[2] & (os.O_WRONLY | os.O_RDWR))
    if left and is_change and str(arguments[0]).startswith(root):
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(before)
for line in sys.stdin:
    child = os.fork()
    if not child:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        left = int(line)
        os._exit(run_command(command))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@contextmanager
def killable() -> Iterator[Callable[[int], int]]:
    """Runs the first phase, killed before its n-th change (0: never), and returns the exit code."""
    with subprocess.Popen(
        [sys.executable, "-c", DRIVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as driver:
        assert driver.stdin is not None
        assert driver.stdout is not None
        asks, answers = driver.stdin, driver.stdout

        def run(change: int) -> int:
            print(change, file=asks, flush=True)
            return int(answers.readline())

        while "ready" not in (line := answers.readline()):
            assert line, "the driver ended"
        try:
            yield run
        finally:
            asks.close()


@pytest.mark.parametrize("before", [0, 1], ids=["the first attempt", "one after a sealed one"])
def test_a_runner_killed_before_each_of_its_changes_leaves_a_record_that_says_so(toy: Any, before: int) -> None:
    toy.notebook(FIRST, OPEN.format(phase=FIRST), CHECK, CLOSE)
    outputs, start, change = toy.root / "outputs", toy.root / "start", 1
    passed = incomplete = 0
    with killable() as run:
        for _ in range(before):
            assert run(0) == 0
        outputs.rename(start) if before else start.mkdir()
        while True:
            shutil.rmtree(outputs, ignore_errors=True)
            shutil.copytree(start, outputs)
            if (code := run(change)) != -signal.SIGKILL:
                assert code == 0
                break
            left = RunFolder.current(toy.root, "toy", "local")
            change += 1
            if left is None:  # the next one begins anew
                continue
            has_passed = _says_what_it_is(toy, left)
            passed, incomplete = passed + has_passed, incomplete + (not has_passed)
            assert run(0) == 0, change
            last = current(toy)
            gate(toy, last)
            assert wrong(last) == [], change
            assert read_overview(last.path).problems == ()
            assert len(last.attempts()) == len(list(last.path.glob("*.result.json")))
    assert passed > 10
    assert incomplete > 20


def _says_what_it_is(toy: Any, left: RunFolder) -> bool:
    """Page, gate and `verify` agree about a run that was left; True where its newest attempt is PASS, and whole."""
    newest = next(iter(read_overview(left.path).newest), None)
    try:
        gate(toy, left)
    except (WrongUse, BadInput):
        assert newest is None or newest.verdict is Verdict.INCOMPLETE
        assert wrong(left)
        return False
    assert newest is not None
    assert newest.verdict is Verdict.PASS
    assert (left.path / f"{newest.stem}.ipynb").is_file()
    assert is_mended_by_running(left)
    return True


def test_two_at_once_the_second_is_told_who_works_and_a_dead_one_is_succeeded(
    toy: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(toy.root / "go")
    for phase in PHASES:
        waits = f"open(run.root / 'at-{phase}', 'w').close()\nopen(run.root / 'go', 'rb', buffering=0).read(1)"
        toy.notebook(phase, OPEN.format(phase=phase), CHECK, waits, CLOSE)

    def reached(phase: str) -> bool:
        assert first.poll() is None, first.communicate()[0]
        return bool((toy.root / f"at-{phase}").is_file())

    with command(*RUN) as first, (toy.root / "go").open("r+b", buffering=0) as go:  # for both: that waits for nobody
        until(lambda: reached(FIRST), "the first phase did not begin")
        with command(*RUN) as second:
            said, _ = second.communicate(timeout=120)
        assert second.returncode == 3, said
        who = f"process {first.pid} of {getpass.getuser()} on {socket.gethostname()} since 20"
        assert said.startswith(f"towpath: RN003 {current(toy).path.parent / 'lock'}: is held by {who}")
        assert "Z for towpath run toy --env local, now 01-inventory. Next: " in said
        assert said.count("\n") == 1
        assert run_command(["prepare", "toy", "--env", "local", "--phase", FIRST]) == 3
        assert f"is held by {who}" in capsys.readouterr().err
        assert verdicts(toy) == {FIRST: "INCOMPLETE"}
        go.write(b"x")
        until(lambda: reached(SECOND), "the second phase did not begin: the first process was disturbed")
        assert verdicts(toy) == {FIRST: "PASS", SECOND: "INCOMPLETE"}
        assert run_command([*RUN]) == 3
        assert "now 02-schema. Next: " in capsys.readouterr().err
        first.kill()
        first.wait()
    until(lambda: not kernels(toy.root), "the kernel outlived its runner")
    toy.notebook(SECOND, OPEN.format(phase=SECOND), CHECK, CLOSE)
    capsys.readouterr()
    assert run_command([*RUN, "--phase", SECOND]) == 0
    assert f"RN006 process {first.pid} of {getpass.getuser()} on " in (said := capsys.readouterr().out)
    assert "now 02-schema ended without releasing the lock; its phase stays INCOMPLETE" in said
    assert verdicts(toy) == {FIRST: "PASS", SECOND: "INCOMPLETE", f"{SECOND}.2": "PASS"}
    assert wrong(current(toy)) == []
    assert run_command([*RUN, "--phase", SECOND, "--dry-run"]) == 0
    assert "RN006" not in capsys.readouterr().out
