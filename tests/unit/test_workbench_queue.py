"""The queued jobs as 05-validate sees them: before a cutover nothing was handed over, and nothing may have arrived."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from helpers.worker_side import migrations

from towpath import jobs
from towpath.checks import Check, Comparison, Verdict
from towpath.cloudflare import D1
from towpath.jobs import Disposition, Entry
from towpath.workbench import queue

QUEUED = Entry("one", "celery", "mail.send", "waiting", Disposition.SEND, body='[["one"], {}, {}]')


class Bench:
    """What `queue.compare` asks of a workbench; the D1 is a real one."""

    def __init__(self, d1: D1, folder: Path, *, is_delta: bool) -> None:
        self.d1, self.broker, self.checks = d1, object(), list[Check]()
        self.done_before = None
        self.state = SimpleNamespace(is_delta=is_delta, jobs=jobs.write(folder / "jobs.jsonl", [QUEUED]))
        self.run = SimpleNamespace(phase="05-validate", add=self.checks.extend, output=lambda name: folder / name)
        self.kept: Comparison | None = None

    def keep_differences(self, found: Comparison) -> None:
        self.kept = found

    @property
    def failed(self) -> set[tuple[str, tuple[str, ...]]]:
        """Code and keys of every check that failed."""
        return {(check.code, check.keys) for check in self.checks if check.verdict is Verdict.FAIL}


@pytest.fixture
def consumer(d1: D1, root: Path) -> D1:
    """A database with the tables of the new consumer, to which nobody has sent anything."""
    d1.batch(migrations(root))
    return d1


def arrives(d1: D1, id: str) -> None:
    columns = [row[0] for row in d1.query("SELECT name FROM pragma_table_info('received_jobs') WHERE \"notnull\"").rows]
    values = {"id": id, "task": "mail.send", "body": QUEUED.body or "", "queue": "celery"}
    given = {name: values.get(name, "0") for name in {*columns, *values}}
    words = ", ".join("'" + value.replace("'", "''") + "'" for value in given.values())
    d1.batch([f"INSERT INTO received_jobs ({', '.join(given)}) VALUES ({words})"])


def compare(bench: Any) -> Comparison:
    found = queue.compare(bench, lambda _: None)
    assert found is not None
    assert bench.kept is found
    return found


def test_jobs_that_are_still_in_the_broker_are_not_missed(consumer: D1, tmp_path: Path) -> None:
    bench = Bench(consumer, tmp_path, is_delta=False)
    assert compare(bench).equal
    assert bench.failed == set()
    assert bench.checks


def test_a_job_that_arrived_before_anything_was_handed_over_is_named(consumer: D1, tmp_path: Path) -> None:
    """Even one that the export lists: it would be done twice."""
    arrives(consumer, QUEUED.id)
    bench = Bench(consumer, tmp_path, is_delta=False)
    found = compare(bench)
    assert not found.equal
    assert [(d.key, d.kind) for d in found.differences] == [(QUEUED.id, "extra")]
    assert any(QUEUED.id in keys for _, keys in bench.failed)


def test_after_a_cutover_the_same_job_is_what_must_be_there(consumer: D1, tmp_path: Path) -> None:
    arrives(consumer, QUEUED.id)
    bench = Bench(consumer, tmp_path, is_delta=True)
    assert compare(bench).equal, bench.checks


def test_without_a_broker_there_is_nothing_to_say(d1: D1, tmp_path: Path) -> None:
    bench: Any = Bench(d1, tmp_path, is_delta=False)
    bench.broker = None
    assert queue.compare(bench, lambda _: None) is None
    assert bench.checks == []
