"""Traffic over a real gateway and a real fence: an abort that holds, fresh evidence, attempts that go on."""

from __future__ import annotations

import datetime as dt
import json
import os
import socket
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from helpers.small_side import Reply, as_json, small_side
from helpers.two_sides import Sides, two_sides
from helpers.waiting import until

from towpath.checks import Check, Verdict
from towpath.cloudflare import D1
from towpath.errors import CannotFinish
from towpath.local.gateway import NAMESPACE, REQUESTS
from towpath.tables import fence
from towpath.traffic import setting
from towpath.traffic.setting import Mode
from towpath.traffic.walk import Noted
from towpath.traffic.watch import Outcome, Sample, Word
from towpath.workbench import climbing, cutover, gateway, going_on, switch
from towpath.workbench.crossing import Crossing
from towpath.workbench.sampling import Sampled

FINE = Sample(60, 100, 0, 0, 0, 1)


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Iterator[Sides]:
    with two_sides(tmp_path_factory.mktemp("sides"), root) as both:
        yield both


class Run:
    """As much of a run as a crossing needs."""

    def __init__(self, root: Path) -> None:
        self.root, self.approved, self.checks, self.numbers = root, True, list[Check](), dict[str, float]()
        self.phase, self.result = "06-cutover", SimpleNamespace(stem="06-cutover")
        self.run_folder = SimpleNamespace(run_id="run-1", results=list)
        self.plan = SimpleNamespace(runbook=SimpleNamespace(title="Toys move"))
        self.mapping = SimpleNamespace(tables=SimpleNamespace(empty=()))
        self.notices = ""

    def add(self, checks: Iterable[Check]) -> None:
        self.checks += checks

    def number(self, name: str, value: float, _: str) -> None:
        self.numbers[name] = value

    def output(self, name: str) -> Path:
        return self.root / name.replace("/", "-")

    def source(self, name: str) -> Path:
        return self.root / name

    def secret(self, _: str) -> Any:
        return SimpleNamespace(reveal=lambda: self.notices) if self.notices else None

    def log(self, *_: object) -> None: ...

    def artefact(self, _: Path) -> None: ...


def put(sides: Sides, mode: str, percent: int = 0) -> None:
    """A setting after every one that was written so far: the gateway never goes back to an older one."""
    found = setting.read(sides.kv)
    sides.set(mode, percent, revision=found.revision + 1 if found else 1)


@pytest.fixture
def bench(sides: Sides, tmp_path: Path) -> Iterator[Any]:
    """Everything frozen, the old side shut, the fence open: as it is just before the ramp."""
    params = SimpleNamespace(
        moves_traffic=True,
        ramp_steps=(50, 100),
        ramp_errors_percent=1.0,
        ramp_p95_ms=500,
        ramp_requests=1,
        ramp_bake_seconds=0,
        on_this_machine=True,
        gateway_url=sides.runtime.gateway_url,
        gateway_namespace_id=NAMESPACE,
        gateway_database_id=REQUESTS,
    )
    with sides.runtime.client() as client:
        d1 = D1(client, f"app-{tmp_path.name}")
        d1.batch(["CREATE TABLE toys (id INTEGER PRIMARY KEY)"])
        fence.install(d1)
        fence.open(d1, by="towpath run-1 06-cutover")
        (tmp_path / "source_maintenance_switch").write_text("{}", encoding="utf-8")
        put(sides, "frozen")
        run = Run(tmp_path)
        yield SimpleNamespace(run=run, params=params, client=client, d1=d1, done_before=None, on_close=lambda _: None)


def crossing(bench: Any, **params: Any) -> Crossing:
    vars(bench.params).update(params)
    found = Crossing(bench, "over")
    found.go_on("done by an attempt before")
    return found


def holds(crossing: Crossing) -> str:
    found = setting.read(crossing.gateway.kv)
    return found.fact if found else "nothing"


def closed(bench: Any) -> bool:
    found = fence.read(bench.d1)
    return found is not None and found.closed


def away(words: str) -> Callable[..., Any]:
    def raises(*_: Any, **__: Any) -> Any:
        raise CannotFinish(words, object="gateway", next="look", code="TR101")

    return raises


@pytest.mark.parametrize(
    ("health", "writes"),
    [
        (as_json({"maintenance": True, "writes_in_flight": 0}), 0),
        (as_json({"maintenance": True, "writes_in_flight": 2}), 2),
        (as_json({"maintenance": False, "writes_in_flight": 0}), 1),  # the switch lies where it does not look
        (as_json({"writes_in_flight": 0}), 0),
        (as_json({"status": "ok"}), None),
        (as_json(["ok"]), None),
        ((404, {}, b"no such page"), None),
        (None, None),
    ],
)
def test_the_old_side_says_whether_a_write_may_still_come(health: Reply | None, writes: int | None) -> None:
    with small_side(lambda *_: health) as url:
        assert gateway.in_flight(url) == writes


def test_an_old_side_that_is_silent_may_still_be_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "HEALTH", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        assert gateway.in_flight(f"http://127.0.0.1:{listening.getsockname()[1]}") == 1
    assert gateway.in_flight("") is None


def test_the_switch_outlives_a_power_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda at: done.append("folder" if stat.S_ISDIR(os.fstat(at).st_mode) else "file"))
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda *paths: (done.append("there"), replace(*paths)))
    switch.write(tmp_path / "maintenance.json", "2026-11-22", "towpath run-1")
    assert done == ["file", "there", "folder"]
    assert json.loads((tmp_path / "maintenance.json").read_text()) == {
        "since": "2026-11-22",
        "by": "towpath run-1",
    }


def test_the_record_says_how_long_each_part_took(bench: Any) -> None:
    over = crossing(bench)
    begun = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=60)
    names = [step.name for step in over.walk.steps]
    over.walk.noted[:] = [Noted(name, begun.isoformat(), 0.0, False, "") for name in names[: names.index("snapshot")]]
    fence.shut(bench.d1)
    fence.even(bench.d1)
    bench.snapshot_seconds = 20.0
    bench.origin = SimpleNamespace(unwritten=lambda _: True)
    over.knows["old quiet"] = lambda: True
    freeze = cutover.Freeze(0.0, "then", (1,), approved=True)
    cutover.applied(over, freeze)
    cutover.open_new(bench, over, freeze)
    took = {
        one.name: round(one.seconds / 10) * 10 for one in over.walk.noted if one.name in ("snapshot", "delta", "prove")
    }
    assert took == {"snapshot": 20, "delta": 40, "prove": 0}
    assert not closed(bench)


def test_an_abort_takes_traffic_back_and_shuts_the_fence(bench: Any, sides: Sides) -> None:
    over = crossing(bench)
    over.to("split 50 seen")
    over.abort("50 %: over budget")
    assert (holds(over), closed(bench)) == ("frozen", True)
    with sides.http() as http:
        assert http.post("/people/1").headers["x-served-by"] == "gateway"
    lines = (bench.run.root / "traffic-steps.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["name"] for line in lines] == ["split 50", "split 50 seen", "ABORT"]


def test_an_abort_that_the_gateway_does_not_confirm_shuts_the_fence_all_the_same(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = crossing(bench)
    over.to("split 50 seen")
    monkeypatch.setattr(setting, "wait_until_seen", away("works by revision 1"))
    with pytest.raises(CannotFinish, match=r"traffic could not be taken back after 50 %: over budget: .*revision 1"):
        over.abort("50 %: over budget")
    assert (holds(over), closed(bench)) == ("frozen", True)
    bench.run.run_folder.results = lambda: [
        SimpleNamespace(phase="06-cutover", stem="06-cutover", verdict="INCOMPLETE", checks=[])
    ]
    stands = fence.read(bench.d1)
    assert stands is not None
    assert going_on.taken_up(bench, stands) is None  # 06 does not climb once more: 07 comes next


def test_an_abort_is_told_to_the_status_page(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    monkeypatch.setattr(httpx, "post", lambda url, **given: told.append((url, given["json"])) or httpx.Response(201))
    over = crossing(bench)
    over.to("split 50 seen")
    bench.run.notices = "http://127.0.0.1:1/incidents"
    over.abort("50 %: over budget")
    [(url, body)] = told
    assert (url, body["incident"]["status"]) == ("http://127.0.0.1:1/incidents", "investigating")
    over.at_its_end()
    assert {check.code: check.verdict for check in bench.run.checks} == {"TR107": Verdict.FAIL, "TR110": Verdict.PASS}


def watched(word: Word, meanwhile: Callable[[], Any] = lambda: None) -> Callable[..., Outcome]:
    def watch(*_: Any, **__: Any) -> Outcome:
        meanwhile()
        return Outcome(word, "" if word is Word.ENOUGH else "TR102", "said", (FINE,))

    return watch


@pytest.fixture
def unsampled(monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = SimpleNamespace(take=lambda: Sampled(0, (), "nothing to ask"))
    monkeypatch.setattr(climbing, "Sampler", lambda _: sampler)


@pytest.mark.usefixtures("unsampled")
def test_a_setting_that_changes_under_the_watch_was_not_watched(
    bench: Any, sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = crossing(bench)

    def somebody() -> None:
        found = setting.read(over.gateway.kv)
        assert found is not None
        now = dt.datetime.now(dt.UTC)
        setting.change(sides.kv, setting.change(sides.kv, found, Mode.SPLIT, 1, now), Mode.SPLIT, 50, now)

    monkeypatch.setattr(climbing, "watch", watched(Word.ENOUGH, somebody))
    with pytest.raises(CannotFinish, match="step `split 100`: it may not be begun: stale or missing: the watch"):
        climbing.ramp_up(bench, over)
    assert (holds(over), closed(bench), over.aborted) == ("frozen", True, "CannotFinish in the middle of the ramp")


@pytest.mark.usefixtures("unsampled")
def test_a_ramp_that_is_over_budget_goes_back_and_names_the_routes(
    bench: Any, sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = crossing(bench)

    def users() -> None:
        with sides.http() as http:
            assert [http.delete(f"/status/{status}").status_code for status in (500, 200, 500)] == [500, 200, 500]
        written = f"SELECT count(*) FROM _towpath_requests WHERE revision = {over.holds.revision}"
        until(lambda: sides.lines.query(written).rows == [[3]], "the lines are not written")

    monkeypatch.setattr(climbing, "watch", watched(Word.OVER_BUDGET, users))
    [stage] = climbing.ramp_up(bench, over)
    over.at_its_end()
    assert (stage.percent, holds(over), closed(bench)) == (50, "frozen", True)
    found = {check.code: (check.verdict, check.found) for check in bench.run.checks}
    assert found["TR102"] == (Verdict.FAIL, "said; (other): 2 of 3 with errors")
    assert found["TR107"] == (Verdict.FAIL, "50 %: over budget: said; (other): 2 of 3 with errors")


@pytest.mark.usefixtures("unsampled")
def test_the_ramp_to_its_end(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    over = crossing(bench)
    monkeypatch.setattr(climbing, "watch", watched(Word.ENOUGH))
    stages = climbing.ramp_up(bench, over)
    over.at_its_end()
    assert ([stage.percent for stage in stages], holds(over), closed(bench)) == ([50, 100], "worker", False)
    assert {check.verdict for check in bench.run.checks} == {Verdict.PASS}
    assert "TR107" in {check.code for check in bench.run.checks}


def test_a_cut_ramp_goes_on_only_at_a_step_of_its_own(bench: Any, sides: Sides) -> None:
    put(sides, "split", 30)
    with pytest.raises(CannotFinish, match=r"TR106 .*the gateway's setting is split 30, which is no step of this ramp"):
        crossing(bench)
    put(sides, "split", 50)
    assert crossing(bench).walk.noted[-1].name == "split 50"


def test_writes_are_refused_since_the_first_attempt_froze_them(bench: Any, sides: Sides) -> None:
    long_ago = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=400)
    found = setting.read(sides.kv)
    assert found is not None
    frozen = setting.change(sides.kv, found, Mode.FROZEN, 0, long_ago, new_salt=True)
    over = crossing(bench)
    over.to("split 50 seen")
    climbing._report_refused(bench, over)
    [check] = bench.run.checks
    assert (check.code, check.verdict, frozen.fact) == ("TR108", Verdict.WARN, "frozen")
    assert bench.run.numbers["writes_refused_seconds"] >= 400


def test_an_attempt_that_finds_the_ramp_begun_says_nothing_of_refused_writes(bench: Any, sides: Sides) -> None:
    put(sides, "split", 50)
    over = crossing(bench)
    over.to("split 50 seen")
    climbing._report_refused(bench, over)
    assert (bench.run.checks, bench.run.numbers.get("writes_refused_seconds")) == ([], None)


def test_what_an_attempt_says_itself_is_not_taken_over(bench: Any) -> None:
    def check(code: str, verdict: Verdict = Verdict.FAIL) -> Check:
        return Check(code, "traffic", "split 50", "", "", verdict)

    own = [check(f"TR{number}") for number in (101, 102, 103, 104, 105, 107, 109, 110, 112, 113)]
    kept = [check("TR108", Verdict.WARN), check("TR111", Verdict.WARN), check("CU102", Verdict.PASS)]
    opened = SimpleNamespace(phase="06-cutover", stem="06-cutover", verdict="INCOMPLETE", checks=[*own, *kept])
    bench.run.run_folder.results = lambda: [opened]
    stands = fence.read(bench.d1)
    assert stands is not None
    assert going_on.taken_up(bench, stands) is not None
    assert bench.run.checks == kept


def test_a_way_back_that_was_begun_is_gone_to_its_end(bench: Any) -> None:
    def attempt(phase: str, verdict: str) -> Any:
        return SimpleNamespace(phase=phase, stem=phase, verdict=verdict, checks=[])

    stands = fence.read(bench.d1)
    assert stands is not None
    for verdict, goes_on in (("DRY RUN", True), ("INCOMPLETE", False)):
        results = [attempt("06-cutover", "INCOMPLETE"), attempt("07-roll-back", verdict)]
        bench.run.run_folder.results = lambda results=results: results
        assert (going_on.taken_up(bench, stands) is not None) is goes_on
