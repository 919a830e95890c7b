"""All runs of a project: newest first, each with the verdict of its own page; what is no run is named, never hidden."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from helpers.records import PHASES, result, run_folder

from towpath.checks import Verdict
from towpath.runs.overview import read_overview
from towpath.runs.shelf import runs_in

OLD, NEW = "20260131T081500Z-1a2b", "20260201T081500Z-0c0d"


def shelf(folder: Path) -> Path:
    """Two runs of joan in local: the old one passed, the new one stopped after three phases."""
    old = run_folder(folder, [result(phase, number) for number, phase in enumerate(PHASES)])
    new = old.parent / NEW
    shutil.copytree(old, new)
    head = json.loads((new / "run.json").read_text())
    (new / "run.json").write_text(json.dumps({**head, "run": NEW, "attempts": head["attempts"][:3]}))
    for phase in PHASES[3:]:
        (new / f"{phase}.result.json").unlink()
    (old.parent / "current").write_text(f"{NEW}\n")
    (old.parent / "lock").touch()
    return folder


def test_the_newest_run_comes_first_with_the_verdict_of_its_page(tmp_path: Path) -> None:
    new, old = runs_in(shelf(tmp_path))
    assert (new.run, old.run) == (NEW, OLD)
    assert (new.verdict, old.verdict) == (Verdict.INCOMPLETE, Verdict.PASS)
    for one in (new, old):
        assert (one.system, one.environment) == ("joan", "local")
        assert one.sentence == read_overview(one.path).sentence
        assert one.is_run
    assert (new.is_current, old.is_current) == (True, False)
    assert new.phases == tuple((phase, Verdict.PASS if phase < "03" else None) for phase in PHASES)
    assert (old.attempts, dict(old.counts)) == (7, {Verdict.PASS: 7})
    assert new.seal == "00-ready: not sealed"


def test_what_is_broken_or_foreign_is_shown_as_such(tmp_path: Path) -> None:
    home = shelf(tmp_path) / "joan" / "local"
    (home / NEW / "run.json").write_text("{")
    (home / "holiday").mkdir()
    (home / "notes").mkdir()
    shutil.copy(home / OLD / "run.json", home / "notes")
    (home / "20260301T081500Z-ffff").mkdir()
    (tmp_path / "leftover").mkdir()
    (tmp_path / "index.html").touch()
    found = {(one.system, one.run): one for one in runs_in(tmp_path)}
    assert found["joan", NEW].sentence.startswith("The record does not hold together: run.json is not readable as JSON")
    assert found["joan", NEW].is_run
    foreign = {key: one.sentence for key, one in found.items() if not one.is_run}
    assert set(foreign) == {
        ("joan", "holiday"),
        ("joan", "notes"),
        ("joan", "20260301T081500Z-ffff"),
        ("leftover", ""),
    }
    assert "neither run.json nor a result" in foreign["joan", "holiday"]
    assert "no run id" in foreign["joan", "notes"]
    assert "holds no environments" in foreign["leftover", ""]
    assert all(one.verdict is Verdict.INCOMPLETE for one in found.values() if one.run != OLD)
    assert [one.is_run for one in runs_in(tmp_path)] == [True, True, False, False, False, False]


def test_a_record_in_anothers_place_is_no_pass(tmp_path: Path) -> None:
    shelf(tmp_path)
    shutil.copytree(tmp_path / "joan" / "local" / OLD, tmp_path / "joan" / "production" / OLD)
    (moved,) = [one for one in runs_in(tmp_path) if one.environment == "production"]
    assert moved.verdict is Verdict.INCOMPLETE
    assert "run.json says joan local" in moved.sentence


def test_no_runs_at_all(tmp_path: Path) -> None:
    assert list(runs_in(tmp_path)) == []
    assert list(runs_in(tmp_path / "outputs")) == []
