"""`towpath list`, `prune` and `place`, and a run that goes on from machine to machine through its place."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers.passage import Passage, put

from towpath.checks import Check, Verdict
from towpath.cli.command import run_command
from towpath.local import Runtime
from towpath.local.runtime import S3
from towpath.places.address import open_place
from towpath.places.holding import Holding
from towpath.places.record import homes
from towpath.plan.params import params_from
from towpath.plan.plan import make_plan
from towpath.runs.folder import RunFolder
from towpath.runs.results import now, write_result, write_table
from towpath.runs.seal import seal_attempt

OPEN = "from towpath.runs.run import open_run\nrun = open_run({phase!r}, vars())\nrun.identify(source='s', target='t')"
PASSES = "run.check('TB401', 'tables', 'tasks', 3, 3, True)\nrun.close()"
PHASES = ("01-inventory", "02-schema", "03-export")


def made(toy: Any, run_id: str, verdict: Verdict = Verdict.PASS, environment: str = "local") -> RunFolder:
    """A run with this id whose three phases have this verdict, sealed, without kernels; the newest made is current."""
    approved = "rehearsal" if environment == "local" else ""
    plan = make_plan(params_from(toy.params(environment=environment, approved_plan=approved)), toy.root)
    folder = RunFolder.create(toy.root, plan)
    moved = folder.path.rename(folder.path.with_name(run_id))
    head = json.loads((moved / "run.json").read_text())
    (moved / "run.json").write_text(json.dumps({**head, "run": run_id}))
    (moved.parent / "current").write_text(run_id + "\n")
    folder = RunFolder(moved, "toy", environment, run_id)
    for phase in PHASES:
        result = folder.begin(plan, phase, "")
        check = Check("TB401", "tables", "tasks", "3", "3", verdict)
        result = replace(result, verdict=verdict, checks=(check,), ended=now(), source="s", target="t")
        result = result.with_artefacts([write_table(folder.path, result)])
        write_result(folder.path, result)
        seal_attempt(toy.root, folder, plan, result, None)
    return folder


def runs(toy: Any, environment: str = "local") -> list[str]:
    return sorted(path.parent.name for path in (toy.root / "outputs/toy" / environment).glob("*/run.json"))


OLD, MIDDLE, NEW = "20260101T000000Z-0001", "20260201T000000Z-0002", "20260301T000000Z-0003"


@pytest.fixture
def three(toy: Any) -> dict[str, RunFolder]:
    return {name: made(toy, name) for name in (OLD, MIDDLE, NEW)}


@pytest.fixture(params=["folder", "bucket"])
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> str:
    if request.param == "folder":
        return str(tmp_path_factory.mktemp("place"))
    runtime, bucket = request.getfixturevalue("runtime"), request.getfixturevalue("bucket")
    at_r2(runtime, monkeypatch)
    return f"s3://{bucket}/records/towpath"


def at_r2(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of a machine whose place lies in the local runtime's R2."""
    monkeypatch.setenv("TOWPATH_RECORDS_ENDPOINT", runtime.s3)
    monkeypatch.setenv("TOWPATH_RECORDS_ACCESS_KEY", "env:PLACE_ID")
    monkeypatch.setenv("TOWPATH_RECORDS_SECRET_KEY", "env:PLACE_WORD")
    monkeypatch.setenv("PLACE_ID", runtime.access_key.reveal())
    monkeypatch.setenv("PLACE_WORD", runtime.secret_key.reveal())


def test_a_run_goes_on_from_machine_to_machine(
    toy: Any,
    place: str,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for phase in PHASES:
        toy.notebook(phase, OPEN.format(phase=phase), PASSES)
    other = tmp_path_factory.mktemp("other") / "toy"
    shutil.copytree(toy.root, other)
    monkeypatch.setenv("TOWPATH_RECORDS", place)

    # the first machine begins, …
    assert run_command(["run", "toy", "--env", "local", "--phase", "01-inventory"]) == 0
    (run_id,) = runs(toy)
    assert f"kept at  {place}" in capsys.readouterr().out

    # … another one goes on through the same gate, with nothing but the place, …
    monkeypatch.setenv("TOWPATH_ROOT", str(other))
    assert run_command(["run", "toy", "--env", "local", "--phase", "03-export"]) == 3, "02-schema has not run"
    assert "RN001" in capsys.readouterr().out
    assert run_command(["run", "toy", "--env", "local", "--from", "02-schema"]) == 0
    assert f"fetched  {run_id}" not in capsys.readouterr().out.splitlines()[0]
    assert run_command(["approve", run_id, "--as", "ana", "--key", _key(other)]) == 0
    assert "kept     state" in capsys.readouterr().out

    # … and a third one, which is no project, reads the record where it lies
    if place.startswith("s3://"):
        monkeypatch.delenv("TOWPATH_ROOT")
        monkeypatch.chdir(tmp_path_factory.mktemp("reader"))
        assert run_command(["verify", f"{place}/toy/local/{run_id}"]) == 0
        assert run_command(["verify", f"{place}/toy/local/20200101T000000Z-0000"]) == 3
        assert run_command(["verify", "s3://nothing"]) == 3

    # the first machine comes back, and is brought up to it
    monkeypatch.setenv("TOWPATH_ROOT", str(toy.root))
    assert run_command(["verify", run_id]) == 0
    assert run_command(["place", "fetch", run_id]) == 0
    assert run_command(["verify", run_id]) == 0
    assert (toy.root / "outputs/toy/local" / run_id / "approvals/ana.json").is_file()
    capsys.readouterr()
    assert run_command(["list", "--records", place, "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["run"], row["verdict"], row["passed"], row["is_current"]) == (run_id, "PASS", 3, True)
    assert row["bytes"] > 10_000
    assert row["approvals"] == {"ana": "stands"}


def _key(root: Path) -> str:
    path = root / "ana"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)], check=True)
    return str(path)


def test_a_place_that_another_machine_holds_starts_nothing(
    toy: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for phase in PHASES:
        toy.notebook(phase, OPEN.format(phase=phase), PASSES)
    place = str(toy.root / "place")
    monkeypatch.setenv("TOWPATH_RECORDS", place)
    with Holding(open_place(place, toy.root), "toy", "local").take("a phase far away"):
        assert run_command(["run", "toy", "--env", "local"]) == 3
        assert "RN003" in (said := capsys.readouterr().err)
        assert "a phase far away" in said
        assert runs(toy) == []
        assert run_command(["place", "unlock", "toy", "--env", "local"]) == 3
        assert "held by" in capsys.readouterr().out
        assert run_command(["place", "unlock", "toy", "--env", "local", "--yes"]) == 0
    assert run_command(["run", "toy", "--env", "local", "--phase", "01-inventory"]) == 0
    assert run_command(["place", "unlock", "toy", "--env", "local"]) == 0
    assert "nobody holds it" in capsys.readouterr().out


def test_a_place_that_fails_after_a_phase_says_how_to_repeat_and_keeps_the_verdict(
    toy: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil = f"import shutil, pathlib\nshutil.rmtree({str(toy.root / 'place')!r})\n"
    spoil += f"pathlib.Path({str(toy.root / 'place')!r}).write_text('in the way')"
    toy.notebook("01-inventory", OPEN.format(phase="01-inventory"), PASSES, spoil)
    monkeypatch.setenv("TOWPATH_RECORDS", str(toy.root / "place"))
    assert run_command(["run", "toy", "--env", "local", "--phase", "01-inventory"]) == 2
    (run_id,) = runs(toy)
    assert f"towpath place keep {run_id}" in capsys.readouterr().err
    assert toy.results()["01-inventory"]["verdict"] == "PASS"
    (toy.root / "place").unlink()
    assert run_command(["place", "keep", run_id]) == 0
    assert [home.run for home in homes(open_place(str(toy.root / "place"), toy.root))] == [run_id]


def test_a_copy_that_was_killed_goes_on(
    toy: Any, runtime: Runtime, bucket: str, r2_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGKILL while files are on their way: nothing counts as kept; the next copy sends the rest and is whole."""
    at_r2(runtime, monkeypatch)
    folder = made(toy, OLD)
    (folder.path / "snapshot").mkdir()
    for number in range(300):
        (folder.path / "snapshot" / f"{number:03}.chunks").write_bytes(os.urandom(20_000))
    command = [sys.executable, "-m", "towpath", "place", "keep", OLD, "--records", f"s3://{bucket}/kept"]
    with Passage().open() as passage, passage.stop(put, 20, "after") as stop:
        passage.behind = runtime.port
        environment = {**os.environ, "TOWPATH_RECORDS_ENDPOINT": f"http://127.0.0.1:{passage.port}{S3}"}
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        ) as process:
            stop.wait(process)
            process.kill()
    store = open_place(f"s3://{bucket}/kept", toy.root)
    assert 3 < r2_client.list_objects_v2(Bucket=bucket, Prefix="kept/toy/local/20")["KeyCount"] < 300
    assert homes(store) == {}
    monkeypatch.setenv("TOWPATH_RECORDS", f"s3://{bucket}/kept")
    assert run_command(["place", "keep", OLD]) == 3, "the dead one holds the place"
    assert run_command(["place", "unlock", "toy", "--env", "local", "--yes"]) == 0
    assert run_command(["place", "keep", OLD]) == 0
    shutil.copytree(folder.path, toy.root / "before")
    shutil.rmtree(folder.path)
    assert run_command(["place", "fetch", OLD]) == 0
    different = subprocess.run(["diff", "-r", toy.root / "before", folder.path], capture_output=True, check=False)
    assert different.stdout == b""


# -- list


def test_list_shows_verdicts_newest_first_and_what_is_broken(toy: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["list"]) == 0
    assert capsys.readouterr().out == "no runs yet\n"
    made(toy, OLD, Verdict.FAIL)
    broken = made(toy, MIDDLE)
    (broken.path / "run.json").write_text("{")
    made(toy, NEW)
    (toy.root / "outputs/toy/local/notes").mkdir()
    assert run_command(["list", "toy", "--env", "local"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("    ")]
    assert [NEW in lines[0], MIDDLE in lines[1], OLD in lines[2], "notes" in lines[3]] == [True] * 4
    assert lines[0].startswith("* toy local")
    assert lines[0].split()[4] == "PASS"
    assert "INCOMPLETE" in lines[1]
    assert "FAIL" in lines[2]
    assert lines[3].startswith("! toy local notes")
    assert run_command(["list", "boy"]) == 0
    assert capsys.readouterr().out == "no runs yet\n"


# -- prune


def test_prune_shows_first_and_removes_only_when_told(
    toy: Any, three: dict[str, RunFolder], capsys: pytest.CaptureFixture[str]
) -> None:
    last_seal = (three[OLD].path / "seals.sha256").read_text().split()[-2]
    assert run_command(["prune", "toy", "--env", "local", "--keep", "2"]) == 3
    said = capsys.readouterr().out
    assert f"{OLD}  PASS" in said
    assert "nothing was removed" in said
    assert runs(toy) == [OLD, MIDDLE, NEW]
    assert run_command(["prune", "toy", "--env", "local", "--keep", "2", "--yes"]) == 0
    assert runs(toy) == [MIDDLE, NEW]
    assert sorted(path.name for path in (toy.root / "outputs/toy/local").iterdir()) == [MIDDLE, NEW, "current", "lock"]
    (line,) = (toy.root / "outputs/pruned.jsonl").read_text().splitlines()
    told = json.loads(line)
    assert (told["run"], told["verdict"], told["last_seal_sha256"]) == (OLD, "PASS", last_seal)
    assert told["plan"] == three[NEW].plan_hash
    assert "@" in told["by"]
    assert run_command(["prune", "toy", "--env", "local", "--keep", "2", "--yes"]) == 0
    assert "nothing may go" in capsys.readouterr().out


@pytest.mark.usefixtures("three")
def test_prune_by_age_never_takes_the_current_run(toy: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["prune", "toy", "--env", "local", "--older-than", "100000"]) == 0
    assert "nothing may go" in capsys.readouterr().out
    assert run_command(["prune", "toy", "--env", "local", "--older-than", "0", "--yes"]) == 0
    assert runs(toy) == [NEW]
    assert run_command(["prune", "toy", "--env", "local", "--keep", "0", "--yes"]) == 0
    assert "the current run" in capsys.readouterr().out
    assert runs(toy) == [NEW]


@pytest.mark.parametrize("words", [[], ["--keep", "1", "--older-than", "1"], ["--keep", "-1"], ["--older-than", "-1"]])
def test_prune_wants_to_know_what_may_go(toy: Any, three: dict[str, RunFolder], words: list[str]) -> None:
    assert run_command(["prune", "toy", "--env", "local", *words, "--yes"]) == 3
    assert runs(toy) == sorted(three)


def test_records_of_production_are_never_pruned(toy: Any, capsys: pytest.CaptureFixture[str]) -> None:
    for name in (OLD, NEW):
        made(toy, name, environment="production")
    for words in (["--yes"], ["--yes", "--approved"], ["--records", str(toy.root / "place"), "--yes"]):
        assert run_command(["prune", "toy", "--env", "production", "--keep", "0", *words]) == 3
        assert "never pruned" in capsys.readouterr().err
    assert runs(toy, "production") == [OLD, NEW]


def test_a_run_that_somebody_approved_or_another_run_names_stays(
    toy: Any, three: dict[str, RunFolder], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["approve", OLD, "--as", "ana", "--key", _key(toy.root)]) == 0
    naming = three[NEW].path / "03-export.2.result.json"
    shutil.copy(three[NEW].path / "03-export.result.json", naming)
    naming.write_text(naming.read_text().replace('"error": ""', f'"error": "as in {MIDDLE}"'))
    capsys.readouterr()
    assert run_command(["prune", "toy", "--env", "local", "--keep", "1", "--yes"]) == 0
    said = capsys.readouterr().out
    assert "approved by ana" in said
    assert f"{NEW} refers to it" in said
    naming.unlink()
    compared = toy.root / "outputs/toy" / f"{MIDDLE}-against-{NEW}.html"
    compared.write_text("")
    assert runs(toy) == [OLD, MIDDLE, NEW]
    assert run_command(["prune", "toy", "--env", "local", "--keep", "1", "--approved", "--yes"]) == 0
    assert runs(toy) == [MIDDLE, NEW]
    assert f"compared in {compared.name}" in capsys.readouterr().out
    index = (toy.root / "outputs/index.html").read_text()
    assert MIDDLE in index
    assert OLD not in index


def test_nothing_is_pruned_while_a_phase_runs(toy: Any, three: dict[str, RunFolder]) -> None:
    holder = "import sys; from pathlib import Path; from towpath.runs.lock import Lock\n"
    holder += f"lock = Lock(Path({str(three[NEW].path.parent)!r})); lock.take('a phase')\n"
    holder += "print('held', flush=True); sys.stdin.read()"
    process = subprocess.Popen([sys.executable, "-c", holder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    assert run_command(["prune", "toy", "--env", "local", "--keep", "1", "--yes"]) == 3
    process.communicate("")
    assert runs(toy) == sorted(three)


def test_a_place_is_pruned_too_and_takes_nothing_back(
    toy: Any, three: dict[str, RunFolder], place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in three:
        assert run_command(["place", "keep", name, "--records", place]) == 0
    assert run_command(["prune", "toy", "--env", "local", "--keep", "1", "--records", place]) == 3
    assert run_command(["prune", "toy", "--env", "local", "--keep", "1", "--records", place, "--yes"]) == 0
    store = open_place(place, toy.root)
    assert [home.run for home in homes(store)] == [NEW]
    names = [name for name, _ in store.names("")]
    assert [name for name in names if NEW not in name] == [
        f"toy/local/pruned/{OLD}.json",
        f"toy/local/pruned/{MIDDLE}.json",
    ]
    assert json.loads(store.read(f"toy/local/pruned/{OLD}.json") or b"")["run"] == OLD
    assert runs(toy) == [OLD, MIDDLE, NEW], "outputs/ is another place"
    capsys.readouterr()
    assert run_command(["place", "keep", OLD, "--records", place]) == 3
    assert "was pruned at that place" in capsys.readouterr().err


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize("command", [["list", "--records"], ["place", "keep", OLD, "--records"]])
def test_a_place_that_is_none_is_one_line(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command([*command, "s3://key:canary@bucket"]) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert "Next: " in line
    assert "canary" not in line
    assert run_command(["place", "keep", OLD]) == 3
    assert "TOWPATH_RECORDS" in capsys.readouterr().err
