"""A full disk and a clock that goes backwards: what the record says then."""

from __future__ import annotations

import os
import resource
from typing import Any

import pytest
from helpers.records import command

from towpath.checks import Verdict
from towpath.cli.command import run_command
from towpath.errors import WrongUse
from towpath.runs import attempt, folder, journal, prepared, results, run, seal
from towpath.runs.folder import RunFolder
from towpath.runs.overview import read_overview
from towpath.runs.run import Run, open_run
from towpath.runs.verification import verify_run

FIRST, SECOND, THIRD = "01-inventory", "02-schema", "03-export"
OPEN = "from towpath.runs.run import open_run\nrun = open_run({phase!r}, vars())\nrun.identify(source='s', target='t')"
CHECK = "run.check('TB401', 'tables', 'tasks', 3, 3, True)"
CLOSE = "run.close()"


def current(toy: Any) -> RunFolder:
    found = RunFolder.current(toy.root, "toy", "local")
    assert found is not None
    return found


def wrong(folder: RunFolder) -> list[str]:
    return [f"{one.object}: {one.found}" for one in verify_run(folder) if one.verdict is Verdict.FAIL]


def test_a_disk_that_is_full_while_a_notebook_is_saved(toy: Any) -> None:
    """The disk takes no file over 150 kB (RLIMIT_FSIZE): the write fails in the system, as on a full disk."""
    large = "from IPython.display import HTML\nHTML('x' * 300_000)"
    toy.notebook(FIRST, OPEN.format(phase=FIRST), CHECK, large, CLOSE)

    def small() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))

    with command("run", "toy", "--env", "local", "--phase", FIRST, preexec_fn=small) as process:
        said, _ = process.communicate(timeout=120)
    assert process.returncode == 2, said
    result = toy.results()[FIRST]
    assert result["verdict"] == "INCOMPLETE"
    assert "File too large" in result["error"] + said
    assert "Traceback" not in said
    assert not list(current(toy).path.rglob("*.tmp"))
    assert run_command(["run", "toy", "--env", "local", "--phase", FIRST]) == 0
    assert toy.results()[f"{FIRST}.2"]["verdict"] == "PASS"
    assert wrong(current(toy)) == []


@pytest.fixture
def backwards(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fake: the clock of the record goes back a minute whenever somebody looks at it."""
    looks = 0

    def now() -> str:
        nonlocal looks
        looks += 1
        assert looks < 24 * 60
        return f"2026-01-31T{23 - looks // 60:02d}:{59 - looks % 60:02d}:00.000Z"

    for module in (attempt, folder, prepared, results, run, seal):
        if hasattr(module, "now"):
            monkeypatch.setattr(module, "now", now)


@pytest.mark.usefixtures("backwards")
def test_the_order_of_attempts_comes_from_the_record_and_not_from_the_clock(toy: Any) -> None:
    def passes(phase: str) -> Run:
        made = open_run(phase, toy.params())
        made.identify(source="s", target="t")
        made.check("TB401", "tables", "tasks", 3, 3, True)
        made.close()
        seal.seal_attempt(toy.root, made.run_folder, made.plan, made.result, None)
        return made

    passes(FIRST)
    last = passes(SECOND)
    times = [entry["started"] for entry in last.run_folder.head["attempts"]]
    assert times == sorted(times, reverse=True)
    assert read_overview(last.folder).stale == ()
    assert wrong(last.run_folder) == []
    passes(FIRST)  # by the clock the oldest of all
    with pytest.raises(WrongUse, match=r"02-schema.result.json: is older than 01-inventory.2"):
        open_run(THIRD, toy.params())
    assert read_overview(last.folder).stale == ("02-schema is older than 01-inventory.2, which it builds on",)


def test_a_clock_that_goes_back_between_two_cells_changes_no_order_and_no_duration(
    toy: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """A fake, in the kernel: what the record takes for the time of day is an hour earlier with every look."""
    back = f"""import datetime
from towpath.runs import attempt, journal
class Back(datetime.datetime):
    looks = 0
    @classmethod
    def now(cls, zone=None):
        Back.looks += 1
        return datetime.datetime(2026, 1, 31, 8, 15, tzinfo=zone) - datetime.timedelta(hours=Back.looks)
journal.dt = type('Clock', (), {{'datetime': Back, 'UTC': datetime.UTC}})
attempt.now = lambda: Back.now(datetime.UTC).isoformat(timespec='milliseconds').replace('+00:00', 'Z')
{OPEN.format(phase=FIRST)}"""
    toy.notebook(FIRST, back, CHECK, CLOSE, "assert 0 < run.result.number('seconds') < 300")
    toy.notebook(SECOND, OPEN.format(phase=SECOND), CHECK, CLOSE)
    assert run_command(["run", "toy", "--env", "local", "--phase", FIRST, "--phase", SECOND]) == 0, capsys.readouterr()
    made = current(toy)
    lines = [line for line in journal.read(made.path / "journal.jsonl") if line["phase"] == FIRST]
    assert [line["time"] for line in lines] == sorted((line["time"] for line in lines), reverse=True)
    assert [line["cell"] for line in lines] == [f"cell-{n}" for n in range(len(lines))]
    assert [line["previous"] for line in lines] == [journal.START, *(line["hash"] for line in lines[:-1])]
    assert all(line["seconds"] >= 0 for line in lines)
    first = toy.results()[FIRST]
    assert first["ended"] < first["started"]
    assert wrong(made) == []


def test_a_file_that_a_later_attempt_changes_is_sealed_again_when_the_clock_went_back(toy: Any) -> None:
    made = open_run(FIRST, toy.params())
    made.identify(source="s", target="t")
    made.check("TB401", "tables", "tasks", 3, 3, True)
    facts = made.folder / "log" / "facts.txt"
    facts.parent.mkdir(exist_ok=True)
    facts.write_text("3 rows", encoding="utf-8")
    made.close()
    path = seal.seal_attempt(toy.root, made.run_folder, made.plan, made.result, None)
    later = path.stat().st_mtime + 7200
    os.utime(path, (later, later))  # the seal was made when the clock said two hours more
    again = made.run_folder.begin(made.plan, FIRST)
    earlier = {"started": "2020-01-31T08:15:00.000Z", "ended": "2020-01-31T08:16:00.000Z"}
    result = results.replace(again, verdict=Verdict.PASS, checks=made.checks, **earlier)
    results.write_result(made.folder, result)
    facts.write_text("4 rows", encoding="utf-8")
    seal.seal_attempt(toy.root, made.run_folder, made.plan, result, None)
    assert wrong(made.run_folder) == []
