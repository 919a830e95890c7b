"""`towpath run` with real kernels: what the record says after a pass, a failure, an error, a kill and a signal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from papermill.execute import execute_notebook

from towpath.checks import Verdict
from towpath.cli.command import run_command
from towpath.runs import journal
from towpath.runs.folder import RunFolder
from towpath.runs.verification import verify_run

OPEN = "from towpath.runs.run import open_run\nrun = open_run({phase!r}, vars())\nrun.identify(source='s', target='t')"
PASSES = "run.check('TB401', 'tables', 'tasks', 3, 3, True)"
CLOSE = "run.close()"
PHASES = ("01-inventory", "02-schema", "03-export")


def notebooks(toy: Any, **cells: tuple[str, ...]) -> None:
    """Notebooks that pass, but for the phases whose cells are given as i01, i02, i03."""
    for phase in PHASES:
        middle = cells.get(f"i{phase[:2]}", (PASSES, CLOSE))
        toy.notebook(phase, OPEN.format(phase=phase), *middle)


def failed(toy: Any, run_id: str) -> list[str]:
    folder = RunFolder.open(toy.root, "toy", "local", run_id)
    return [check.object for check in verify_run(folder) if check.verdict is Verdict.FAIL]


def test_three_phases_pass_and_their_record_is_whole_until_somebody_touches_it(
    toy: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    snapshot = "run.write_json('snapshot/manifest.json', {'rows': 3})"
    notebooks(toy, i03=(PASSES, snapshot, CLOSE))
    assert run_command(["run", "toy", "--env", "local"]) == 0
    said = capsys.readouterr().out
    for phase in PHASES:
        (line,) = [line for line in said.splitlines() if line.startswith(phase)]
        assert "PASS" in line
        assert "MB" in line

    results = toy.results()
    assert {stem: result["verdict"] for stem, result in results.items()} == dict.fromkeys(PHASES, "PASS")
    (folder,) = (toy.root / "outputs" / "toy" / "local").glob("*Z-*")
    assert not list(folder.rglob("*.partial.*"))
    assert (folder / "index.html").is_file()
    for phase in PHASES:
        assert (folder / f"{phase}.html").is_file()
        assert {f"{phase}.ipynb", f"{phase}.html"} <= {a["path"] for a in results[phase]["artefacts"]}
        numbers = {number["name"]: number["value"] for number in results[phase]["numbers"]}
        assert 20e6 < numbers["kernel_peak_memory"] < 2e9
        assert numbers["seconds"] > 0
    assert results["03-export"]["journal_entries"] == len(list(journal.read(folder / "journal.jsonl")))
    assert {entry["phase"] for entry in journal.read(folder / "journal.jsonl")} == set(PHASES)

    run_id = folder.name
    assert run_command(["verify", run_id]) == 0
    assert run_command(["status", "toy"]) == 0
    assert f"* toy local {run_id}" in capsys.readouterr().out

    manifest = folder / "snapshot" / "manifest.json"
    manifest.write_text(manifest.read_text(encoding="utf-8").replace("3", "4"), encoding="utf-8")
    assert failed(toy, run_id) == ["snapshot/manifest.json"]
    (folder / "02-schema.ipynb").unlink()
    result = folder / "01-inventory.result.json"
    result.write_text(result.read_text(encoding="utf-8").replace('"found": "3"', '"found": "2"'), encoding="utf-8")
    lines = (folder / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "journal.jsonl").write_bytes(b"".join(lines[:-1]))
    assert {"snapshot/manifest.json", "02-schema.ipynb", "journal.jsonl"} <= set(failed(toy, run_id))
    assert run_command(["verify", str(folder)]) == 1
    assert "FAIL 02-schema.ipynb" in capsys.readouterr().out


def test_a_failed_check_ends_the_run_with_1_and_the_next_phase_does_not_start(
    toy: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    notebooks(toy, i02=("run.check('TB301', 'tables', 'tasks', 'kept', 'lost', False, 'look')", CLOSE))
    assert run_command(["run", "toy", "--env", "local"]) == 1
    said = capsys.readouterr().out
    assert "1 check failed: first TB301 tasks: expected kept, found lost" in said
    assert {stem: result["verdict"] for stem, result in toy.results().items()} == {
        "01-inventory": "PASS",
        "02-schema": "FAIL",
    }
    assert run_command(["run", "toy", "--env", "local", "--phase", "03-export"]) == 3
    assert "says FAIL" in capsys.readouterr().out
    assert "03-export" not in toy.results()


@pytest.mark.parametrize(
    ("cells", "code", "error"),
    [
        (("raise RuntimeError('the target answered 500')", PASSES, CLOSE), 2, "RuntimeError: the target answered 500"),
        ((PASSES, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)", CLOSE), 2, ""),
        ((PASSES,), 2, "the notebook ended without run.close()"),
        ((PASSES, CLOSE, "raise RuntimeError('after the verdict')"), 2, "after the verdict"),
        ((PASSES, "run.identify(source='s', target='t'); raise SystemExit(0)", CLOSE), 2, ""),
        (("from towpath.errors import WrongUse; raise WrongUse('no', next='yes')",), 3, "no. Next: yes"),
    ],
    ids=["error", "killed", "not-closed", "error-after-pass", "exit-0", "wrong-use"],
)
def test_what_does_not_come_to_its_end_is_never_a_pass(
    toy: Any, cells: tuple[str, ...], code: int, error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    notebooks(toy, i01=cells)
    assert run_command(["run", "toy", "--env", "local", "--phase", "01-inventory"]) == code
    result = toy.results()["01-inventory"]
    assert (result["verdict"], result["exit_code"]) == ("INCOMPLETE", code)
    assert error in result["error"]
    assert result["error"]
    assert result["ended"]
    assert "INCOMPLETE" in capsys.readouterr().out
    assert failed(toy, result["run"]) == []


def test_a_dry_run_writes_nothing_and_says_how_to_approve_it(toy: Any, capsys: pytest.CaptureFixture[str]) -> None:
    toy.write_params(approved_plan="")
    notebooks(toy, i02=("wrote = run.approve_write('d1 0 tables')\nrun.log('wrote', wrote)", PASSES, CLOSE))
    assert run_command(["run", "toy", "--env", "local"]) == 2
    said = capsys.readouterr().out
    assert "DRY RUN: no approval was given" in said
    result = toy.results()["02-schema"]
    assert result["verdict"] == "DRY RUN"
    (words,) = [line.split("to go on: towpath ")[1] for line in said.splitlines() if "to go on: " in line]
    assert f"--approve {result['plan']}" in words

    assert run_command(["run", "toy", "--env", "local", "--phase", "02-schema", "--dry-run"]) == 0
    again = ["run", "toy", "--env", "local", "--phase", "02-schema", "--approve", result["plan"]]
    assert run_command([*again, "--target", "d1 1 tables"]) == 3
    assert run_command([*again, "--target", "d1 0 tables"]) == 0
    results = toy.results()
    assert [results[f"02-schema{n}"]["verdict"] for n in ("", ".2", ".3", ".4")] == [
        "DRY RUN",
        "DRY RUN",
        "INCOMPLETE",
        "PASS",
    ]
    assert results["02-schema.4"]["approval"] == "plan"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_interrupts_the_kernel_and_the_record_says_so(toy: Any, number: signal.Signals) -> None:
    pipe = toy.root / "started"
    os.mkfifo(pipe)
    wait = f"import threading\nopen({str(pipe)!r}, 'w').close()\nthreading.Event().wait(300)"
    notebooks(toy, i01=(PASSES, wait, CLOSE))
    command = [sys.executable, "-m", "towpath", "run", "toy", "--env", "local"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True) as child:
        pipe.read_bytes()  # returns when the cell has started
        child.send_signal(number)
        said, _ = child.communicate(timeout=60)
    assert child.returncode == 128 + number, said.decode()
    result = toy.results()["01-inventory"]
    assert result["verdict"] == "INCOMPLETE"
    assert "interrupted" in result["error"]
    assert list(toy.results()) == ["01-inventory"]
    assert (toy.root / "outputs" / "toy" / "local" / result["run"] / "01-inventory.ipynb").is_file()


def test_a_killed_runner_leaves_an_incomplete_record_and_a_lock_that_frees_itself(toy: Any) -> None:
    pipe = toy.root / "started"
    os.mkfifo(pipe)
    cell = f"import os\nos.mkfifo({str(pipe)!r} + '2') if False else open({str(pipe)!r}, 'w').close()\n"
    notebooks(toy, i01=(PASSES, cell + "import threading; threading.Event().wait(300)", CLOSE))
    command = [sys.executable, "-m", "towpath", "run", "toy", "--env", "local"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True) as child:
        pipe.read_bytes()
        child.kill()
        child.wait()
    result = toy.results()["01-inventory"]
    assert (result["verdict"], result["ended"]) == ("INCOMPLETE", "")
    assert "01-inventory.partial.ipynb" in failed(toy, result["run"])
    notebooks(toy)
    assert run_command(["run", "toy", "--env", "local", "--phase", "01-inventory"]) == 0
    assert toy.results()["01-inventory.2"]["verdict"] == "PASS"


def test_plain_papermill_writes_the_same_record_through_the_same_gates(toy: Any, tmp_path: Path) -> None:
    notebooks(toy)

    def papermill(phase: str) -> None:
        notebook, output = toy.root / "notebooks" / f"{phase}.ipynb", tmp_path / "OUT.ipynb"
        execute_notebook(notebook, output, parameters=toy.params(), progress_bar=False, engine_name="towpath")

    papermill("01-inventory")
    assert toy.results()["01-inventory"]["verdict"] == "PASS"
    with pytest.raises(Exception, match="RN001"):
        papermill("03-export")
    assert run_command(["run", "toy", "--env", "local", "--phase", "02-schema"]) == 0
    papermill("03-export")
    results = toy.results()
    assert {stem: result["verdict"] for stem, result in results.items()} == dict.fromkeys(PHASES, "PASS")
    assert len({result["run"] for result in results.values()}) == 1


def test_a_step_is_rehearsed_before_its_phase_on_this_machine_only(
    toy: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    private = Ed25519PrivateKey.generate()
    key = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (toy.root / "signing").write_bytes(key)
    monkeypatch.setenv("TOWPATH_SIGNING_KEY", "file:signing")  # staging demands it
    notebooks(toy, i01=("import pathlib\nassert pathlib.Path(run.root / 'rehearsed').is_file()", PASSES, CLOSE))
    text = (toy.root / "runbooks" / "toy" / "runbook.md").read_text(encoding="utf-8")
    command = "python -c \"open('rehearsed', 'w').close()\""
    line = "{phase: 01-inventory, gate: none, minutes: 1}"
    with_command = f"{line[:-1]}, rehearse_before: {json.dumps(command)}}}"
    toy.write("runbook.md", text.replace(line, with_command))
    toy.write_params("staging", environment="staging", approved_plan="")
    assert run_command(["run", "toy", "--env", "staging", "--phase", "01-inventory"]) == 2
    assert not (toy.root / "rehearsed").exists()
    assert run_command(["run", "toy", "--env", "local", "--phase", "01-inventory"]) == 0

    failing = f'{line[:-1]}, rehearse_before: python -c "raise SystemExit(7)"}}'
    toy.write("runbook.md", text.replace(line, failing))
    capsys.readouterr()
    assert run_command(["run", "toy", "--env", "local", "--phase", "01-inventory"]) == 2
    assert "ended with 7" in capsys.readouterr().out
