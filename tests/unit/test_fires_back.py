"""One tiny state for each check of the way back and of the traffic: exactly this one fails.

The workbench of the way back is a fake that holds what the step at hand asks of it; tests/systems carries a real one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from helpers.fires import fires, not_passed

from towpath import objects
from towpath.checks import Check, Comparison, Difference, Verdict, silent
from towpath.errors import CannotFinish
from towpath.tables.written import Conflict
from towpath.traffic import steps
from towpath.traffic.setting import wait_until_seen
from towpath.traffic.walk import Walk
from towpath.traffic.watch import Budget, Sample, Word, watch
from towpath.workbench import climbing, inventory, rollback
from towpath.workbench.crossing import Crossing
from towpath.workbench.cutover import Freeze
from towpath.workbench.sampling import Sampled
from towpath.workbench.way_back import Found

APPROVED = Freeze(0.0, "then", (1,), True)
FAILED = Check("TB412", "tables", "t", "equal", "1 cell changed", Verdict.FAIL, "look")
BUDGET = Budget(error_rate=0.01, p95_ms=500, requests=100, bake=60, silence=30, patience=600)
FINE = Sample(seconds=60, requests=100, errors=0, slow=0, lost=0, quiet=1)


class Kept:
    """What a step asks of a run."""

    def __init__(self, root: Path) -> None:
        self.root, self.checks = root, list[Check]()
        self.mapping = SimpleNamespace(objects=SimpleNamespace(cache_control="private"))

    def add(self, checks: Iterable[Check]) -> None:
        self.checks += checks

    def number(self, *_: Any) -> None: ...

    def artefact(self, *_: Any) -> None: ...

    def output(self, name: str) -> Path:
        return self.root / name

    def source(self, name: str) -> Path:
        return self.root / name


@pytest.fixture
def bench(tmp_path: Path) -> Any:
    params = SimpleNamespace(source_closed_cleanly=True, r2_bucket="bucket")
    return SimpleNamespace(
        run=Kept(tmp_path), params=params, d1=None, s3=None, keep_differences=silent, surfaces=frozenset()
    )


def searched(bench: Any, patch: pytest.MonkeyPatch, rows: list[Conflict], files: list[tuple[str, str]]) -> set[str]:
    """What `find` says of what stands in the way."""
    there = SimpleNamespace(conflicts=files, count=0)
    listed = SimpleNamespace(prefixes=())
    state: Any = SimpleNamespace(manifest=None, exporter=None, objects=listed)
    found: Any = Found(None, {}, tuple(rows))  # type: ignore[arg-type]
    bench.way_back = SimpleNamespace(find=lambda *_: found)
    patch.setattr(objects, "find_back", lambda *_: there)
    rollback.find(bench, state, silent)
    return not_passed(bench.run.checks)


@fires("CU201")
def test_a_row_in_the_way(bench: Any, monkeypatch: pytest.MonkeyPatch) -> Iterable[str]:
    return searched(bench, monkeypatch, [Conflict("t", "1", "written to")], [])


@fires("CU202")
def test_a_file_in_the_way(bench: Any, monkeypatch: pytest.MonkeyPatch) -> Iterable[str]:
    return searched(bench, monkeypatch, [], [("a/x", "changed")])


def todo(rows: int, files: int) -> Any:
    before = SimpleNamespace(schema=SimpleNamespace(sequences={}), db=Counted(0))
    return SimpleNamespace(before=before, found=None, row_count=rows, files=SimpleNamespace(count=files))


class Counted:
    """A database with this many rows that break a reference."""

    def __init__(self, broken: int) -> None:
        self.broken = broken

    def execute(self, _: str) -> Any:
        return SimpleNamespace(get=self.broken)


@fires("CU203")
def test_a_row_that_was_not_carried_back(bench: Any) -> Iterable[str]:
    bench.way_back = SimpleNamespace(carry=lambda *_: 1)
    rollback.rows(bench, todo(2, 0), APPROVED, silent)
    return not_passed(bench.run.checks)


@fires("CU204")
def test_a_file_that_was_not_carried_back(bench: Any, monkeypatch: pytest.MonkeyPatch) -> Iterable[str]:
    monkeypatch.setattr(objects, "carry_files_back", lambda *_: 1)
    rollback.files(bench, todo(0, 2), APPROVED, silent)
    return not_passed(bench.run.checks)


@fires("CU205")
def test_a_reference_that_lost_its_parent(bench: Any, monkeypatch: pytest.MonkeyPatch) -> Iterable[str]:
    now: Any = SimpleNamespace(manifest=None, source=SimpleNamespace(db=Counted(1), relations={}))
    monkeypatch.setattr(rollback, "compare", lambda *_: Comparison("tables", {}))
    monkeypatch.setattr(rollback, "sequences", lambda *_: [])
    rollback.prove_rows(bench, todo(0, 0), now, silent)
    return not_passed(bench.run.checks)


@fires("CU206")
def test_a_file_that_differs(bench: Any, monkeypatch: pytest.MonkeyPatch) -> Iterable[str]:
    listed = SimpleNamespace(objects=1, file=None)
    unlike = Comparison("objects", {}, (), (Difference("bucket", "a/x", "", "missing", "1 byte", ""),))
    monkeypatch.setattr(inventory, "walk", lambda *_: None)
    monkeypatch.setattr(objects, "entries", lambda *_: [])
    monkeypatch.setattr(objects, "write", lambda *_: listed)
    monkeypatch.setattr(objects, "compare", lambda *_: unlike)
    state: Any = SimpleNamespace(decided=[], objects=SimpleNamespace(prefixes=()))
    rollback.prove_files(bench, state, silent)
    return not_passed(bench.run.checks)


@fires("CU207", "TB412")
def test_a_switch_that_stays_on_after_a_check_that_failed(bench: Any) -> Iterable[str]:
    stopped: Any = SimpleNamespace(stop=lambda _: None)
    bench.run.add([FAILED])
    rollback.lift(bench, APPROVED, stopped)
    return not_passed(bench.run.checks)


# -- traffic


@fires("TR105")
def test_request_lines_that_are_lost() -> Iterable[str]:
    return not_passed(watch(lambda: replace(FINE, requests=300, lost=3), BUDGET).checks("split 50"))


@fires("TR102")
def test_too_many_errors() -> Iterable[str]:
    return not_passed(watch(lambda: replace(FINE, errors=30), BUDGET).checks("split 50"))


@fires("TR103")
def test_too_many_slow_answers() -> Iterable[str]:
    return not_passed(watch(lambda: replace(FINE, slow=100), BUDGET).checks("split 50"))


@fires("TR104")
def test_too_few_lines() -> Iterable[str]:
    return not_passed(watch(lambda: replace(FINE, requests=0, quiet=60), BUDGET).checks("split 50"))


@fires("TR101")
def test_a_gateway_that_never_shows_the_setting() -> Iterable[str]:
    moments = iter(range(1_000))
    old = httpx.MockTransport(lambda _: httpx.Response(204, headers={"x-towpath-revision": "6"}))
    with pytest.raises(CannotFinish) as caught:
        wait_until_seen(
            "http://127.0.0.1:1",
            7,
            cache_seconds=5.0,
            clock=lambda: float(next(moments)),
            pause=lambda _: None,
            transport=old,
        )
    return [caught.value.code]


@fires("TR106")
def test_a_step_that_may_not_be_begun() -> Iterable[str]:
    facts = {"setting": "origin", "new writes": "open", "ahead": "no", "fallback": "origin"}
    walk = Walk(steps.over(), lambda: facts, lambda: steps.EVIDENCE, {}, lambda _: None)
    with pytest.raises(
        CannotFinish, match=r"step `freeze`: it may not be begun: new writes is open, not shut"
    ) as caught:
        walk.to("freeze")
    return [caught.value.code]


def on_the_way(**noted: Any) -> Crossing:
    """A way over, as it stands at its end."""
    bench: Any = SimpleNamespace(params=SimpleNamespace(moves_traffic=False, ramp_steps=(100,)), run=SimpleNamespace())
    bench.run.approved = True
    crossing = Crossing(bench, "over")
    crossing.moves = True
    checks: list[Check] = []
    bench.run.add = checks.extend
    vars(crossing).update(checks=checks, **noted)
    return crossing


@fires("TR107")
def test_traffic_that_was_taken_back() -> Iterable[str]:
    crossing = on_the_way(aborted="50 %: over budget")
    crossing.at_its_end()
    return not_passed(vars(crossing)["checks"])


@fires("TR108")
def test_writes_that_were_refused_for_too_long() -> Iterable[str]:
    checks: list[Check] = []
    bench: Any = SimpleNamespace(run=SimpleNamespace(add=checks.extend, number=lambda *_: None))
    crossing: Any = SimpleNamespace(refused_seconds=300.1)
    climbing._report_refused(bench, crossing)
    return not_passed(checks)


@fires("TR113")
def test_a_new_side_that_answers_otherwise() -> Iterable[str]:
    crossing = on_the_way()
    enough: Any = SimpleNamespace(word=Word.ENOUGH)
    sampler: Any = SimpleNamespace(take=lambda: Sampled(20, ("GET /a 200 and 500",) * 3))
    assert not climbing._samples(crossing, 10, sampler, enough).holds
    nothing: Any = SimpleNamespace(take=lambda: Sampled(0, (), "The corpus holds no request that only reads."))
    unasked = on_the_way()
    assert climbing._samples(unasked, 10, nothing, enough).line == nothing.take().why
    assert vars(unasked)["checks"] == []  # what nobody asked is no pass
    return not_passed(vars(crossing)["checks"])
