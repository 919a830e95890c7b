"""Each rule about routes and about source finds its fixture, and nothing else does."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from helpers.fires import fires

from towpath.checks import Decision, Severity, Verdict, judge
from towpath.errors import BadInput
from towpath.routes.corpus import Recorded
from towpath.routes.fitness import fitness
from towpath.routes.mapped import Mapped, Row, exercised, mapped
from towpath.routes.route import Route
from towpath.routes.rules import RULES

GET, POST = Route("GET", "/tasks/{id}", "one", "bearer"), Route("POST", "/tasks")
SAME = [Row("GET /tasks/{id}", "GET /tasks/{task}", "bearer"), Row("POST /tasks", "POST /tasks")]
ONE = Recorded("GET /tasks/{id}", "GET", "/tasks/{id:task}", {}, b"", "har")


def codes(found: Mapped) -> set[str]:
    return {one.code for one in found.findings}


def test_a_route_under_its_own_name_is_no_finding() -> None:
    found = mapped([GET, POST], SAME, {})
    assert found.findings == ()
    assert found.complete
    assert [(route.title, row) for route, row in found.pairs] == [(GET.title, SAME[0]), (POST.title, SAME[1])]


@fires("RT101")
def test_a_route_without_a_row() -> Iterable[str]:
    found = mapped([GET, POST], SAME[:1], {})
    assert not found.complete
    return codes(found)


@fires("RT102")
def test_a_row_without_a_route() -> Iterable[str]:
    found = mapped([GET], SAME, {})
    assert not found.complete
    assert [one.object for one in mapped([GET], SAME[:1], {"GET /gone": "why"}).findings] == ["GET /gone"]
    return codes(found)


@fires("RT103")
def test_another_path_and_another_method() -> Iterable[str]:
    moved = [Row("GET /tasks/{id}", "GET /v2/tasks/{id}", "bearer"), Row("POST /tasks", "PUT /tasks")]
    found = mapped([GET, POST], moved, {})
    assert [one.object for one in found.findings] == ["GET /tasks/{id}", "POST /tasks"]
    return codes(found)


@fires("RT104")
def test_another_login() -> Iterable[str]:
    found = mapped([GET], [Row("GET /tasks/{id}", "GET /tasks/{id}", "cookie")], {})
    assert "bearer becomes cookie" in found.findings[0].message
    return codes(found)


@fires("RT105", "RT103")
def test_two_routes_that_become_one() -> Iterable[str]:
    other = Route("POST", "/todo")
    rows = [SAME[1], Row("POST /todo", "POST /tasks")]
    return codes(mapped([POST, other], rows, {}))


@fires("RT106")
def test_a_route_that_stays_behind() -> Iterable[str]:
    found = mapped([GET, POST], SAME[:1], {"POST /tasks": "nobody creates any"})
    assert "nobody creates any" in found.findings[0].message
    assert found.complete
    return codes(found)


@fires("RT107")
def test_a_route_that_answers_whatever_comes() -> Iterable[str]:
    return codes(mapped([Route("ANY", "/x")], [Row("ANY /x", "ANY /x")], {}))


@fires("RT110")
def test_a_route_whose_method_misleads() -> Iterable[str]:
    row = Row("GET /tasks/{id}", "GET /tasks/{id}", "bearer", True)
    assert codes(mapped([POST], [Row("POST /tasks", "POST /tasks", writes=False)], {})) == {"RT110"}
    assert codes(mapped([POST], [Row("POST /tasks", "POST /tasks", writes=True)], {})) == set()
    return codes(mapped([GET], [row], {}))


@fires("RT108")
def test_a_route_that_nobody_recorded() -> Iterable[str]:
    counted, found = exercised([GET, POST], ["POST /tasks"], [], ["id:task"])
    assert counted == {GET.title: 0, POST.title: 0}
    assert [one.object for one in found] == [GET.title]
    return {one.code for one in found}


@fires("RT109")
def test_a_request_of_another_route() -> Iterable[str]:
    strange = [
        Recorded("GET /gone", "GET", "/gone", {}, b"", "har"),
        Recorded(POST.title, "GET", "/tasks/7", {}, b"", "har"),
    ]
    counted, found = exercised([GET, POST], [POST.title], [ONE, *strange], ["id:task"])
    assert counted == {GET.title: 1, POST.title: 0}
    assert [(one.object, one.samples) for one in found] == [("GET /gone", ("line 2",)), (POST.title, ("line 3",))]
    return {one.code for one in found}


@fires("RT111")
def test_a_placeholder_without_a_value() -> Iterable[str]:
    _, found = exercised([GET], [], [ONE], ["id:other"])
    assert found[0].object == "{id:task}"
    return {one.code for one in found}


def test_what_changes_wants_a_decision_and_the_source_only_tells() -> None:
    decided = [code for code, rule in RULES.items() if rule.severity is Severity.DECIDE]
    assert decided == ["RT103", "RT104", "RT105"]
    found = mapped([POST], [Row("POST /tasks", "POST /todo")], {}).findings
    today = __import__("datetime").date(2026, 11, 21)
    assert judge(found, RULES, [], [], today).checks[0].verdict is Verdict.FAIL
    answered = [Decision("RT103", "POST /tasks", "alias", "both names are answered")]
    assert judge(found, RULES, answered, [], today).checks[0].verdict is Verdict.PASS
    assert all(rule.severity is Severity.WARN for code, rule in RULES.items() if code > "RT200")


SOURCES = {
    "RT201": ["import subprocess as sp\nsp.run(['ls'])", "from os import system\nsystem('ls')"],
    "RT202": [
        "URL = 'redis://127.0.0.1:6379/0'",
        "import httpx\nhttpx.get('http://localhost:9000/x')",
        "from redis import Redis\nRedis(port=6380)",
    ],
    "RT203": [
        "open('a', 'w')",
        "open('a', mode='ab')",
        "def f(path): path.write_text('x')",
        "def f(path): path.open('x')",
        "import os\nos.makedirs('a')",
    ],
    "RT204": ["import tempfile\ntempfile.mkdtemp()", "from tempfile import NamedTemporaryFile as N\nN()"],
    "RT205": ["import bcrypt\nbcrypt.hashpw(b'x', b'y')", "import hashlib\nhashlib.pbkdf2_hmac('sha256', b'', b'', 1)"],
    "RT206": ["from PIL import Image", "import numpy as np"],
    "RT207": ["import threading\nthreading.Thread()", "import asyncio\nasync def f(): await asyncio.to_thread(f)"],
    "RT208": ["import socket\nsocket.create_connection(('example.org', 25))", "import smtplib"],
    "RT209": [
        "SEEN = {}\ndef f(x):\n    SEEN[x] = 1",
        "SEEN = []\ndef f(x):\n    SEEN.append(x)",
        "N = 0\ndef f():\n    global N\n    N += 1",
        "import functools\n@functools.lru_cache(maxsize=9)\ndef f(x): return x",
    ],
    "RT210": ["class Config:\n    beat_schedule = {}", "import apscheduler.schedulers.background"],
    "RT211": ["while True:\n    print()", "def f(db):\n    for row in db.execute('…').fetchall(): print(row)"],
    "RT212": ["print 'Python 2'"],
}
CASES = [(code, source) for code, sources in SOURCES.items() for source in sources]


@pytest.mark.parametrize(("code", "source"), CASES)
def test_exactly_this_is_found_in_the_source(code: str, source: str, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(source, encoding="utf-8")
    found = fitness(tmp_path).findings
    assert [one.code for one in found] == [code]
    assert found[0].samples[0].startswith("app.py:")


@pytest.mark.parametrize(
    "source",
    [
        "open('a')\nopen('a', 'rb')",
        "def f(path): path.open()\ndef g(path): path.read_text()",
        '"""It listens on localhost: see http://127.0.0.1/."""',
        "URL = 'https://localhost.example.org/'",
        "import redis\nredis.Redis(host=HOST)\nredis.Redis(*given)",
        "def f():\n    seen = {}\n    seen['x'] = 1\n    seen.update(a=1)",
        "NAMES = ['a']\ndef f(): return NAMES[0]",
        "async def f(queue):\n    while True:\n        await queue.get()",
        "def f(file):\n    while True:\n        if not file.read(1): break",
        "from .subprocess import run\nrun()",
        "def f(run): run.subprocess.call()",
    ],
)
def test_what_a_worker_can_do_is_no_finding(source: str, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(source, encoding="utf-8")
    assert fitness(tmp_path).findings == ()


def test_lines_are_told_and_what_serves_nothing_is_left(tmp_path: Path) -> None:
    for name in ("app.py", "tools/seed.py", ".venv/x.py", "node_modules/y.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x = 1\nimport os\nos.system('ls')\nos.system('ls')\n", encoding="utf-8")
    found = fitness(tmp_path, ["tools/*"])
    assert (found.files, found.lines) == (1, 4)
    assert found.findings[0].samples == ("app.py:3 os.system", "app.py:4 os.system")
    assert found.findings[0].count == 2
    with pytest.raises(BadInput, match="is no folder"):
        fitness(tmp_path / "none")


def test_nothing_of_the_source_is_run(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("raise SystemExit('it was run')", encoding="utf-8")
    assert fitness(tmp_path).files == 1
