"""Personality Spark's voyage by papermill alone, killed with SIGKILL in 04-import and in 06-cutover, and finished.

The passage holds one request before the runtime sees it or after it was carried out, so that no moment is guessed: a
chunk of rows, an object, a bulk of keys, a batch of jobs.  The next run of the same phase ends in the same state.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

import psutil
import pytest
from helpers.passage import Passage, Request, When, chunk
from helpers.project import PHASES, Ran, kernel_of
from helpers.records import PAPERMILL
from helpers.spark import BUCKET, Spark, spark
from helpers.spark_reading import queued, unlike_cards, unlike_keys, unlike_rows, unlike_the_source

Fits = Callable[[Request], bool]


@pytest.fixture(scope="module")
def project(passage: Passage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spark]:
    """Personality Spark, her snapshot taken by plain papermill, nothing imported yet."""
    with spark(tmp_path_factory.mktemp("killed") / "spark", passage) as made:
        for phase in PHASES[:4]:
            ran = made.do(*plain(made, phase))
            assert ran.code == 0, ran.text
        yield made


@pytest.fixture(scope="module")
def moved(project: Spark) -> Spark:
    """Imported and proved; each test lets the old side work on, and cuts over."""
    verdicts = project.verdicts()
    finished(project, *(phase for phase in PHASES[4:6] if "PASS" not in newest(verdicts, phase)))
    return project


def newest(verdicts: dict[str, str], phase: str) -> list[str]:
    """The verdict of the newest attempt at a phase, if there is one."""
    return [verdict for stem, verdict in verdicts.items() if stem.partition(".")[0] == phase][-1:]


def plain(project: Spark, phase: str) -> tuple[str, ...]:
    """papermill as anybody would call it: no engine named, the output where the caller likes."""
    out = project.root / f"{phase}.ipynb"
    notebook, params = f"notebooks/{phase}.ipynb", project.params_file.relative_to(project.root)
    return (PAPERMILL, notebook, str(out), "-f", str(params), "--no-progress-bar")


def objects(request: Request) -> bool:
    """One share card on its way into the bucket."""
    return request.method == "PUT" and f"/{BUCKET}/shares/" in request.path


def keys(request: Request) -> bool:
    """A bulk of keys on its way into the namespace."""
    return request.method == "PUT" and request.path.endswith("/bulk")


def batch(request: Request) -> bool:
    """A batch of jobs at the new Worker's door."""
    return request.path.endswith("/enqueue")


def kill(project: Spark, passage: Passage, phase: str, fits: Fits, nth: int, when: When) -> None:
    """Run a phase until that request, and kill papermill and the whole process group of its kernel there."""
    with passage.stop(fits, nth, when) as stop:
        process = project.start(*plain(project, phase))
        with process:
            stop.wait(process)
            kernel = kernel_of(process)
            group = os.getpgid(kernel.pid)
            os.killpg(process.pid, signal.SIGKILL)
            if group != process.pid:
                os.killpg(group, signal.SIGKILL)
            process.communicate(timeout=120)
        assert psutil.wait_procs([kernel], timeout=30)[1] == []
    assert process.returncode == -signal.SIGKILL
    stem = list(project.verdicts())[-1]
    assert stem.startswith(phase)
    assert project.verdicts()[stem] == "INCOMPLETE"
    assert project.result(stem)["ended"] == "", "nobody was left to write more"


def finished(project: Spark, *phases: str) -> None:
    """These phases pass now, by papermill alone."""
    for phase in phases:
        ran: Ran = project.do(*plain(project, phase))
        assert ran.code == 0, ran.text
        assert list(project.verdicts().values())[-1] == "PASS"


def receipts(project: Spark) -> set[str]:
    return {row[0] for row in project.target("SELECT id FROM _towpath_receipt")}


def test_an_import_killed_among_rows_cards_and_keys(project: Spark, passage: Passage) -> None:
    moments: tuple[tuple[Fits, int, When], ...] = ((chunk, 4, "after"), (objects, 7, "after"), (keys, 1, "after"))
    sent: set[str] = set()
    for fits, nth, when in moments:
        begun = len(passage.seen)
        kill(project, passage, "04-import", fits, nth, when)
        bodies = [request.body[:200] for request in passage.seen[begun:] if chunk(request)]
        assert not any(id.encode() in body for body in bodies for id in sent), "sent again"
        sent |= receipts(project)
    gate = project.do(*plain(project, "05-validate"))
    assert gate.code != 0
    assert "04-import.3.result.json: says INCOMPLETE" in gate.text
    finished(project, "04-import", "05-validate")
    assert [*unlike_rows(project), *unlike_keys(project), *unlike_cards(project)] == []


def test_a_cutover_killed_among_rows_keys_and_jobs(moved: Spark, passage: Passage) -> None:
    """The old side stays frozen between the tries; every job arrives, and arrives once."""
    moved.live(11)
    moments: tuple[tuple[Fits, int, When], ...] = ((chunk, 1, "after"), (keys, 1, "before"), (batch, 1, "after"))
    for fits, nth, when in moments:
        kill(moved, passage, "06-cutover", fits, nth, when)
        assert moved.switch.is_file(), "the source stays frozen until somebody says otherwise"
    finished(moved, "06-cutover")
    assert unlike_the_source(moved) == []
    assert {row[0] for row in moved.target("SELECT id FROM received_jobs")} == queued(moved).keys()
    assert list(moved.verdicts().values())[-4:] == [*["INCOMPLETE"] * 3, "PASS"]


def test_a_cutover_killed_while_the_old_side_goes_on_between_the_tries(moved: Spark, passage: Passage) -> None:
    """The freeze is lifted after a kill, as the runbook says; the next try meets other rows, keys and jobs."""
    for seed, (fits, when) in enumerate(((chunk, "before"), (batch, "after")), start=21):
        moved.live(seed)
        kill(moved, passage, "06-cutover", fits, 1, when)
    moved.live(29)
    finished(moved, "06-cutover")
    assert unlike_the_source(moved) == []
