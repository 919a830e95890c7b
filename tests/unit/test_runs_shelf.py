"""All runs of a project: newest first, each with the verdict of its own page; what is no run is named, never hidden."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from helpers.records import PHASES, result, run_folder

from towpath.checks import Verdict
from towpath.runs.overview import read_overview
from towpath.runs.shelf import runs_in
from towpath.runs.site import render_site

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
    assert new.seal == "no attempt is sealed"


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


def test_the_index_names_every_run_and_every_foreign_folder(tmp_path: Path) -> None:
    home = shelf(tmp_path) / "joan" / "local"
    (home / "<b>holiday").mkdir()
    shutil.copytree(home / OLD, tmp_path / "joan" / "staging" / OLD)
    (tmp_path / "joan" / f"{NEW}-against-{OLD}.html").touch()
    page = render_site(tmp_path).read_text()
    assert page.index("<h2>joan, local</h2>") < page.index(NEW) < page.index(OLD) < page.index("<h2>joan, staging</h2>")
    for run in (NEW, OLD):
        assert f'<a href="joan/local/{run}/index.html">{run}</a>' in page
        assert (tmp_path / f"joan/local/{run}").is_dir()
    assert "3 runs. The newest of each system and environment: 2 INCOMPLETE." in page
    assert "3 of 7 passed" in page
    assert "7 of 7 passed" in page
    assert "joan/local/&lt;b&gt;holiday" in page[page.index("<h2>Folders that are no run</h2>") :]
    assert f'<a href="joan/{NEW}-against-{OLD}.html">' in page
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index.html", "joan"]


def test_an_index_of_very_many_runs_stays_small_and_says_how_many_it_leaves_out(tmp_path: Path) -> None:
    for number in range(1200):
        folder = tmp_path / "joan" / "local" / f"2026{number:04d}T081500Z-1a2b"
        folder.mkdir(parents=True)
        (folder / "run.json").write_text("{")
    page = render_site(tmp_path)
    assert page.stat().st_size < 1_000_000
    shown = page.read_text().count('<th role="rowheader"')
    assert f"{1200 - shown:,} older runs" in page.read_text()
    assert "20261199T081500Z-1a2b" in page.read_text()


def test_no_runs_is_an_index_too(tmp_path: Path) -> None:
    assert "There are no runs yet." in render_site(tmp_path / "outputs").read_text()
