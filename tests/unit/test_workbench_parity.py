"""The joints of parity: who must ask both sides, and what an application wrote into a copy, a file or a D1."""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import apsw
import pytest
from helpers.small_side import Asked, Reply, as_json, small_side

from towpath.checks import Verdict, judge, silent
from towpath.cloudflare import D1
from towpath.errors import BadInput
from towpath.local import Runtime
from towpath.parity.replay import Outcome
from towpath.plan.mapping import SystemMapping
from towpath.plan.traffic_keys import TrafficKeys
from towpath.routes import corpus
from towpath.routes.corpus import Recorded
from towpath.sensitive import NOTHING
from towpath.show import ecdf
from towpath.tables.schema import reflect
from towpath.workbench import parity, parity_panels, watching
from towpath.workbench.asked import lacking, sides
from towpath.workbench.pair import reason_against
from towpath.workbench.required import required

TABLES = """
CREATE TABLE people (id TEXT PRIMARY KEY, name TEXT, age INTEGER, height REAL, face BLOB, "odd ""name" TEXT);
CREATE TABLE tasks (id INTEGER PRIMARY KEY, person TEXT REFERENCES people(id) ON DELETE CASCADE, title TEXT);
CREATE TABLE notes (text TEXT);
CREATE TRIGGER noted AFTER INSERT ON tasks BEGIN INSERT INTO notes VALUES ('task ' || new.title); END
"""
WIDE = f"CREATE TABLE wide (id INTEGER PRIMARY KEY, {', '.join(f'c{n} TEXT' for n in range(60))})"
WRITES = (
    "INSERT INTO people VALUES"
    " ('a', 'Ada', 9007199254740993, 0.1, x'00ff', NULL), ('b', 'B\"\\é', -1, 1e300, x'', 'x')",
    "INSERT INTO tasks (person, title) VALUES ('a', 'one'), ('b', 'two')",
    "UPDATE people SET name = 'Eve' WHERE id = 'a'",
    "UPDATE people SET name = name, age = age",
    "DELETE FROM people WHERE id = 'b'",
    "INSERT INTO wide (id, c59) VALUES (1, 'last')",
)
ADA = {"id": "a", "name": "Ada", "age": 9007199254740993, "height": 0.1, "face": "x'00FF'", 'odd "name': None}
BEA = {"id": "b", "name": 'B"\\é', "age": -1, "height": 1e300, "face": "x''", 'odd "name': "x"}
SEEN: list[dict[str, Any]] = [
    {"people": {"inserted": [BEA, ADA]}},
    {
        "notes": {"inserted": [{"text": "task one"}, {"text": "task two"}]},
        "tasks": {
            "inserted": [{"id": 1, "person": "a", "title": "one"}, {"id": 2, "person": "b", "title": "two"}],
        },
    },
    {"people": {"updated": [{**ADA, "name": "Eve"}]}},
    {},
    {"people": {"deleted": [BEA]}, "tasks": {"deleted": [{"id": 2, "person": "b", "title": "two"}]}},
    {"wide": {"inserted": [{"id": 1, **{f"c{n}": None for n in range(59)}, "c59": "last"}]}},
]


@pytest.fixture
def copy(tmp_path: Path) -> Iterator[apsw.Connection]:
    with closing(apsw.Connection(str(tmp_path / "copy.sqlite"))) as db:
        db.execute(f"{TABLES}; {WIDE}")
        yield db


def test_what_an_application_writes_into_a_file_is_told_write_by_write(copy: apsw.Connection) -> None:
    tables = reflect(copy).tables
    for statement in watching.statements(tables):
        copy.execute(statement)
    look = watching.watch(lambda sql: list(copy.execute(sql)), tables)
    with closing(sqlite3.connect(copy.filename, isolation_level=None)) as application:  # Python's own SQLite
        application.execute("PRAGMA foreign_keys = ON")
        for write, seen in zip(WRITES, SEEN, strict=True):
            application.execute(write)
            assert look() == seen
            assert look() == {}
        assert application.execute("INSERT INTO tasks (title) VALUES ('x')").lastrowid == 2
        assert application.execute("UPDATE tasks SET title = 'y' WHERE id = 2").rowcount == 1


def test_the_same_writes_are_told_alike_by_d1(copy: apsw.Connection, runtime: Runtime) -> None:
    tables = reflect(copy).tables
    with runtime.client() as client:
        d1 = D1(client, "parity-watching")
        statements = [part for part in (*TABLES.split(";\n"), WIDE) if part.strip()]
        d1.batch([*statements, *watching.statements(tables)])
        look = watching.watch(lambda sql: d1.query(sql).rows, tables)
        for write, seen in zip(WRITES, SEEN, strict=True):
            d1.batch([write])
            assert look() == seen


# -- who must be asked

BOTH = {"source_url": "http://127.0.0.1:1", "worker_url": "http://127.0.0.1:2"}


def named(environment: str, corpus: str = "c.jsonl", **urls: str) -> tuple[Any, Any]:
    params = SimpleNamespace(**{"source_url": "", "worker_url": "", "environment": environment, **urls})
    return params, SimpleNamespace(corpus=corpus)


@pytest.mark.parametrize("environment", ["local", "rehearsal", "staging", "production"])
def test_two_sides_with_a_corpus_must_be_asked_everywhere(environment: str) -> None:
    given = named(environment, **BOTH)
    assert lacking(*given) == ""
    assert "PA101" in required("05-validate", approved=True, surfaces=[sides(*given)])


@pytest.mark.parametrize(
    ("environment", "code"), [("local", ""), ("rehearsal", ""), ("staging", "PA106"), ("production", "PA106")]
)
@pytest.mark.parametrize("left_out", ["source_url", "worker_url", "corpus"])
def test_what_is_not_named_is_told_and_in_earnest_a_check(environment: str, code: str, left_out: str) -> None:
    given = named(environment, **{**BOTH, "corpus": "c.jsonl", left_out: ""})
    assert left_out in lacking(*given)
    asked = set(required("05-validate", approved=True, surfaces=[sides(*given)]))
    assert asked & {"PA101", "PA106"} == ({code} if code else set())


def bench(root: Path, **params: Any) -> Any:
    given = {
        "environment": "local",
        "on_this_machine": True,
        "source_is_server": False,
        "source_cache": "",
        "source_jobs": "",
        "system": "joan",
        **params,
    }
    return SimpleNamespace(params=SimpleNamespace(**given), root=root)


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ({"environment": "staging"}, "only in the environments local and rehearsal"),
        ({"environment": "production"}, "only in the environments local and rehearsal"),
        ({"on_this_machine": False}, "only in the environments local and rehearsal"),
        ({"source_is_server": True, "cloudflare_api": "http://127.0.0.1:9"}, "not the local runtime of this project"),
        ({"source_cache": "redis://x"}, "not of a file with servers beside it"),
        ({"source_jobs": "redis://x"}, "not of a file with servers beside it"),
        ({"system": "nobody"}, "no Worker in this project"),
    ],
)
def test_why_there_can_be_no_copies_is_said(params: Any, why: str) -> None:
    root = Path(__file__).resolve().parents[2]
    assert reason_against(bench(root)) == ""
    assert why in reason_against(bench(root, **params))


def test_a_rule_that_names_no_place_or_no_form_is_refused_with_the_plan() -> None:
    row = {"route": "GET /a", "path": "$.a", "as": "ignored", "reason": "because"}
    SystemMapping.model_validate({"traffic": {"parity": {"rules": (row,)}}}, strict=False)
    for wrong, what in (({"path": "a.b"}, "names no place"), ({"as": "sorted"}, "no such form")):
        with pytest.raises(ValueError, match=what):
            SystemMapping.model_validate({"traffic": {"parity": {"rules": ({**row, **wrong},)}}}, strict=False)


# -- the sides themselves, where there can be no copies

TRAFFIC = {
    "routes": [
        {"from": "GET /tasks"},
        {"from": "GET /tasks/{id}", "to": "GET /v2/tasks/{id}"},
        {"from": "POST /tasks"},
        {"from": "POST /search", "writes": False},
        {"from": "POST /login", "writes": False},
        {"from": "POST /report"},
        {"from": "GET /gone"},
    ],
    "application": {"kind": "openapi", "of": "openapi.json"},
    "left": {"GET /docs": "for developers"},
    "corpus": "corpus.jsonl",
    "samples": {"task": {"query": "SELECT 7"}},
    "tokens": {"me": {"route": "POST /login", "body": {"name": "ada", "password": "file:password"}, "at": "$.token"}},
    "parity": {"rules": [{"route": "GET /tasks", "path": "$.n", "as": "ignored", "reason": "because"}]},
}
MINE = {"authorization": "Bearer {token:me}"}
REQUESTS = (
    Recorded("GET /tasks", "GET", "/tasks", MINE, b"", "hand", expects=200),
    Recorded("GET /tasks/{id}", "GET", "/tasks/{id:task}", MINE, b"", "hand"),
    Recorded("POST /tasks", "POST", "/tasks", MINE, b"{}", "hand"),
    Recorded("POST /search", "POST", "/search", {}, b"{}", "hand"),
    Recorded("GET /docs", "GET", "/docs", {}, b"", "hand"),
    # recorded when the map still said that it only reads
    Recorded("POST /report", "POST", "/report", MINE, b"{}", "hand", declared=False),
)


class Bench:
    """As much of a workbench as parity asks for, with what it reports."""

    def __init__(self, root: Path, old: str, new: str) -> None:
        (root / "password").write_text("not so secret", encoding="utf-8")
        corpus.write(root / "corpus.jsonl", REQUESTS)
        self.root, self.checks, self.numbers, self.kept = root, [], {}, []
        self.params = SimpleNamespace(
            **{name: field.default for name, field in TrafficKeys.model_fields.items()}
            | {"source_url": old, "worker_url": new, "environment": "staging", "source_is_server": False}
        )
        mapping = SystemMapping.model_validate({"traffic": TRAFFIC}, strict=False)
        self.run = SimpleNamespace(mapping=mapping, add=self.checks.extend, judge=self._judge, number=self._number)
        self.state = SimpleNamespace(exporter=SimpleNamespace(db=apsw.Connection(":memory:")))
        self.sensitive, self.keep_differences = NOTHING, self.kept.append

    def _judge(self, found: Any, rules: Any, codes: Any) -> None:
        assert {one.code for one in found} <= set(codes)
        self.checks.extend(judge(found, rules, [], [], dt.date(2026, 1, 1)).checks)

    def _number(self, name: str, value: float, _: str) -> None:
        self.numbers[name] = value


def side(seen: list[str], **more: Any) -> Asked:
    def answer(method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        if path == "/login":
            return as_json({"token": f"token-for-{json.loads(body)['name']}"})
        if path == "/":  # is anybody there?
            return as_json({}, 404)
        expected = "" if path == "/search" else "Bearer token-for-ada"
        assert headers.get("authorization", "") == expected
        seen.append(f"{method} {path}")
        return as_json({"path": path.removeprefix("/v2"), **(more if path == "/tasks" else {})})

    return answer


def test_without_copies_the_sides_themselves_are_asked_and_only_what_reads(tmp_path: Path) -> None:
    on_old: list[str] = []
    on_new: list[str] = []
    with small_side(side(on_old, n=1)) as old, small_side(side(on_new, n=2)) as new:
        bench: Any = Bench(tmp_path, old, new)
        both = parity.prepare(bench)
        parity.ask(both, silent)
        assert on_old == ["GET /tasks"] * 2 + ["GET /tasks/7"] * 2 + ["POST /search"] * 2
        assert on_new == ["GET /tasks", "GET /v2/tasks/7", "POST /search"]
        parity.judge(both)
        measured = parity.measure(both, silent)
        bench.params.load_users, bench.params.load_seconds = 3, 2
        loaded = parity.load(both)
    assert both.asked == f"{old} and {new}, reading only"
    outcomes = {route.name: route.outcome for route in both.routes}
    same, left = Outcome.SAME, Outcome.NOT_EXERCISED
    assert outcomes == {
        "GET /tasks": same,
        "GET /tasks/{id}": same,
        "POST /tasks": left,
        "POST /search": same,
        "POST /login": left,
        "POST /report": left,
        "GET /gone": left,
    }
    failed = {(check.code, check.object) for check in bench.checks if check.verdict is Verdict.FAIL}
    assert failed == {("PA103", name) for name, outcome in outcomes.items() if outcome is left}
    assert {"POST /tasks", "POST /report"}.isdisjoint(on_old + on_new)
    assert loaded is not None
    assert loaded.total.errors == 0 < loaded.total.requests
    assert bench.numbers["load_requests"] == loaded.total.requests
    shown = [parity_panels.outcomes(both), parity_panels.told(both), parity_panels.latency(both, measured)]
    text = "\n".join(str(one) for one in (*shown, parity_panels.under_load(both, loaded)))
    for words in ("7 routes: 4 not exercised, 3 same", "no copies to write to", "95 of 100", "all routes", "3 users"):
        assert words in text


@pytest.mark.parametrize("environment", ["staging", "production", "rehearsal"])
def test_nobody_logs_in_by_a_route_that_writes_where_people_work(tmp_path: Path, environment: str) -> None:
    with small_side(side([])) as old, small_side(side([])) as new:
        bench: Any = Bench(tmp_path, old, new)
        rows = [row for row in TRAFFIC["routes"] if row["from"] != "POST /login"]
        bench.run.mapping = SystemMapping.model_validate({"traffic": {**TRAFFIC, "routes": rows}}, strict=False)
        bench.params.environment, bench.params.on_this_machine = environment, False
        both = parity.prepare(bench)
        if environment == "rehearsal":
            parity.ask(both, silent)
            return
        with pytest.raises(BadInput, match=r"traffic\.tokens\.me: a login by POST /login writes.*writes: false"):
            parity.ask(both, silent)


def test_a_side_that_stops_answering_has_no_numbers(tmp_path: Path) -> None:
    with small_side(side([])) as old, small_side(side([])) as new:
        bench: Any = Bench(tmp_path, old, new)
        both = parity.prepare(bench)
        parity.ask(both, silent)

        def gone(method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply | None:
            return side([])(method, path, headers, body) if path in ("/", "/login") else None

        with small_side(gone) as silenced:
            bench.params.worker_url = silenced
            measured = parity.measure(both, silent)
    assert measured is not None
    assert (measured[1].milliseconds, measured[1].unanswered > 0) == ((), True)
    assert set(bench.numbers) == {"old_p50_ms", "old_p95_ms", "old_p99_ms"}


def test_a_sample_that_the_snapshot_refuses_is_named(tmp_path: Path) -> None:
    with small_side(side([])) as old, small_side(side([])) as new:
        bench: Any = Bench(tmp_path, old, new)
        traffic = {**TRAFFIC, "samples": {"task": {"query": "SELECT id FROM nowhere"}}}
        bench.run.mapping = SystemMapping.model_validate({"traffic": traffic}, strict=False)
        with pytest.raises(BadInput, match=r"traffic\.samples: the snapshot refuses a sample: no such table"):
            parity.ask(parity.prepare(bench), silent)


def test_what_is_lacking_is_said_in_every_panel_and_nothing_is_asked(tmp_path: Path) -> None:
    bench: Any = Bench(tmp_path, "", "http://127.0.0.1:9")
    both = parity.prepare(bench)
    parity.ask(both, silent)
    parity.judge(both)
    assert [(check.code, check.verdict) for check in bench.checks] == [("PA106", Verdict.FAIL)]
    measured, loaded = parity.measure(both, silent), parity.load(both)
    assert (measured, loaded) == (None, None)
    said = "Parity was not exercised: the params name no source_url."
    assert str(parity_panels.outcomes(both)) == str(parity_panels.latency(both, None)) == said
    assert str(parity_panels.under_load(both, None)) == parity_panels.NO_LOAD
    bench.params.load_users = 1
    assert str(parity_panels.under_load(both, None)) == said
    bench.params.environment = "local"
    bench.checks.clear()
    parity.judge(both)
    assert bench.checks == []


# -- the chart


def test_the_curves_have_their_numbers_and_a_sentence() -> None:
    chart = ecdf("T", "Two curves", [("old side", [float(n) for n in range(1, 101)]), ("new side", [2.0])], "ms")
    assert "Two curves" in chart.text
    assert chart.html.count("<img") == 1
    assert "data:image/svg+xml;base64," in chart.html
    for words in ("old side", "50.0", "95.0", "99.0", "p95, ms"):
        assert words in chart.text
    assert (
        ecdf("T", "Two curves", [("old side", [1.0])], "ms").html
        == ecdf("T", "Two curves", [("old side", [1.0])], "ms").html
    )


def test_a_side_without_an_answer_has_no_curve_and_no_numbers() -> None:
    chart = ecdf("T", "One curve", [("old side", [1.0]), ("new side", [])], "ms")
    assert "none" in chart.text
