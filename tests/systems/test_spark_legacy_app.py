"""Personality Spark's routes: quizzes, results, share cards, and the maintenance switch."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import pytest
from celery.exceptions import Reject
from helpers import serving
from helpers.spark import NAME, old_side
from helpers.waiting import until
from sqlalchemy import text

places, app = (import_module(f"{NAME}.{name}") for name in ("settings", "app"))
storage, tasks, quizzes = (import_module(f"{NAME}.{name}") for name in ("storage", "tasks", "routes.quizzes"))
maintenance = import_module(f"{NAME}.maintenance")
CARD = storage.draw_card("test", 8)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with old_side(tmp_path_factory.mktemp("spark")) as folder:
        yield folder


@pytest.fixture
def settings(data: Path) -> Iterator[Any]:
    yield places.Settings.of(data)
    (data / "maintenance.json").unlink(missing_ok=True)


@pytest.fixture
def served(settings: Any) -> Any:
    """The application itself."""
    return app.create_app(settings)


@pytest.fixture
def client(served: Any) -> Iterator[httpx.Client]:
    """A client of the application, served as `serve` does it."""
    with serving.served(served) as url, httpx.Client(base_url=url, timeout=60) as made:
        yield made


def ask(served: Any, query: str, **values: Any) -> Any:
    """The first row of a query."""
    with served.state.database.engine.connect() as connection:
        return tuple(connection.execute(text(query), values).one())


def newest_job(settings: Any, task: str) -> tuple[Any, ...]:
    """The arguments of the job that was sent last."""
    with settings.broker() as broker:
        message = json.loads(broker.lindex(tasks.queue_of(task), 0))
    assert message["headers"]["task"] == task
    return tuple(json.loads(base64.b64decode(message["body"]))[0])


def test_a_quiz_comes_from_the_cache(client: httpx.Client, settings: Any) -> None:
    with settings.cache() as cache:
        kept = cache.get("quiz:mood")
    answer = client.get("/generate/mood")
    assert (answer.status_code, answer.headers["X-Quiz-Source"], answer.content) == (200, "cache", kept)
    assert client.get("/generate/tarot").status_code == 400


def test_a_quiz_that_is_not_cached_is_made_once(client: httpx.Client, settings: Any) -> None:
    with settings.cache() as cache:
        cache.delete("quiz:quick")
        first = client.get("/generate/quick")
        assert (first.headers["X-Quiz-Source"], first.json()["generator"]) == ("stub", "stub")
        assert 3_590 < cache.ttl("quiz:quick") <= 3_600
    again = client.get("/generate/quick")
    assert (again.headers["X-Quiz-Source"], again.json()) == ("cache", first.json())


def test_results_are_saved_and_listed(client: httpx.Client, served: Any, settings: Any) -> None:
    id = str(ask(served, "SELECT id FROM users ORDER BY id DESC LIMIT 1")[0])
    body = {"user_id": id, "quiz_type": "big5", "results": {"big": 2**60}, "tags": ['a"b', "ü"], "seconds": 75}
    made = client.post("/results", json=body)
    assert made.status_code == 201
    assert newest_job(settings, tasks.COMPLETED) == (made.json()["id"], 75)
    listed = client.get("/results", params={"user_id": id, "limit": 1}).json()
    assert listed == [made.json()]
    assert (listed[0]["results"], listed[0]["tags"]) == (body["results"], body["tags"])
    nobody = body | {"user_id": "00000000-0000-4000-8000-000000000000"}
    assert client.post("/results", json=nobody).status_code == 409
    assert client.post("/results", json=body | {"quiz_type": ""}).status_code == 422
    assert client.post("/results", json=body | {"admin": True}).status_code == 422
    guest = client.post("/results", json={"quiz_type": "daily", "results": {}})
    assert (guest.status_code, guest.json()["user_id"]) == (201, None)


def test_a_card_is_shared(client: httpx.Client, served: Any, settings: Any) -> None:
    result = client.post("/results", json={"quiz_type": "daily", "results": {"headline": "x"}}).json()["id"]
    made = client.post(f"/shares/{result}", content=CARD)
    assert made.status_code == 201
    id, url = made.json()["id"], made.json()["url"]
    assert url == f"https://cdn.personalityspark.com/static/shares/{id}.png"
    assert (settings.shares / f"{id}.png").read_bytes() == CARD
    assert newest_job(settings, tasks.SHARED) == (result, "upload")
    shown = client.get(f"/static/shares/{id}.png")
    assert (shown.content, shown.headers["Content-Type"]) == (CARD, "image/png")
    assert shown.headers["Cache-Control"] == "public, max-age=31536000"
    query = (
        "SELECT shared, results #>> '{share,url}', path FROM quiz_results r "
        "JOIN share_cards c ON r.id = quiz_result_id WHERE r.id = :id"
    )
    assert ask(served, query, id=result) == (True, url, f"shares/{id}.png")


def test_what_is_no_card_is_refused(client: httpx.Client, settings: Any) -> None:
    before = sorted(settings.shares.iterdir())
    nothing = "00000000-0000-4000-8000-000000000000"
    assert client.post(f"/shares/{nothing}", content=b"GIF89a").status_code == 415
    assert client.post(f"/shares/{nothing}", content=CARD).status_code == 404
    assert client.post(f"/shares/{nothing}", content=CARD + bytes(settings.largest_upload)).status_code == 413
    assert client.get("/static/shares/nothing.png").status_code == 404
    assert client.get("/static/shares/%2e%2e").status_code == 404
    assert client.get("/static/shares/..%2fmaintenance.json").status_code == 404
    assert sorted(settings.shares.iterdir()) == before
    with pytest.raises(ValueError, match="outside shares"):
        storage.located(settings.data, "shares/../postgresql/password")


def test_the_switch_stops_writes_and_not_reads(client: httpx.Client, settings: Any) -> None:
    assert client.get("/health").json() == {"maintenance": False, "writes_in_flight": 0}
    with settings.cache() as cache:
        cache.delete("quiz:daily")
        maintenance.MaintenanceSwitch(settings.maintenance_switch).freeze("a test")
        refused = client.post("/results", json={"quiz_type": "daily", "results": {}})
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "60")
        assert "maintenance" in refused.json()["detail"]
        made = client.get("/generate/daily")
        assert (made.status_code, made.headers["X-Quiz-Source"]) == (200, "stub")
        assert not cache.exists("quiz:daily")
    assert client.get("/health").json() == {"maintenance": True, "writes_in_flight": 0}
    maintenance.MaintenanceSwitch(settings.maintenance_switch).thaw()
    assert client.post("/results", json={"quiz_type": "daily", "results": {}}).status_code == 201


def test_writes_under_way_are_counted(client: httpx.Client, served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    entered, go_on = threading.Event(), threading.Event()

    def slow(*_: object, **__: object) -> None:
        entered.set()
        assert go_on.wait(30)

    monkeypatch.setattr(served.state.celery, "send_task", slow)
    writing = threading.Thread(
        target=client.post, args=("/results",), kwargs={"json": {"quiz_type": "x", "results": {}}}
    )
    writing.start()
    assert entered.wait(30)
    assert client.get("/health").json()["writes_in_flight"] == 1
    go_on.set()
    writing.join()
    # the count falls after the answer has gone out, which is the safe side for a freeze
    until(lambda: client.get("/health").json()["writes_in_flight"] == 0, "a write is counted for ever")


def test_the_tasks_do_what_they_say(served: Any, settings: Any) -> None:
    celery = tasks.celery_app(settings)
    celery.tasks[tasks.COMPLETED]("abc", 12)
    celery.tasks[tasks.SHARED]("abc", "mail")
    celery.tasks[tasks.DIGEST]("somebody")
    assert ask(served, "SELECT count(*) FROM quiz_events WHERE payload ->> 'quiz_id' = 'abc'") == (2,)
    lost = str(ask(served, "SELECT id FROM share_cards WHERE path LIKE '%105f.png'")[0])
    celery.tasks[tasks.RENDER](lost)
    assert (settings.shares / f"{lost}.png").read_bytes().startswith(storage.SIGNATURE)
    served.state.switch.freeze("a test")
    with pytest.raises(Reject, match="maintenance"):
        celery.tasks[tasks.COMPLETED]("abc", 12)
    assert ask(served, "SELECT count(*) FROM quiz_events WHERE payload ->> 'quiz_id' = 'abc'") == (2,)
    celery.close()
    served.state.database.close()
