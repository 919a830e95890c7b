"""Phases that write, killed where it hurts: the record says so, and the next try brings everything to its place.

The passage holds one request, before the runtime sees it or after it was carried out, and somebody dies meanwhile:
the kernel alone (out of memory), or the runner with it (the machine).  No moment is guessed.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psutil
import pytest
from helpers.passage import Passage, Request, When, chunk, put, receipt
from helpers.project import PHASES, Project, joan, kernel_of


@dataclass(frozen=True)
class Moment:
    """Where a phase is stopped."""

    fits: Callable[[Request], bool]
    nth: int
    when: When


@pytest.fixture(scope="module")
def project(passage: Passage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Joan, her snapshot taken, nothing imported yet."""
    with joan(tmp_path_factory.mktemp("killed") / "joan", passage) as made:
        ran = made.phases(*PHASES[:4])
        assert ran.code == 0, ran.text
        yield made


@pytest.fixture(scope="module")
def moved(project: Project) -> Project:
    """Joan, imported and proved; each test lets her work on, and cuts over."""
    left = [phase for phase in ("04-import", "05-validate") if not passed(project, phase)]
    if left:
        ran = project.phases(*left)
        assert ran.code == 0, ran.text
    return project


def passed(project: Project, phase: str) -> bool:
    verdicts = project.verdicts()
    newest = [stem for stem in verdicts if stem.partition(".")[0] == phase]
    return bool(newest) and verdicts[newest[-1]] == "PASS"


def kill(project: Project, passage: Passage, phase: str, moment: Moment, everything: bool = False) -> str:
    """Run a phase until `moment`, kill there, and return the name of the attempt."""
    with passage.stop(moment.fits, moment.nth, moment.when) as stop:
        process = project.start(*project.words("run", "joan", "--env", "local", "--phase", phase))
        with process:
            stop.wait(process)
            kernel = kernel_of(process)
            if everything:
                os.killpg(process.pid, signal.SIGKILL)  # the runner; its kernel has a group of its own
            kernel.kill()
            text, _ = process.communicate(timeout=120)
        assert psutil.wait_procs([kernel], timeout=30)[1] == []
    assert process.returncode == (-signal.SIGKILL if everything else 2), text
    return list(project.verdicts())[-1]


def say_incomplete(project: Project, stem: str, everything: bool = False) -> None:
    """The record of a killed attempt: nowhere a PASS."""
    result = project.result(stem)
    assert result["verdict"] == "INCOMPLETE"
    if everything:  # nobody was left to write more
        assert (result["ended"], result["exit_code"]) == ("", None)
        assert not (project.folder / f"{stem}.html").exists()
        return
    assert result["exit_code"] == 2
    assert "the kernel died" in result["error"], result["error"]
    for page in (f"{stem}.html", "index.html"):
        text = (project.folder / page).read_text(encoding="utf-8")
        assert "INCOMPLETE ·" in text
        assert "PASS ·" not in text
    notebook = (project.folder / f"{stem}.ipynb").read_text(encoding="utf-8")
    assert "**INCOMPLETE** in cell" in notebook
    assert "PASS ·" not in notebook


def receipts(project: Project) -> set[str]:
    return {row[0] for row in project.target("SELECT id FROM _towpath_receipt")}


def after_the_rows(request: Request) -> bool:
    return receipt(request) and b"-after/" in request.body[:120]


def test_an_import_killed_at_every_stage(project: Project, passage: Passage) -> None:
    """Rows, a chunk whose answer is lost, indexes, files: what is there is never sent again, what is not is."""
    stages = (
        (Moment(chunk, 5, "before"), False),
        (Moment(chunk, 12, "after"), True),
        (Moment(after_the_rows, 9, "after"), False),
        (Moment(put, 7, "before"), True),
        (Moment(put, 11, "after"), False),
    )
    sent: set[str] = set()
    for moment, everything in stages:
        begun = len(passage.seen)
        stem = kill(project, passage, "04-import", moment, everything)
        say_incomplete(project, stem, everything)
        now = receipts(project)
        assert sent <= now
        bodies = [request.body[:200] for request in passage.seen[begun:] if chunk(request)]
        assert not any(id.encode() in body for body in bodies for id in sent), "sent again"
        sent = now
    gate = project.phases("05-validate")
    assert gate.code == 3
    assert f"{stem}.result.json: says INCOMPLETE" in gate.text
    assert 17 < len(project.objects()) < 41
    done = project.phases("04-import", "05-validate")
    assert done.code == 0, done.text
    assert list(project.verdicts().values())[-7:] == [*["INCOMPLETE"] * 5, "PASS", "PASS"]
    assert project.unlike_the_source() == []


class AfterTheRows:
    """The first look at the receipts after a chunk of the delta went through: rows are there, files are not."""

    def __init__(self) -> None:
        self.seen = False

    def __call__(self, request: Request) -> bool:
        self.seen = self.seen or chunk(request)
        return self.seen and b"SELECT id, sha256, rows FROM _towpath_receipt" in request.body


def test_a_cutover_killed_while_joan_stays_frozen(moved: Project, passage: Passage) -> None:
    """Nothing changes between the tries: each goes on where the one before was stopped."""
    moved.live(101)
    for moment, everything in (
        (Moment(chunk, 1, "after"), True),
        (Moment(put, 2, "before"), False),
        (Moment(put, 1, "after"), True),
    ):
        stem = kill(moved, passage, "06-cutover", moment, everything)
        say_incomplete(moved, stem, everything)
        assert moved.switch.is_file(), "the source stays frozen until somebody says otherwise"
    done = moved.phases("06-cutover")
    assert done.code == 0, done.text
    assert list(moved.verdicts().values())[-4:] == [*["INCOMPLETE"] * 3, "PASS"]
    assert moved.unlike_the_source() == []


def test_a_cutover_killed_while_joan_goes_on_between_the_tries(moved: Project, passage: Passage) -> None:
    """Each time the freeze is lifted, as the runbook says, and the next try meets another source."""
    for seed, (moment, everything) in enumerate(
        (
            (Moment(chunk, 1, "before"), False),
            (Moment(AfterTheRows(), 1, "after"), False),
            (Moment(put, 2, "before"), True),
            (Moment(chunk, 1, "after"), False),
        ),
        start=201,
    ):
        moved.live(seed)
        stem = kill(moved, passage, "06-cutover", moment, everything)
        say_incomplete(moved, stem, everything)
    moved.live(299)
    done = moved.phases("06-cutover")
    assert done.code == 0, done.text
    assert list(moved.verdicts().values())[-5:] == [*["INCOMPLETE"] * 4, "PASS"]
    assert moved.unlike_the_source() == []


def test_a_long_delta_killed_half_way_is_finished_by_an_import(moved: Project, passage: Passage) -> None:
    """Triggers rest, one chunk of several is there: 05 says what is missing, 04 brings it, 05 and 06 pass."""
    moved.live(301)
    moved.source("UPDATE notes SET content = hex(randomblob(200000)) WHERE id IN (SELECT id FROM notes LIMIT 9)")
    stem = kill(moved, passage, "06-cutover", Moment(chunk, 2, "before"), everything=False)
    say_incomplete(moved, stem)
    assert moved.target("SELECT count(*) FROM sqlite_schema WHERE type = 'trigger'") != [[5]]
    proof = moved.phases("05-validate")
    assert proof.code == 1, proof.text
    assert moved.phases("06-cutover").code == 3, "the gate is closed behind a FAIL"
    done = moved.phases("04-import", "05-validate")
    assert done.code == 0, done.text
    assert moved.unlike_the_source() == []
    done = moved.phases("06-cutover")
    assert done.code == 0, done.text
    assert list(moved.verdicts().values())[-5:] == ["INCOMPLETE", "FAIL", "PASS", "PASS", "PASS"]
    assert moved.unlike_the_source() == []
