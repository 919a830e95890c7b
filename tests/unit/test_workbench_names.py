"""The names as phases move them, against the stand-in: lowered, pointed, purged, put back, told to a status page."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from helpers.fires import fires, not_passed
from helpers.names_stand_in import TOKEN, ZONE, StandIn, names_stand_in

from towpath.checks import Check
from towpath.errors import WrongUse
from towpath.secrets import Secret
from towpath.traffic import notices
from towpath.workbench import names
from towpath.workbench.crossing import Crossing

NAME = "app.example.com"


class Run:
    """As much of a run as names need: outputs, checks, a log."""

    def __init__(self, root: Path) -> None:
        self.root, self.approved, self.checks = root, True, list[Check]()
        self.mapping = SimpleNamespace(traffic=SimpleNamespace(names=(NAME,)))
        self.plan = SimpleNamespace(runbook=SimpleNamespace(title="Toys move"))
        self.lines: list[str] = []
        self.add = self.checks.extend

    def secret(self, key: str) -> Secret | None:
        return Secret(f"file:{key}", self.root) if (self.root / key).exists() else None

    def write_json(self, name: str, value: Any) -> None:
        (self.root / name.replace("/", "-")).write_text(json.dumps(value), encoding="utf-8")

    def read_json(self, name: str) -> Any:
        path = self.root / name.replace("/", "-")
        if not path.exists():
            raise WrongUse("no phase of this run wrote it", object=name, next="")
        return json.loads(path.read_text(encoding="utf-8"))

    def log(self, *words: object) -> None:
        self.lines.append(" ".join(map(str, words)))


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    with names_stand_in() as found:
        found.add("A", NAME, "192.0.2.1", ttl=600)
        yield found


@pytest.fixture
def bench(stand_in: StandIn, tmp_path: Path) -> Any:
    (tmp_path / "dns_token").write_text(TOKEN, encoding="utf-8")
    params = SimpleNamespace(
        dns_api=stand_in.url, dns_zone_id=ZONE, cloudflare_account="", gateway_url="https://gateway.example.dev"
    )
    return SimpleNamespace(run=Run(tmp_path), params=params, on_close=lambda _: None)


def addresses(stand_in: StandIn) -> list[tuple[str, str, int]]:
    return [(one["type"], one["content"], one["ttl"]) for one in stand_in.records.values()]


def test_the_whole_way_and_back(bench: Any, stand_in: StandIn) -> None:
    names.lower(bench)
    assert addresses(stand_in) == [("A", "192.0.2.1", 60)]
    exported = bench.run.read_json(names.EXPORTED)
    earlier = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=601)
    bench.run.write_json(names.EXPORTED, {**exported, "at": earlier.isoformat()})
    names.lower(bench)  # a second attempt exports nothing anew
    assert bench.run.read_json(names.EXPORTED)["records"][0]["ttl"] == 600
    waited: list[float] = []
    names.point(bench, waited.append)
    assert addresses(stand_in) == [("CNAME", "gateway.example.dev", 60)]
    assert waited == [60.0]
    names.point(bench, waited.append)  # nothing is to be done again
    assert waited == [60.0]
    names.purge(bench)
    names.restore(bench)
    assert addresses(stand_in) == [("A", "192.0.2.1", 600)]
    assert not_passed(bench.run.checks) == set()
    assert len(bench.run.lines) == 4  # every request that changed something is in the log


def test_a_dry_run_shows_each_request_and_sends_none(bench: Any, stand_in: StandIn) -> None:
    bench.run.approved = False
    before = addresses(stand_in)
    shown = "".join(step(bench).html for step in (names.lower, names.point, names.purge))
    assert "would be sent" in shown
    assert "&quot;content&quot;: &quot;gateway.example.dev&quot;" in shown
    assert "purge_cache" in shown
    assert (addresses(stand_in), stand_in.asked) == (before, [])


def test_without_an_api_no_name_moves(bench: Any) -> None:
    bench.params.dns_api = ""
    assert str(names.point(bench)) == names.NONE


def test_an_address_that_changed_after_the_export_is_what_a_name_goes_back_to(bench: Any, stand_in: StandIn) -> None:
    names.lower(bench)
    [record] = stand_in.records.values()
    record["content"] = "198.51.100.7"  # days later the old application has moved
    names.point(bench, lambda _: None)
    assert addresses(stand_in) == [("CNAME", "gateway.example.dev", 60)]
    names.point(bench, lambda _: None)  # another attempt: what it finds is ours
    names.restore(bench)
    assert addresses(stand_in) == [("A", "198.51.100.7", 60)]


def test_a_way_back_before_any_name_was_pointed_gives_back_the_ttl_alone(bench: Any, stand_in: StandIn) -> None:
    names.lower(bench)
    names.restore(bench)
    assert addresses(stand_in) == [("A", "192.0.2.1", 600)]
    [record] = stand_in.records.values()
    record["content"] = "198.51.100.7"
    names.restore(bench)
    assert addresses(stand_in) == [("A", "198.51.100.7", 600)]
    assert not_passed(bench.run.checks) == set()


@fires("TR111")
def test_a_ttl_that_was_not_lowered(bench: Any) -> Iterable[str]:
    names.point(bench, lambda _: None)
    return not_passed(bench.run.checks)


@fires("TR109", "TR111")
def test_a_name_that_somebody_else_points_elsewhere(bench: Any, stand_in: StandIn) -> Iterable[str]:
    def changed(_: float) -> None:
        next(iter(stand_in.records.values()))["content"] = "elsewhere.example.org"

    names.point(bench, changed)
    return not_passed(bench.run.checks)


@fires("TR112")
def test_a_purge_that_the_plan_does_not_allow(bench: Any, stand_in: StandIn) -> Iterable[str]:
    stand_in.refuse_purge = True
    names.purge(bench)
    return not_passed(bench.run.checks)


@fires("TR110", "TR107")
def test_a_notice_that_nobody_takes(bench: Any, stand_in: StandIn, tmp_path: Path) -> Iterable[str]:
    bench.params.moves_traffic, bench.params.ramp_steps = False, (100,)
    crossing = Crossing(bench, "over")
    crossing.moves = True
    for address, name in (("notices", "freeze"), ("elsewhere", "open new")):
        (tmp_path / "status_webhook").write_text(f"{stand_in.url}/{address}", encoding="utf-8")
        crossing._notify(name)
    assert [one["incident"]["status"] for one in stand_in.notices] == ["in_progress"]
    crossing.aborted = "stopped for this test"
    crossing.at_its_end()
    return not_passed(bench.run.checks)


@pytest.mark.parametrize(
    "url", ["http://[::1", "https://exa mple.org\x00/", "status.example.org", "http://127.0.0.1:1/"]
)
def test_a_page_that_cannot_be_told_stops_nothing_and_its_address_is_not_said(url: str) -> None:
    why = notices.tell(url, notices.Notice("Toys move", *notices.OVER["freeze"]))
    assert why
    assert url not in why
