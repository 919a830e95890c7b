"""Jobs carried back: a real Celery, a real Redis, the new Worker's own consumer in the real runtime."""

from __future__ import annotations

import datetime as dt
import json
import time
from pathlib import Path
from typing import Any

import pytest
import redis
from helpers import celery_side
from helpers.celery_side import DIGEST, GATES, SHARED
from helpers.waiting import until

from towpath import jobs
from towpath.cloudflare import D1
from towpath.errors import BadInput, CannotFinish
from towpath.jobs import Push, back
from towpath.jobs.envelope import celery_message
from towpath.jobs.message import Job, decode
from towpath.local.redis import RedisServer

QUEUES = ("celery", "analytics")
TASKS = (SHARED, DIGEST)
PAST, LATER = "2020-01-01T00:00:00+00:00", "2035-01-01T00:00:00+00:00"


@pytest.fixture
def d1(jobs_d1: D1) -> D1:
    """Here the database is the Worker's."""
    return jobs_d1


@pytest.fixture
def app(redis_server: RedisServer, redis_client: redis.Redis) -> Any:
    assert redis_client.dbsize() == 0
    return celery_side.celery_app(celery_side.url_of(redis_server))


def body(*args: Any) -> str:
    return json.dumps([args, {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}])


def item(id: str, *args: Any, task: str = SHARED, eta: str | None = None, **other: str) -> dict[str, str]:
    """A job as the new application enqueues it."""
    plain = {"id": id, "queue": "celery", "task": task, "body": body(*args), **other}
    return plain | ({"eta": eta} if eta else {})


def kept(d1: D1, id: str, *, sql: str = "SELECT ran_at, returned_at FROM job_states WHERE id = ?") -> list[Any]:
    """A row about a job, as soon as there is one."""
    return list(until(lambda: d1.query(sql, id).rows, f"{id} did not arrive")[0])


RAN = "SELECT id FROM job_states WHERE id = ? AND ran_at IS NOT NULL"
THERE = "SELECT id FROM received_jobs WHERE id = ?"
DEAD = "SELECT id FROM received_jobs_dead WHERE id = ?"


def find(d1: D1, redis_client: redis.Redis, manifest: jobs.Manifest | None = None) -> jobs.Back:
    return jobs.find_back(d1, redis_client, manifest, QUEUES, TASKS)


def carry(d1: D1, redis_client: redis.Redis, found: jobs.Back) -> int:
    return jobs.carry_jobs_back(d1, redis_client, found, now=int(time.time()))


def waiting(redis_client: redis.Redis, queue: str = "celery") -> list[str]:
    """The ids in a queue, in the order in which workers would take them."""
    return [decode(raw, queue).id for raw in reversed(redis_client.lrange(queue, 0, -1))]


def reserved(redis_client: redis.Redis) -> list[str]:
    """The ids of the jobs that a worker holds."""
    return [json.loads(raw)[0]["headers"]["id"] for raw in redis_client.hvals("unacked")]


def state_of(redis_client: redis.Redis) -> dict[bytes, Any]:
    return {key: redis_client.dump(key) for key in redis_client.scan_iter()}


# -- the envelope


def test_a_message_is_read_as_the_job_that_it_is() -> None:
    found = decode(celery_message("a", "celery", SHARED, body(1), LATER, "2036-01-01T00:00:00.5Z"), "celery")
    assert isinstance(found, Job)
    assert (found.id, found.task, found.body, found.protocol) == ("a", SHARED, body(1), 2)
    assert found.eta == dt.datetime(2035, 1, 1, tzinfo=dt.UTC)
    assert found.expires == dt.datetime(2036, 1, 1, 0, 0, 0, 500_000, tzinfo=dt.UTC)


def test_a_time_without_a_zone_is_utc_wherever_towpath_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        found = decode(celery_message("a", "celery", SHARED, body(1), "2035-01-01T00:00:00", None), "celery")
    finally:
        monkeypatch.undo()
        time.tzset()
    assert isinstance(found, Job)
    assert found.eta == dt.datetime(2035, 1, 1, tzinfo=dt.UTC)


def test_a_body_of_protocol_1_needs_no_headers() -> None:
    text = json.dumps({"id": "a", "task": SHARED, "args": [1], "kwargs": {}, "eta": LATER})
    found = decode(celery_message("a", "celery", SHARED, text, LATER, None), "celery")
    assert isinstance(found, Job)
    assert (found.protocol, found.body, found.eta is not None) == (1, text, True)


@pytest.mark.parametrize(
    ("text", "eta", "why"),
    [
        ("[1]", None, r"a: no worker of Celery could read it: the body is not \[args, kwargs, embed\]"),
        ("no JSON", None, "a: no worker of Celery could read it: the body is not JSON"),
        ('{"id": "b", "task": "t"}', None, "a: its body names another job"),
        ("[[], {}, {}]", "tomorrow", "eta: no time in ISO 8601: tomorrow"),
    ],
)
def test_what_no_worker_could_read_is_no_message(text: str, eta: str | None, why: str) -> None:
    with pytest.raises(BadInput, match=f"^{why}"):
        celery_message("a", "celery", SHARED, text, eta, None)


# -- finding and carrying


def test_each_job_goes_where_it_belongs(
    app: Any, redis_client: redis.Redis, push: Push, d1: D1, tmp_path: Path
) -> None:
    ran, later, lost = (app.send_task(SHARED, (n,)).id for n in range(3))
    scheduled = app.send_task(DIGEST, (3,), eta=dt.datetime(2035, 1, 1, tzinfo=dt.UTC)).id
    manifest = jobs.export(redis_client, QUEUES, tmp_path).manifest
    original = state_of(redis_client)
    push.send([item(ran, 0), item(scheduled, 3, task=DIGEST, eta=LATER)])
    push.send([item("new-later", 7, eta=LATER), item("new-ran", 8), item("new-dead", 9, task="analytics.unknown")])
    for id, sql in ((ran, RAN), ("new-ran", RAN), (scheduled, THERE), ("new-later", THERE), ("new-dead", DEAD)):
        kept(d1, id, sql=sql)
    found = jobs.find_back(d1, redis_client, manifest, QUEUES, (*TASKS, "analytics.unknown"))
    assert sorted(one.id for one in found.give) == ["new-dead", "new-later"]
    assert [one.id for one in found.take] == [ran]
    assert sorted(found.stay) == sorted([later, lost, scheduled])
    assert sorted(found.done) == sorted([ran, "new-ran"])
    assert (found.conflicts, found.over, found.consumers) == ((), (), ())
    assert state_of(redis_client) == original
    assert carry(d1, redis_client, found) == 3
    assert waiting(redis_client)[:3] == [later, lost, scheduled]
    assert sorted(waiting(redis_client)[3:]) == ["new-dead", "new-later"]
    proved = jobs.prove_jobs_back(d1, redis_client, found, QUEUES)
    assert (proved.jobs, proved.wrong) == (7, ())
    for id in (later, lost, scheduled, "new-later", "new-dead"):
        assert kept(d1, id)[1] is not None, id


def test_it_may_be_repeated(redis_client: redis.Redis, push: Push, d1: D1) -> None:
    push.send([item("later", 1, eta=LATER)])
    kept(d1, "later", sql=THERE)
    found = find(d1, redis_client)
    assert carry(d1, redis_client, found) == 1
    assert carry(d1, redis_client, found) == 1  # as one that was cut before it could say that it had come to its end
    assert waiting(redis_client) == ["later"]
    again = find(d1, redis_client)
    assert (again.give, again.stay) == ((), ("later",))
    redis_client.rpop("celery")  # a worker of the old side ran it
    after = find(d1, redis_client)
    assert (after.give, after.given, after.count) == ((), ("later",), 0)
    assert jobs.prove_jobs_back(d1, redis_client, after, QUEUES).wrong == ()


def test_a_job_that_stayed_and_was_run_by_the_old_side_is_not_pushed_again(
    app: Any, redis_client: redis.Redis, push: Push, d1: D1, tmp_path: Path
) -> None:
    id = app.send_task(SHARED, (1,), eta=dt.datetime(2035, 1, 1, tzinfo=dt.UTC)).id
    manifest = jobs.export(redis_client, QUEUES, tmp_path).manifest
    push.send([item(id, 1, eta=LATER)])
    kept(d1, id, sql=THERE)
    found = find(d1, redis_client, manifest)
    assert found.stay == (id,)
    carry(d1, redis_client, found)
    redis_client.rpop("celery")  # a worker of the old side ran it, and then the way back is begun again
    again = find(d1, redis_client, manifest)
    assert (again.give, again.stay, again.given, again.conflicts) == ((), (), (id,), ())
    assert carry(d1, redis_client, again) == 0
    assert jobs.prove_jobs_back(d1, redis_client, again, QUEUES).wrong == ()
    assert redis_client.llen("celery") == 0


def test_what_ran_is_taken_out_of_wherever_the_broker_holds_it(
    app: Any, redis_client: redis.Redis, push: Push, d1: D1, tmp_path: Path
) -> None:
    id = app.send_task(SHARED, (1,)).id
    raw = redis_client.lindex("celery", 0)
    other = app.send_task(SHARED, (2,)).id
    redis_client.lpush("celery\x06\x163", raw)  # the same job a second time
    plain = json.loads(raw)
    redis_client.hset("unacked", "tag", json.dumps([plain, "", "celery"]))
    redis_client.zadd("unacked_index", {"tag": 1.0})
    manifest = jobs.export(redis_client, QUEUES, tmp_path).manifest
    push.send([item(id, 1)])
    kept(d1, id, sql=RAN)
    found = find(d1, redis_client, manifest)
    assert [one.key for one in found.take] == ["celery", "celery\x06\x163", ""]
    assert carry(d1, redis_client, found) == 3
    assert (waiting(redis_client), redis_client.exists("unacked", "unacked_index", "celery\x06\x163")) == ([other], 0)


def test_conflicts_and_what_nobody_would_run(redis_client: redis.Redis, d1: D1) -> None:
    rows = [
        ("begun", "celery", SHARED, body(1), "begun_at", "1"),
        ("nowhere", "celery", SHARED, body(1), "eta", f"'{LATER}'"),
        ("elsewhere", "another", SHARED, body(1), "eta", f"'{LATER}'"),
        ("unknown", "celery", "a.task", body(1), "eta", f"'{LATER}'"),
        ("unreadable", "celery", SHARED, "[1]", "eta", f"'{LATER}'"),
        ("expired", "celery", SHARED, body(1), "expires", "'2020-01-01T00:00:00Z'"),
    ]
    for id, queue, task, text, column, value in rows:
        d1.query("INSERT INTO received_jobs VALUES (?, ?, ?, ?, 1)", id, queue, task, text)
        d1.batch([f"INSERT INTO job_states (id, {column}) VALUES ('{id}', {value})"])
    d1.batch(["DELETE FROM received_jobs WHERE id = 'nowhere'"])
    d1.batch(["INSERT INTO received_jobs_dead VALUES ('none', '', '', 'x', 'not a job', 1, 1)"])
    found = find(d1, redis_client)
    assert dict(found.conflicts) == {
        "begun": back.UNDER_WAY,
        "nowhere": back.UNKNOWN,
        "elsewhere": back.FOREIGN_QUEUE,
        "unknown": back.FOREIGN_TASK,
        "unreadable": "no worker of Celery could read it: the body is not [args, kwargs, embed]",
    }
    assert (found.over, found.give) == (("expired", "none"), ())


def test_a_job_that_is_taken_up_meanwhile_stops_it_and_nothing_is_pushed(redis_client: redis.Redis, d1: D1) -> None:
    d1.query("INSERT INTO received_jobs VALUES ('a', 'celery', ?, ?, 1)", SHARED, body(1))
    d1.batch([f"INSERT INTO job_states (id, eta) VALUES ('a', '{LATER}')"])
    found = find(d1, redis_client)
    d1.batch(["UPDATE job_states SET begun_at = 1"])
    with pytest.raises(CannotFinish, match="a consumer took up 1 jobs meanwhile, such as a"):
        carry(d1, redis_client, found)
    assert redis_client.dbsize() == 0


def test_a_way_back_that_is_cut_pushes_each_job_once(
    redis_client: redis.Redis, d1: D1, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [f"job-{number}" for number in range(5)]
    for id in ids:
        d1.query("INSERT INTO received_jobs VALUES (?, 'celery', ?, ?, 1)", id, SHARED, body(id))
        d1.query("INSERT INTO job_states (id, eta) VALUES (?, ?)", id, LATER)
    monkeypatch.setattr(back, "TOGETHER", 2)

    class KilledError(Exception):
        """Stands for the end of the process at this point."""

    def kill(_: int) -> None:
        raise KilledError

    with pytest.raises(KilledError):
        jobs.carry_jobs_back(d1, redis_client, find(d1, redis_client), kill, now=1)
    assert waiting(redis_client) == ids[:2]
    left = find(d1, redis_client)
    assert ([one.id for one in left.give], sorted(left.stay)) == (ids[2:], ids[:2])
    carry(d1, redis_client, left)
    assert waiting(redis_client) == ids


def test_the_proof_names_what_is_wrong(app: Any, redis_client: redis.Redis, d1: D1, tmp_path: Path) -> None:
    ran, gone = (app.send_task(SHARED, (n,)).id for n in range(2))
    manifest = jobs.export(redis_client, QUEUES, tmp_path).manifest
    d1.query("INSERT INTO job_states (id, begun_at, ran_at) VALUES (?, 1, 1)", ran)
    found = find(d1, redis_client, manifest)
    raw = redis_client.lrange("celery", 0, -1)
    redis_client.lrem("celery", 1, raw[0])
    d1.query("INSERT INTO received_jobs VALUES ('late', 'celery', ?, ?, 1)", SHARED, body(1))
    proved = jobs.prove_jobs_back(d1, redis_client, found, QUEUES)
    assert proved.wrong == (
        f"{gone}: not in the broker",
        f"{ran}: run on the new side, and in the broker",
        "late: came to the new side since",
    )


def test_a_consumer_that_says_nothing_is_refused(redis_client: redis.Redis, d1: D1) -> None:
    d1.batch(["ALTER TABLE job_states RENAME TO elsewhere"])
    try:
        with pytest.raises(CannotFinish, match="the consumer does not say which jobs ran"):
            find(d1, redis_client)
    finally:
        d1.batch(["ALTER TABLE elsewhere RENAME TO job_states"])


# -- the engines


def test_celery_runs_what_was_carried_back(
    redis_server: RedisServer, redis_client: redis.Redis, push: Push, d1: D1, tmp_path: Path
) -> None:
    soon = (dt.datetime.now(dt.UTC) + dt.timedelta(days=1)).isoformat()
    push.send([item("dead", "é", task="analytics.unknown"), item("scheduled", 2, eta=soon)])
    kept(d1, "dead", sql=DEAD)
    kept(d1, "scheduled", sql=THERE)
    d1.batch([f"UPDATE received_jobs_dead SET task = '{SHARED}'"])  # a task that Celery knows
    carry(d1, redis_client, find(d1, redis_client))
    with (
        celery_side.worker(redis_server, tmp_path / "log"),
        redis.Redis(port=redis_server.port, password=redis_server.password, db=GATES) as gates,
    ):
        ran = gates.blpop(["ran"], timeout=60)
        assert ran is not None
        assert ran[1].decode() == repr((("é",), {}))
        # the worker holds it until its time has come
        until(lambda: reserved(redis_client) == ["scheduled"], "the worker does not hold what is scheduled")
        assert gates.llen("ran") == 0


def test_the_new_side_leaves_alone_what_was_handed_back(redis_client: redis.Redis, push: Push, d1: D1) -> None:
    push.send([item("back", 1, eta=LATER), item("stays", 2, eta=LATER)])
    kept(d1, "back", sql=THERE)
    kept(d1, "stays", sql=THERE)
    found = find(d1, redis_client)
    only = jobs.Back(**{name: getattr(found, name) for name in jobs.Back.__slots__} | {"give": found.give[:1]})
    assert [one.id for one in only.give] == ["back"]
    carry(d1, redis_client, only)
    push.send([item("back", 1, eta=PAST), item("stays", 2, eta=PAST)])  # both messages come again, and are due
    kept(d1, "stays", sql=RAN)
    ran, returned = kept(d1, "back")
    assert (ran, returned is not None) == (None, True)


def test_quiet_is_what_lasts(d1: D1) -> None:
    moments = iter(range(1_000))
    arrivals = iter(["a", "b", "c"])

    def pause(_: float) -> None:
        if (id := next(arrivals, None)) is not None:
            d1.query("INSERT INTO received_jobs VALUES (?, 'celery', 't', '', 1)", id)

    found = jobs.wait_until_quiet(d1, 5, 60, clock=lambda: float(next(moments)), pause=pause)
    assert (found.jobs, found.under_way, found.quiet >= 5) == (3, (), True)
    d1.batch(["INSERT INTO job_states (id, begun_at) VALUES ('a', 1), ('b', 1)"])
    d1.batch(["INSERT INTO received_jobs_dead VALUES ('b', 'celery', 't', '', 'failed', 1, 1)"])
    never = jobs.wait_until_quiet(d1, 5, 60, clock=lambda: float(next(moments)), pause=pause)
    assert (never.under_way, never.waited >= 60) == (("a",), True)
