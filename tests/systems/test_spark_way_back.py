"""Personality Spark goes over, her new side works, and 07-roll-back brings cache, queue and files to the old one."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module

import pytest
from helpers.project import Ran
from helpers.spark import HTTP, NAME, Spark, spark
from helpers.spark_reading import queued, unlike_cards, unlike_keys, unlike_rows
from helpers.spark_rows import NEWCOMER, write_rows
from helpers.waiting import enough, until

LATER = "2035-06-01T00:00:00Z"
EMBED = '{"callbacks": null, "errbacks": null, "chain": null, "chord": null}'
CARD = import_module(f"{NAME}.storage").draw_card("written on the new side", 8)


@dataclass(frozen=True)
class Crossed:
    """A project that went over, worked on the new side, and came back."""

    project: Spark
    before: dict[str, tuple[str, str]]  # what Celery's broker held
    unread: list[bytes]  # and what of it nobody can read
    quiz: bytes  # what the cache held as quiz:daily
    made: dict[str, str]  # what the new side made: ids
    stopped: Ran  # 07-roll-back while something stood in the way
    left: dict[bytes, bytes]  # what it left in the cache
    ran: Ran  # and when nothing did


@pytest.fixture(scope="module")
def crossed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crossed]:
    with spark(tmp_path_factory.mktemp("back") / "spark") as project:
        ran = project.run()
        assert ran.code == 0, ran.text
        before, unread = queued(project), parked(project)
        with project.cache() as cache:
            quiz = cache.get("quiz:daily")
        made = work(project)
        with project.cache() as cache:
            limits = cache.get("config:limits")
            cache.set("config:limits", "mine")
            project.put("config:limits", "theirs")
            stopped = project.phases("07-roll-back")
            left = {key: cache.get(key) for key in (b"config:limits", b"quiz:daily")}
            cache.set("config:limits", limits)
        for table in ("received_jobs_dead", "job_states"):
            project.target(f"DELETE FROM {table} WHERE id = 'new-dead'")
        yield Crossed(project, before, unread, quiz, made, stopped, left, project.phases("07-roll-back"))


def parked(project: Spark) -> list[bytes]:
    """Messages of which no body is JSON."""
    with project.broker() as client:
        readable = queued(project).keys()
        found = [raw for queue in ("celery", "analytics") for raw in client.lrange(queue, 0, -1)]
    return sorted(raw for raw in found if json.loads(raw)["headers"]["id"] not in readable)


def work(project: Spark) -> dict[str, str]:
    """What the new side does after the cutover, by its own routes where it has them."""
    write_rows(project)
    address = f"http://127.0.0.1:{project.port}"
    session, leader = sorted(key for key in project.names() if key.startswith("session:"))[:2]
    bulk = [{"key": "leaderboard:weekly", "value": '[["ana", "1.5"], ["ben", "7"]]'}]
    bulk.append({"key": leader, "value": '{"user": "ben", "theme": "dark"}', "expiration": int(time.time()) + 900})
    assert HTTP.put(f"{project.kv}/bulk", json=bulk).status_code == 200
    assert HTTP.post(f"{project.kv}/bulk/delete", json=["quiz:daily", session]).status_code == 200
    quiz = HTTP.get(f"{address}/generate/daily")
    assert (quiz.status_code, quiz.headers["x-quiz-source"]) == (200, "stub")
    result = HTTP.post(f"{address}/results", json={"quiz_type": "daily", "results": {"a": 1}, "seconds": 9}).json()
    card = HTTP.post(f"{address}/shares/{result['id']}", content=CARD)
    assert card.status_code == 201, card.text
    task = {"queue": "celery", "task": "mail.send_weekly_digest", "body": f'[["somebody"], {{}}, {EMBED}]'}
    token = {"Authorization": f"Bearer {project.runtime.worker_token.reveal()}"}
    jobs = [{"id": "new-later", "eta": LATER, **task}, {"id": "new-dead", **task, "task": "mail.unknown"}]
    assert HTTP.post(f"{address}/enqueue", json=jobs, headers=token).status_code == 202
    for sql in ("FROM received_jobs WHERE id = 'new-later'", "FROM received_jobs_dead WHERE id = 'new-dead'"):
        until(lambda sql=sql: project.target(f"SELECT id {sql}"), f"nothing arrived {sql}")
    new = f"SELECT id FROM received_jobs WHERE body LIKE '%{result['id']}%'"
    enough(lambda: project.target(new), 2, "the jobs about the result did not arrive")
    return {"session": session, "leader": leader, "result": result["id"], "card": card.json()["id"], "quiz": quiz.text}


def test_what_stands_in_the_way_is_named_and_nothing_is_carried(crossed: Crossed) -> None:
    project = crossed.project
    assert crossed.stopped.code == 2, crossed.stopped.text
    assert "nothing was carried back, because CU213 keys fails: 1: config:limits: Redis was written to" in (
        crossed.stopped.text
    )
    failed = {(check["code"], check["object"]): check["keys"] for check in project.failed("07-roll-back")}
    assert failed.keys() == {("CU213", "keys"), ("CU215", "jobs")}
    assert failed["CU215", "jobs"][0].startswith("new-dead: its task is not one of jobs.tasks")
    assert crossed.left == {b"config:limits": b"mine", b"quiz:daily": crossed.quiz}


def test_it_passes_and_says_what_it_carried(crossed: Crossed) -> None:
    assert crossed.ran.code == 0, crossed.ran.text
    found = crossed.project.result("07-roll-back.2")
    numbers = {number["name"]: number["value"] for number in found["numbers"]}
    assert numbers["keys_to_carry_back"] == 5
    assert numbers["files_to_carry_back"] == 1
    codes = {check["code"] for check in found["checks"]}
    assert {"CU213", "CU214", "CU215", "CU216"} <= codes
    assert not crossed.project.switch.exists()


def test_the_rows_of_every_table_are_the_targets(crossed: Crossed) -> None:
    project = crossed.project
    assert unlike_rows(project) == []
    assert project.ask(f"SELECT valid_until::text, net::text FROM purchases WHERE user_id = '{NEWCOMER}'") == [
        ("infinity", "9.89")
    ]
    parked = "SELECT count(*) FROM quiz_analytics WHERE completion_rate = 'NaN'"
    assert project.ask(parked) == [(1,)]
    fractions = "SELECT count(*) FROM users WHERE date_trunc('second', created_at) <> created_at"
    assert project.ask(fractions) == [(5,)], "what unix seconds have no room for is still there"


def test_the_cache_is_the_namespace(crossed: Crossed) -> None:
    project, made = crossed.project, crossed.made
    assert unlike_keys(project) == []
    with project.cache() as cache:
        assert cache.get("quiz:daily").decode() == made["quiz"]
        assert 0 < cache.ttl("quiz:daily") <= 3600
        assert cache.exists(made["session"]) == 0
        assert cache.hgetall(made["leader"]) == {b"user": b"ben", b"theme": b"dark"}
        assert 0 < cache.ttl(made["leader"]) <= 900
        assert cache.get("config:limits") == b"theirs"
        assert cache.zrange("leaderboard:weekly", 0, -1, withscores=True) == [(b"ana", 1.5), (b"ben", 7.0)]


def test_each_job_is_on_one_side(crossed: Crossed) -> None:
    project = crossed.project
    states = "SELECT id FROM job_states WHERE ran_at IS {}"
    ran = {row[0] for row in project.target(states.format("NOT NULL"))}
    left = {row[0] for row in project.target(states.format("NULL AND returned_at IS NOT NULL"))}
    there = queued(project)
    assert there.keys() == left
    assert crossed.before.keys() - there.keys() == ran & crossed.before.keys()
    assert there.keys() - crossed.before.keys() == {"new-later"}
    assert {id: there[id] for id in there.keys() & crossed.before.keys()}.items() <= crossed.before.items()
    assert len(ran & crossed.before.keys()) > 30
    assert len(left & crossed.before.keys()) > 3  # scheduled for 2035
    assert parked(project) == crossed.unread


def test_the_cards_are_back_in_the_folder_and_every_row_has_its_file(crossed: Crossed) -> None:
    project = crossed.project
    assert (project.data / f"shares/{crossed.made['card']}.png").read_bytes() == CARD
    assert unlike_cards(project) == []
    rows = project.ask(f"SELECT path FROM share_cards WHERE quiz_result_id = '{crossed.made['result']}'")
    assert rows == [(f"shares/{crossed.made['card']}.png",)]


def test_the_old_application_goes_on_with_it(crossed: Crossed) -> None:
    """Its own code reads what came back, and works on."""
    crossed.project.live(7)
