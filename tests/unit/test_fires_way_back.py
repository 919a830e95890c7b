"""One tiny state for each check of the way back of keys and jobs: exactly this one fails."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from helpers.fires import fires, not_passed

from towpath import jobs, keys
from towpath.checks import Check, Difference, silent
from towpath.errors import CannotFinish, WrongUse
from towpath.workbench import jobs_back, keys_back
from towpath.workbench.cutover import Freeze

APPROVED, DRY = Freeze(0.0, "then", (1,), True), Freeze(0.0, "then", (), False)
NOTHING = keys.Back((), (), (), (), frozenset())
NONE = jobs.Back((), (), (), (), (), (), (), ())
QUIET = jobs.Quiet(0, (), 10.0, 10.0)


class Kept:
    """What a step asks of a run."""

    def __init__(self, root: Path) -> None:
        self.root, self.checks, self.numbers = root, list[Check](), dict[str, Any]()
        self.phase = "07-roll-back"
        self.mapping = SimpleNamespace(jobs=SimpleNamespace(queues=("celery",), tasks=()))

    def add(self, checks: Iterable[Check]) -> None:
        self.checks += checks

    def number(self, name: str, value: float, _: str) -> None:
        self.numbers[name] = value

    def artefact(self, *_: Any) -> None: ...

    def output(self, name: str) -> Path:
        return self.root / name


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A workbench over engines that nobody asks."""
    monkeypatch.setattr(keys, "export", lambda *_: None)
    monkeypatch.setattr(keys, "held", lambda *_: "the newest")
    monkeypatch.setattr(keys, "find_back", lambda *_: NOTHING)
    monkeypatch.setattr(jobs, "wait_until_quiet", lambda *_: QUIET)
    monkeypatch.setattr(jobs, "find_back", lambda *_: NONE)
    there = SimpleNamespace(namespace="n")
    return SimpleNamespace(run=Kept(tmp_path), redis=there, kv=there, broker=there, d1=None, key_rules=(), states=list)


@fires("CU213")
def test_a_key_in_the_way(bench: Any, monkeypatch: pytest.MonkeyPatch) -> Iterable[str]:
    found = keys.Back((), (("quiz:daily", "both wrote"),), (), (), frozenset({"quiz:daily"}))
    monkeypatch.setattr(keys, "find_back", lambda *_: found)
    back = keys_back.find(bench, APPROVED, silent)
    with pytest.raises(CannotFinish, match="CU213 07-roll-back: nothing was carried back, because CU213 keys fails"):
        keys_back.carry(bench, back, APPROVED, silent)
    return not_passed(bench.run.checks)


@fires("CU214")
def test_a_key_that_differs(bench: Any, monkeypatch: pytest.MonkeyPatch) -> Iterable[str]:
    unlike = keys.Proved(2, ("own",), (Difference("n", "text", "value", "changed", "a", "b"),))
    monkeypatch.setattr(keys, "prove_back", lambda *_: unlike)
    keys_back.prove(bench, NOTHING, APPROVED, silent)
    assert [check.found for check in bench.run.checks] == ["1: text: value"]
    return not_passed(bench.run.checks)


@pytest.mark.parametrize(
    ("quiet", "found", "object"),
    [
        (jobs.Quiet(1, ("a",), 10.0, 120.0), NONE, "queue"),
        (jobs.Quiet(1, (), 3.0, 120.0), NONE, "queue"),
        (QUIET, jobs.Back((), (), (), (), (), (), (("a", "nobody knows its task"),), ()), "jobs"),
        (QUIET, jobs.Back((), (), (), (), (), (), (), (jobs.Consumer("1", "host:1", "", "brpop"),)), "workers"),
    ],
)
@fires("CU215")
def test_a_job_in_the_way(
    bench: Any, monkeypatch: pytest.MonkeyPatch, quiet: jobs.Quiet, found: jobs.Back, object: str
) -> Iterable[str]:
    monkeypatch.setattr(jobs, "wait_until_quiet", lambda *_: quiet)
    monkeypatch.setattr(jobs, "find_back", lambda *_: found)
    back = jobs_back.find(bench, APPROVED, silent)
    with pytest.raises(CannotFinish, match=f"nothing was carried back, because CU215 {object} fails"):
        jobs_back.carry(bench, back, APPROVED, silent)
    return not_passed(bench.run.checks)


@fires("CU216")
def test_a_job_on_both_sides(bench: Any, monkeypatch: pytest.MonkeyPatch) -> Iterable[str]:
    monkeypatch.setattr(jobs, "prove_jobs_back", lambda *_: jobs.Proved(1, (), ("a",), ()))
    jobs_back.prove(bench, NONE, APPROVED)
    return not_passed(bench.run.checks)


def test_a_dry_run_writes_nothing_and_waits_for_nobody(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(jobs, "wait_until_quiet", lambda *given: asked.append(given) or jobs.Quiet(0, (), 0.0, 0.0))
    monkeypatch.setattr(keys, "export", lambda *_: asked.append("export"))
    assert keys_back.carry(bench, keys_back.find(bench, DRY, silent), DRY, silent) == 0
    assert jobs_back.carry(bench, jobs_back.find(bench, DRY, silent), DRY, silent) == 0
    assert (keys_back.prove(bench, NOTHING, DRY, silent), jobs_back.prove(bench, NONE, DRY)) == (None, None)
    assert asked == [(None, 0, 0)]
    assert not_passed(bench.run.checks) == set()


def test_a_system_without_cache_and_queue_has_no_way_back_of_them(bench: Any) -> None:
    bench.redis = bench.kv = bench.broker = None
    back, found = keys_back.find(bench, APPROVED, silent), jobs_back.find(bench, APPROVED, silent)
    assert (back, found, keys_back.carry(bench, back, APPROVED, silent)) == (None, None, 0)
    assert (jobs_back.carry(bench, found, APPROVED, silent), jobs_back.prove(bench, found, APPROVED)) == (0, None)
    assert keys_back.prove(bench, back, APPROVED, silent) is None
    told = [keys_back.found(None).text, jobs_back.found(None).text, keys_back.proved(None, bench).text]
    assert told == ["No cache in this system.", "No queued jobs in this system.", "No cache in this system."]
    assert bench.run.checks == []


def test_a_namespace_that_holds_nothing_of_this_run_is_refused(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "held", lambda *_: None)
    with pytest.raises(WrongUse, match="KV n: the namespace holds no export of this run"):
        keys_back.find(bench, APPROVED, silent)
