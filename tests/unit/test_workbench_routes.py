"""01-inventory looks at routes: what it reports, what it shows, and what it says where there are none."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from helpers.fires import fires, not_passed

from towpath.checks import Check, Finding, Judgement, Rule, Verdict, judge
from towpath.plan.mapping import SystemMapping
from towpath.routes import corpus
from towpath.routes.corpus import Recorded
from towpath.workbench import routes

TODAY = dt.date(2026, 11, 21)


class Run:
    """What the look asks of a run."""

    def __init__(self, mapping: SystemMapping) -> None:
        self.mapping, self.checks, self.numbers = mapping, list[Check](), dict[str, int]()

    def judge(self, found: Sequence[Finding], rules: dict[str, Rule]) -> Judgement:
        judged = judge(found, rules, self.mapping.decided(), [], TODAY)
        self.checks += judged.checks
        return judged

    def check(self, code: str, surface: str, object: str, expected: str, found: str, ok: bool) -> None:
        self.checks.append(Check(code, surface, object, expected, found, Verdict.PASS if ok else Verdict.FAIL))

    def number(self, name: str, value: int, _unit: str) -> None:
        self.numbers[name] = value


def bench(tmp_path: Path, source: str = "x = 1\n", **traffic: Any) -> Any:
    """A workbench over an application with two routes and one file of source."""
    document = {"openapi": "3.1.0", "paths": {"/tasks": {"get": {}, "post": {}}}}
    (tmp_path / "openapi.json").write_text(json.dumps(document), encoding="utf-8")
    (tmp_path / "src").mkdir()
    if source:
        (tmp_path / "src" / "app.py").write_text(source, encoding="utf-8")
    items = [Recorded(f"{one} /tasks", one, "/tasks", {"x-a": "{new:a}{token:me}"}, b"", "hand") for one in TITLES]
    corpus.write(tmp_path / "corpus.jsonl", items)
    given = {
        "application": {"kind": "openapi", "of": "openapi.json", "source": "src"},
        "routes": tuple({"from": f"{one} /tasks"} for one in TITLES),
        "corpus": "corpus.jsonl",
        "tokens": {"me": {"route": "POST /login", "body": {}}},
    }
    mapping = SystemMapping.model_validate({"traffic": given | traffic} if traffic.pop("any", True) else {})
    return SimpleNamespace(root=tmp_path, run=Run(mapping))


TITLES = ("GET", "POST")


def test_every_route_is_shown_with_its_requests(tmp_path: Path) -> None:
    made = bench(tmp_path)
    found = routes.look(made)
    assert not_passed(made.run.checks) == set()
    assert made.run.numbers == {"routes": 2, "requests": 2}
    shown = routes.table(found).text
    assert "2 routes, 2 of them move; 2 recorded requests" in shown
    assert "GET /tasks" in shown
    assert "Nothing in 1 files, 1 lines" in routes.unfit(found).text
    assert "Findings about routes" in routes.judged(made).text


def test_a_system_without_traffic_says_so_in_one_sentence(tmp_path: Path) -> None:
    made = bench(tmp_path, any=False)
    assert routes.look(made) is None
    assert made.run.checks == []
    assert routes.table(None).text == routes.judged(made).text == routes.NO_ROUTES
    assert routes.unfit(None).text == "No source of the application was looked at."


@fires("RT100", "RT101")
def test_a_map_that_lacks_a_route(tmp_path: Path) -> Iterable[str]:
    made = bench(tmp_path, routes=({"from": "GET /tasks"},))
    found = routes.look(made)
    assert found is not None
    assert not found.mapped.complete
    assert "1 findings about routes fail" not in routes.judged(made).text
    assert "2 findings about routes fail" in routes.judged(made).text
    return not_passed(made.run.checks)


@fires("RT200")
def test_a_folder_without_source(tmp_path: Path) -> Iterable[str]:
    made = bench(tmp_path, source="")
    routes.look(made)
    return not_passed(made.run.checks)


def test_what_a_worker_cannot_run_is_shown_with_its_place(tmp_path: Path) -> None:
    made = bench(tmp_path, source="import os\nos.system('ls')\n")
    shown = routes.unfit(routes.look(made)).text
    assert "1 places in 1 files, 2 lines" in shown
    assert "app.py:2 os.system" in shown
    assert not_passed(made.run.checks) == {"RT201"}
