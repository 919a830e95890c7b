"""Personality Spark's two sides over the same data: the old application, and the new Worker in Cloudflare's runtime.

Each request goes to both, and the answers are held against each other; runbook.md lists where they may differ.
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import httpx
import pytest
import yaml
from helpers.serving import served
from helpers.spark import NAME, Spark, spark
from helpers.spark_reading import NEW, OLD, SELECTED, wanted_rows
from helpers.waiting import until

from towpath.tables import fence

app, storage, tasks, maintenance = (
    import_module(f"{NAME}.{name}") for name in ("app", "storage", "tasks", "maintenance")
)
BEFORE = ("00-ready", "01-inventory", "02-schema", "03-export", "04-import")
CARD = storage.draw_card("test", 8)
NOBODY = "00000000-0000-4000-8000-000000000000"
JSON = {"Content-Type": "application/json"}
TOLD = ("content-type", "cache-control", "x-quiz-source", "allow", "retry-after", "accept-ranges", "content-range")
BODY = {
    "quiz_type": "big5",
    "results": {"b": 1, "10": [True, None, 0.5], "a": {"big": 2**60, "ü": 'say "hi"\n'}, "share": 1e16},
    "tags": ['a"b', "ü", "\u2028"],
    "seconds": 75,
}


@dataclass(frozen=True)
class Sides:
    """Both sides, each with a client of its own."""

    project: Spark
    old: httpx.Client
    new: httpx.Client

    def ask(self, method: str, path: str, **other: Any) -> tuple[httpx.Response, httpx.Response]:
        """The same request to both."""
        return self.old.request(method, path, **other), self.new.request(method, path, **other)

    def same(self, method: str, path: str, **other: Any) -> httpx.Response:
        """Ask both and demand the same status, body and headers; the new side's answer."""
        old, new = self.ask(method, path, **other)
        assert told(new) == told(old)
        return new


def told(answer: httpx.Response) -> tuple[int, dict[str, str], bytes]:
    """What a client is told; addresses of cards are the new ones after the move."""
    headers = {name: answer.headers[name] for name in TOLD if name in answer.headers}
    return answer.status_code, headers, answer.content.replace(OLD.encode(), NEW.encode())


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sides]:
    with spark(tmp_path_factory.mktemp("worker") / "spark") as project:
        ran = project.phases(*BEFORE)
        assert ran.code == 0, ran.text
        options: dict[str, Any] = {"timeout": 60, "trust_env": False}
        with (
            served(app.create_app(project.settings)) as url,
            httpx.Client(base_url=url, **options) as old,
            httpx.Client(base_url=project.runtime.url, **options) as new,
        ):
            yield Sides(project, old, new)


def eventually(project: Spark, sql: str) -> list[list[Any]]:
    """Rows that a message brings."""
    return until(lambda: project.target(sql), f"nothing arrived: {sql}")


def newest_job(project: Spark) -> tuple[str, str]:
    """Task and body of the job that the old side sent last."""
    with project.broker() as broker:
        message = json.loads(broker.lindex("analytics", 0))
    return message["headers"]["task"], base64.b64decode(message["body"]).decode()


# -- reading


def test_everybodys_results_are_the_same(sides: Sides) -> None:
    seconds = "SELECT DISTINCT user_id::text FROM quiz_results WHERE created_at <> date_trunc('second', created_at)"
    untyped = "SELECT DISTINCT user_id::text FROM quiz_results WHERE quiz_type IS NULL"
    # what the new schema cannot say: a fraction of a second, and no type
    unlike = {row[0] for row in sides.project.ask(f"{seconds} UNION {untyped}")}
    users = [row[0] for row in sides.project.ask("SELECT DISTINCT user_id::text FROM quiz_results") if row[0]]
    assert len(set(users) - unlike) > 50
    for user in set(users) - unlike:
        sides.same("GET", f"/results?user_id={user}&limit=100")
    for user in unlike:
        old, new = (answer.json() for answer in sides.ask("GET", f"/results?user_id={user}&limit=100"))
        for result in old:
            result["created_at"] = re.sub(r"\.\d+Z", "Z", result["created_at"])
            result["quiz_type"] = result["quiz_type"] or "daily"
        assert {one["id"]: one for one in new} == {one["id"]: one for one in json.loads(json.dumps(old))}


def test_every_card_is_the_same_and_what_is_none_is_not_found(sides: Sides) -> None:
    names = [path.name for path in sides.project.settings.shares.iterdir()]
    assert len(names) > 10
    for name in [*names, "none.png", "a%2Fb", ""]:
        sides.same("GET", f"/static/shares/{name}")


def test_a_part_of_a_card_is_the_same(sides: Sides) -> None:
    card = min(sides.project.settings.shares.iterdir())
    for part in ("0-", "2-5", "-4", "0-999999"):
        assert sides.same("GET", f"/static/shares/{card.name}", headers={"Range": f"bytes={part}"}).status_code == 206
    answers = sides.ask("GET", f"/static/shares/{card.name}", headers={"Range": "bytes=999999-"})
    none = (416, f"bytes */{card.stat().st_size}")
    assert [(one.status_code, one.headers["content-range"]) for one in answers] == [none, none]


def test_a_cached_quiz_is_the_same(sides: Sides) -> None:
    for kind in ("big5", "daily", "quick", "mood"):
        assert sides.same("GET", f"/generate/{kind}").headers["x-quiz-source"] == "cache"


REFUSED: tuple[tuple[str, str, Any], ...] = (
    ("GET", "/health", None),
    ("GET", "/nowhere", None),
    ("POST", "/health", None),
    ("DELETE", "/results", None),
    ("HEAD", "/results", None),
    ("OPTIONS", "/generate/mood", None),
    ("GET", f"/shares/{NOBODY}", None),
    ("POST", "/shares/", None),
    ("GET", "/generate/tarot", None),
    ("GET", "/generate/a/b", None),
    ("POST", "/shares/x", CARD),
    ("POST", f"/shares/{NOBODY}", b"GIF89a"),
    ("POST", f"/shares/{NOBODY}", b""),
    ("POST", f"/shares/{NOBODY}", CARD),
    ("POST", f"/shares/{NOBODY}", CARD + bytes(5_000_000)),
    *(
        ("GET", f"/results?{query}", None)
        for query in (
            *(f"user_id={NOBODY}&limit={limit}" for limit in ("0", "101", "abc", "1.5", "2.0", "", "9" * 30, "1_0")),
            *(f"user_id={NOBODY}&limit={limit}" for limit in ("%2B5", "%205", "5&limit=0", "1__0", "٣", "1e1")),
            *(f"user_id={text}" for text in ("", "nobody", "abc", "-", "----", "%C3%BC", "{}", "{abc}", "0" * 36)),
            *(f"user_id={text}" for text in (NOBODY[:-1], f"{NOBODY}0", f"{NOBODY}-0", NOBODY.replace("4", ""))),
            *(f"user_id={text}" for text in (NOBODY.replace("-", ""), f"{{{NOBODY}}}", f"urn:uuid:{NOBODY}")),
            *(
                f"user_id={text}"
                for text in (f"{{{NOBODY[:-1]}}}", f"urn:uuid:{NOBODY[:-1]}", f"{{urn:uuid:{NOBODY}}}")
            ),
            "limit=zz",
            "",
        )
    ),
    *(
        ("POST", "/results", body if isinstance(body, bytes) else body.encode())
        for body in (
            "",
            "[]",
            "null",
            "1",
            b"\xff",
            *(f'{{"quiz_type": "mood", "results": {{"a": {"[" * deep}{"]" * deep}}}}}' for deep in (1_500, 20_000)),
            f'{{"quiz_type": "mood", "results": {{"a": {"1" * 4_301}}}}}',
            '{"quiz_type": "mood"}',
            '{"quiz_type": "", "results": []}',
            '{"quiz_type": "mood", "results": {}, "tags": [1, null], "seconds": -1, "user_id": 5, "x": 1}',
            '{"quiz_type": 5, "results": null, "tags": "a", "seconds": "x", "user_id": "q"}',
            '{"quiz_type": null, "results": {}, "tags": null, "seconds": 1.5}',
            '{"quiz_type": "mood", "results": {}, "seconds": []}',
            f'{{"quiz_type": "mood", "results": {{}}, "user_id": "{NOBODY}"}}',
        )
    ),
)


@pytest.mark.parametrize(("method", "path", "content"), REFUSED, ids=lambda value: str(value)[:60])
def test_what_is_refused_is_refused_in_the_same_words(
    sides: Sides, method: str, path: str, content: bytes | None
) -> None:
    sides.same(method, path, content=content, headers=JSON)


# -- writing


def mapped(project: Spark, table: str, id: str) -> list[Any]:
    """A row of the old side as mapping.yaml carries it over."""
    (row,) = (row for row in wanted_rows(project)[table] if row[0] == id)
    if table == "quiz_results":
        row[4] = project.ask(f"SELECT to_json(tags)::text FROM quiz_results WHERE id = '{id}'")[0][0]
    return row


def held(project: Spark, table: str, id: str) -> list[Any]:
    """A row of the new side."""
    (row,) = project.target(f"SELECT {SELECTED[table]} FROM {table} WHERE id = '{id}'")
    return row


def post(sides: Sides, **body: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The same new result on both sides."""
    old, new = sides.ask("POST", "/results", json=body)
    assert (old.status_code, new.status_code) == (201, 201)
    assert new.headers["content-type"] == old.headers["content-type"]
    return old.json(), new.json()


def but(value: Any, *names: str) -> Any:
    """An answer without what is each side's own."""
    return {name: kept for name, kept in value.items() if name not in names}


@pytest.mark.parametrize(
    "body",
    [
        BODY,
        {"quiz_type": "daily", "results": {}},
        {"quiz_type": "mood", "results": {"a": [1.5, 1000.0, 1e-7, 1.5e20, 0.1, -0.0, -2.5e-9]}, "seconds": 0},
        {"quiz_type": "quick", "results": {"\U0001f600": 1, "\uffff": 2, "é": 3, "ab": 4, "": 5}, "seconds": 86_400},
        {"quiz_type": "mood", "results": {"t": "\x01\x7f\t/\\"}, "tags": ["\x01/\\"], "seconds": 90_061},
        {"quiz_type": "mood", "results": {"a": 10**400, "__proto__": {"b": None}}, "seconds": "3_600"},
    ],
)
def test_the_same_result_gives_the_same_answer_row_and_job(sides: Sides, body: dict[str, Any]) -> None:
    project = sides.project
    (user,) = project.ask("SELECT id::text FROM users ORDER BY id DESC LIMIT 1")[0]
    old, new = post(sides, **body, user_id=user.upper())
    assert but(new, "id", "created_at") == but(old, "id", "created_at")
    assert [len(one["created_at"]) for one in (old, new)] == [20, 20]
    listed = sides.new.get("/results", params={"user_id": user, "limit": 100}).json()
    assert new in listed, "it reads as it was written"

    was, became = mapped(project, "quiz_results", old["id"]), held(project, "quiz_results", new["id"])
    assert became[1:6] == was[1:6], "byte for byte, JSON and interval too"
    assert (became[0], became[7]) == (new["id"], 0)
    task, sent = newest_job(project)
    ((queue, kept, text),) = eventually(
        project, f"SELECT queue, task, body FROM received_jobs WHERE body LIKE '%{new['id']}%'"
    )
    assert (queue, kept, text) == ("analytics", task, sent.replace(old["id"], new["id"]))


def test_a_card_gives_the_same_answer_rows_file_and_job(sides: Sides) -> None:
    project = sides.project
    results = [one["id"] for one in post(sides, **BODY)]
    old, new = (
        side.post(f"/shares/{id.upper()}", content=CARD)
        for side, id in zip((sides.old, sides.new), results, strict=True)
    )
    assert (new.status_code, new.headers["content-type"]) == (old.status_code, old.headers["content-type"])
    ids, urls = zip(*((one.json()["id"], one.json()["url"]) for one in (old, new)), strict=True)
    assert urls == (f"{OLD}shares/{ids[0]}.png", f"{NEW}shares/{ids[1]}.png")

    was, became = mapped(project, "quiz_results", results[0]), held(project, "quiz_results", results[1])
    assert became[2:6] == [*was[2:3], was[3].replace(ids[0], ids[1]), *was[4:6]]
    assert became[7] == was[7] == 1
    was, became = mapped(project, "share_cards", ids[0]), held(project, "share_cards", ids[1])
    assert became[:4] == [ids[1], results[1], f"shares/{ids[1]}.png", urls[1]]
    assert re.fullmatch(re.sub(r"\d", r"\\d", was[4]), became[4]), "a moment of the same form"

    shown = [side.get(f"/static/shares/{id}.png") for side, id in zip((sides.old, sides.new), ids, strict=True)]
    assert told(shown[1]) == told(shown[0])
    task, sent = newest_job(project)
    ((kept, text),) = eventually(
        project, f"SELECT task, body FROM received_jobs WHERE body LIKE '%{results[1]}%upload%'"
    )
    assert (kept, text) == (task, sent.replace(*results))


def test_a_quiz_that_is_not_cached_is_made_counted_and_cached_on_both_sides(sides: Sides) -> None:
    project, counts = sides.project, "SELECT count(*) FROM quiz_analytics WHERE quiz_type = 'quick'"
    before = project.ask(counts)[0][0], project.target(counts)[0][0]
    with project.cache() as cache:
        cache.delete("quiz:quick")
        httpx.delete(f"{project.kv}/values/quiz:quick", trust_env=False).raise_for_status()
        made = sides.same("GET", "/generate/quick")
        assert made.headers["x-quiz-source"] == "stub"
        assert cache.get("quiz:quick") == project.value("quiz:quick") == made.content
    assert 3000 < project.names()["quiz:quick"]["expiration"] - time.time() < 3660
    after = project.ask(counts)[0][0], project.target(counts)[0][0]
    assert [now - then for now, then in zip(after, before, strict=True)] == [1, 1]
    columns = "quiz_type, completion_rate, avg_time_seconds, share_rate, created_date"
    newest = f"SELECT {columns} FROM quiz_analytics ORDER BY id DESC LIMIT 1"
    (old,), (new,) = project.ask(newest), project.target(newest)
    assert new == [*old[:4], old[4].isoformat()]
    assert sides.same("GET", "/generate/quick").headers["x-quiz-source"] == "cache"


# -- the fence


@pytest.fixture
def closed(sides: Sides) -> Iterator[Sides]:
    """Both sides refuse writes: the fence is closed, the switch is on."""
    project, switch = sides.project, maintenance.MaintenanceSwitch(sides.project.switch)
    mapping = yaml.safe_load(project.runbook("mapping.yaml").read_text(encoding="utf-8"))
    with project.d1() as d1:
        fence.install(d1, exempt=mapping["tables"]["empty"])
    switch.freeze("a test")
    yield sides
    switch.thaw()
    with project.d1() as d1:
        fence.open(d1)
        assert sides.new.get("/health").json() == {"maintenance": False, "writes_in_flight": 0}
        fence.remove(d1)


def test_a_closed_fence_refuses_writes_before_anything_is_kept(closed: Sides) -> None:
    project = closed.project
    (result,) = project.target("SELECT id FROM quiz_results ORDER BY id LIMIT 1")[0]
    before = project.held()
    for path, body in (("/results", b'{"quiz_type": "mood", "results": {}}'), (f"/shares/{result}", CARD)):
        old, new = closed.ask("POST", path, content=body, headers=JSON)
        assert (new.status_code, new.json()) == (old.status_code, old.json())
        assert (new.status_code, new.headers["retry-after"]) == (503, "10")
    assert project.held() == before


def test_a_closed_fence_lets_readers_have_their_quiz(closed: Sides) -> None:
    project = closed.project
    with project.cache() as cache:
        cache.delete("quiz:big5")
    httpx.delete(f"{project.kv}/values/quiz:big5", trust_env=False).raise_for_status()
    before = project.held()
    for _ in range(2):
        assert closed.same("GET", "/generate/big5").headers["x-quiz-source"] == "stub"
    assert project.held() == before
    closed.same("GET", f"/results?user_id={NOBODY}")


def test_health_says_how_the_fence_stands(closed: Sides) -> None:
    assert closed.same("GET", "/health").json() == {"maintenance": True, "writes_in_flight": 0}


def test_jobs_arrive_through_a_closed_fence(closed: Sides) -> None:
    project = closed.project
    job = {"id": "through-the-fence", "queue": "celery", "task": tasks.DIGEST, "body": "[[], {}, {}]"}
    headers = {"Authorization": f"Bearer {project.runtime.worker_token.reveal()}"}
    assert closed.new.post("/enqueue", json=[job], headers=headers).status_code == 202
    assert eventually(project, f"SELECT id FROM received_jobs WHERE id = '{job['id']}'") == [[job["id"]]]
