"""The inventory of queued jobs over a real Celery and Redis: every job once, nothing touched, oddities named."""

from __future__ import annotations

import base64
import datetime as dt
import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery
from helpers import celery_side
from helpers.celery_side import DIGEST, HOLD, SHARED
from helpers.fires import fires, not_passed
from redis.backoff import NoBackoff
from redis.retry import Retry

from towpath.errors import BadInput, CannotFinish
from towpath.jobs import Inventory, State, drain, inventory
from towpath.jobs.rules import RULES
from towpath.local.redis import RedisServer, start_redis

ONCE = Retry(NoBackoff(), 0)


@pytest.fixture
def celery(redis_server: RedisServer, redis_client: redis.Redis) -> Celery:
    """A producer over the empty broker."""
    assert redis_client.dbsize() == 0
    return celery_side.celery_app(celery_side.url_of(redis_server))


def codes(found: Inventory) -> dict[tuple[str, str], int]:
    return {(finding.code, finding.object): finding.count for finding in found.findings}


def state_of(redis_client: redis.Redis) -> dict[bytes, Any]:
    """Everything in the broker's database, byte for byte."""
    return {key: redis_client.dump(key) for key in redis_client.scan_iter()}


def envelope(**changes: Any) -> dict[str, Any]:
    """A message as Celery writes it, with changes; a change to None removes the key."""
    body = base64.b64encode(b'[[1], {"a": "x"}, {"callbacks": null, "errbacks": null, "chain": null, "chord": null}]')
    plain = {
        "body": body.decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"lang": "py", "task": SHARED, "id": "made", "eta": None, "expires": None, "retries": 0},
        "properties": {"body_encoding": "base64", "priority": 0, "delivery_tag": "tag-made"},
    } | changes
    return {key: value for key, value in plain.items() if value is not None}


def headers(**changes: Any) -> dict[str, Any]:
    return {"headers": envelope()["headers"] | changes}


def test_every_job_of_a_real_broker_is_seen_once_and_nothing_is_touched(
    celery: Celery, redis_server: RedisServer, redis_client: redis.Redis, tmp_path: Path
) -> None:
    soon, late = (dt.datetime.now(dt.UTC) + dt.timedelta(hours=hours) for hours in (5, 60))
    scheduled = [celery.send_task(DIGEST, (n,), eta=eta).id for n, eta in enumerate((soon, late))]
    held = celery.send_task(HOLD, ("a",)).id
    with celery_side.worker(redis_server, tmp_path / "worker.log") as child:
        assert celery_side.begun(redis_server) == "a"
        assert inventory(redis_client).consumers > 0
        celery_side.kill(child)
    waiting = [celery.send_task(SHARED, (n,), {"name": "é"}).id for n in range(1200)]
    urgent = celery.send_task(SHARED, (0,), priority=9).id
    other = celery.send_task(SHARED, (0,), queue="analytics").id
    before, steps = state_of(redis_client), []

    found = inventory(redis_client, report=steps.append)

    assert state_of(redis_client) == before
    assert found.ids == {*scheduled, held, *waiting, urgent, other}
    assert len(found.jobs) == len(found.ids) == sum(steps) == 1205
    assert [job.id for job in found.jobs if job.id in set(waiting)] == waiting  # oldest first
    assert found.queues == ("analytics", "celery")
    assert found.count("queue") == {"celery": 1204, "analytics": 1}
    assert found.count("state") == {"waiting": 1202, "scheduled": 2, "reserved": 1}
    assert found.count("task") == {SHARED: 1202, DIGEST: 2, HOLD: 1}
    assert {job.id for job in found.jobs if job.state is State.SCHEDULED} == set(scheduled)
    assert found.consumers == 0
    assert codes(found) == {
        ("JO108", "celery"): 1,
        ("JO203", "celery"): 3,  # a worker reserves what is scheduled, too
        ("JO204", "celery"): 2,
        ("JO205", "celery"): 1,
    }
    assert next(finding for finding in found.findings if finding.code == "JO205").samples == (scheduled[1],)


def test_serializers_protocols_and_canvases_of_a_real_producer(
    celery: Celery, redis_server: RedisServer, redis_client: redis.Redis
) -> None:
    pickled = celery.send_task(SHARED, (1,), serializer="pickle").id
    packed = celery.send_task(SHARED, (1,), compression="zlib").id
    chained = celery.send_task(SHARED, (1,), link=celery.signature(DIGEST, (2,))).id
    gone = celery.send_task(SHARED, (1,), expires=dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)).id
    old = celery_side.celery_app(celery_side.url_of(redis_server), protocol=1).send_task(SHARED, (1,), countdown=60).id
    found = inventory(redis_client, ["celery"], tasks={DIGEST})
    assert found.ids == {pickled, packed, chained, gone, old}
    assert codes(found) == {
        ("JO202", "celery"): 1,
        ("JO204", "celery"): 1,
        ("JO207", "celery"): 1,
        ("JO208", "celery"): 1,
        ("JO209", SHARED): 3,
        ("JO210", "celery"): 1,
    }
    refused = next(finding for finding in found.findings if finding.code == "JO202")
    assert refused.samples == (pickled,)
    assert "application/x-python-serialize" in refused.message


@pytest.mark.parametrize(
    ("message", "code", "why"),
    [
        (b"\xff not JSON", "JO201", "the message is not JSON"),
        (b"[1]", "JO201", "the message is no object"),
        (envelope(headers=[1]), "JO201", "its headers is no object"),
        (envelope(body="%%%"), "JO201", "the body is not base64"),
        (envelope(body=None), "JO201", "it has no body"),
        (envelope(body=base64.b64encode(b"\xff\xfe").decode()), "JO201", "the body is not UTF-8"),
        (envelope(body=base64.b64encode(b"[1, NaN").decode()), "JO201", "the body is not JSON"),
        (envelope(body=base64.b64encode(b"[1]").decode()), "JO201", r"not \[args, kwargs, embed\]"),
        (envelope(properties={"body_encoding": "rot13"}), "JO201", "encoded as rot13"),
        (envelope(**headers(id="")), "JO201", "it has no id"),
        (envelope(**headers(eta="tomorrow")), "JO201", "its eta is no time"),
        (envelope(**headers(expires=7)), "JO201", "its expires is no time"),
        (envelope(**{"content-encoding": "latin-1"}), "JO201", "content encoding latin-1"),
        (envelope(**headers(compression="application/x-gzip")), "JO201", "the body is not zlib"),
        (envelope(**headers(compression="application/x-brotli")), "JO202", "compression application/x-brotli"),
        (envelope(**{"content-type": "application/x-msgpack"}), "JO202", "content type application/x-msgpack"),
        (envelope(**{"content-type": "application/x-yaml"}), "JO202", "content type application/x-yaml"),
    ],
)
def test_what_cannot_be_read_is_listed_with_why_and_by_its_name(
    redis_client: redis.Redis, message: bytes | dict[str, Any], code: str, why: str
) -> None:
    redis_client.lpush("celery", message if isinstance(message, bytes) else json.dumps(message))
    redis_client.lpush("celery", json.dumps(envelope(**headers(id="beside"))))
    found = inventory(redis_client, ["celery"])
    finding = next(finding for finding in found.findings if finding.code == code)
    assert (finding.object, finding.count) == ("celery", 1)
    assert re.search(why, finding.message)
    assert len(found.jobs) == 2
    assert "beside" in found.ids
    assert set(finding.samples) == found.ids - {"beside"}
    assert re.fullmatch(r"made|message ([0-9a-f]{64}|tag-made)", finding.samples[0])


def bound(r: redis.Redis, *queued: dict[str, Any]) -> None:
    """A broker that knows the queue, with these messages waiting."""
    r.sadd("_kombu.binding.celery", "celery\x06\x16\x06\x16celery")
    for message in queued:
        r.lpush("celery", json.dumps(message))


def reserved(r: redis.Redis, message: dict[str, Any], queue: str = "celery", tag: str = "tag-made") -> None:
    r.hset("unacked", tag, json.dumps([message, "", queue]))
    r.zadd("unacked_index", {tag: 1.0})


def hours(number: int) -> str:
    return (dt.datetime.now(dt.UTC) + dt.timedelta(hours=number)).isoformat()


LINKED = base64.b64encode(b'[[1], {}, {"callbacks": [{"task": "t"}], "errbacks": null, "chain": null, "chord": null}]')
OLD = base64.b64encode(json.dumps({"id": "made", "task": SHARED, "args": [1], "kwargs": {}}).encode())
OTHER_TAG = {"properties": {"body_encoding": "base64", "delivery_tag": "tag-2"}}
ALSO = {"JO205": {"JO204"}}  # what is due in more than a day is scheduled, too
RULES_OF_THE_BROKER: list[tuple[str, Callable[[redis.Redis], Any]]] = [
    ("JO101", lambda r: [r.sadd("_kombu.binding.mail", "mail\x06\x16\x06\x16mail"), r.lpush("mail", "{}")]),
    ("JO101", lambda r: reserved(r, envelope(), "mail")),
    ("JO102", lambda r: r.delete("_kombu.binding.celery")),
    ("JO103", lambda r: [bound(r, envelope(**headers(retries=1))), reserved(r, envelope(**OTHER_TAG), tag="tag-2")]),
    ("JO104", lambda r: [bound(r, envelope(**headers(task=DIGEST))), reserved(r, envelope(**OTHER_TAG), tag="tag-2")]),
    ("JO105", lambda r: r.zadd("unacked_index", {"nobody": 1.0})),
    ("JO106", lambda r: r.set("celery", "a text")),
    ("JO108", lambda r: bound(r, envelope(properties={"body_encoding": "base64", "priority": 3, "delivery_tag": "p"}))),
    ("JO201", lambda r: bound(r, envelope(body=None))),
    ("JO202", lambda r: bound(r, envelope(**{"content-type": "application/x-yaml"}))),
    ("JO203", lambda r: reserved(r, envelope())),
    ("JO204", lambda r: bound(r, envelope(**headers(eta=hours(5))))),
    ("JO205", lambda r: bound(r, envelope(**headers(eta=hours(60))))),
    ("JO206", lambda r: bound(r, envelope(body=long_body()))),
    ("JO207", lambda r: bound(r, envelope(**headers(expires=hours(-1))))),
    ("JO208", lambda r: bound(r, envelope(body=LINKED.decode()))),
    ("JO209", lambda r: bound(r, envelope(**headers(task="unheard")))),
    ("JO210", lambda r: bound(r, envelope(body=OLD.decode(), headers={}))),
]


@pytest.mark.parametrize(("rule", "arrange"), RULES_OF_THE_BROKER)
def test_exactly_this_rule_fires(redis_client: redis.Redis, rule: str, arrange: Callable[[redis.Redis], Any]) -> None:
    bound(redis_client)
    arrange(redis_client)
    found = inventory(redis_client, ["celery"], tasks={SHARED, DIGEST})
    assert {finding.code for finding in found.findings} == {rule} | ALSO.get(rule, set())


def long_body() -> str:
    return base64.b64encode(json.dumps([["x" * 128_000], {}, {}]).encode()).decode()


@pytest.mark.parametrize(
    ("first", "second", "code", "kept_tag", "kept_held"),
    [
        # delivered again after the visibility time-out (celery/kombu#337): the one in the queue will run
        ({}, {}, "JO103", "tag-made", False),
        # a retry has the same id, one more retry, and perhaps other arguments
        ({"retries": 0}, {"retries": 1}, "JO103", "tag-2", True),
        # nobody knows which is meant
        ({}, {"task": DIGEST}, "JO104", "tag-made", False),
    ],
)
def test_one_id_in_two_places(
    redis_client: redis.Redis, first: Any, second: Any, code: str, kept_tag: str, kept_held: bool
) -> None:
    redis_client.lpush("celery", json.dumps(envelope(**headers(**first))))
    tag = "tag-made" if kept_tag == "tag-made" else "tag-2"
    properties = {"properties": {"body_encoding": "base64", "delivery_tag": tag}}
    redis_client.hset("unacked", tag, json.dumps([envelope(**headers(**second), **properties), "", "celery"]))
    redis_client.zadd("unacked_index", {tag: 1.0})
    found = inventory(redis_client, ["celery"])
    assert [(job.id, job.place.tag, job.place.held) for job in found.jobs] == [("made", kept_tag, kept_held)]
    named = [(finding.code, finding.count) for finding in found.findings if finding.code in ("JO103", "JO104")]
    assert named == [(code, 1)]


@pytest.mark.parametrize("key", ["unacked", "unacked_index", "_kombu.binding.celery"])
def test_a_key_of_celery_with_another_type_stops_the_reading(redis_client: redis.Redis, key: str) -> None:
    redis_client.lpush(key, "what is this?")
    with pytest.raises(BadInput, match=r"holds another type of value.*source_jobs names the right one"):
        inventory(redis_client, ["celery"])


def test_a_broken_message_in_two_places_is_one(redis_client: redis.Redis) -> None:
    broken = envelope(body="%%%")
    redis_client.lpush("celery", json.dumps(broken))
    redis_client.hset("unacked", "tag-made", json.dumps([broken, "", "celery"]))
    redis_client.zadd("unacked_index", {"tag-made": 1.0})
    assert codes(inventory(redis_client, ["celery"])) == {("JO103", "celery"): 1, ("JO201", "celery"): 1}


@fires("JO107")
def test_a_queue_that_moves_while_it_is_read_says_so(redis_client: redis.Redis) -> Iterable[str]:
    bound(redis_client, *(envelope(**headers(id=f"job-{n}")) for n in range(3)))
    found = inventory(redis_client, ["celery"], report=lambda _: redis_client.rpop("celery") and None)
    assert found.ids == {"job-0", "job-1", "job-2"}
    return {finding.code for finding in found.findings}


def test_a_prefix_of_all_keys_is_respected(redis_client: redis.Redis) -> None:
    redis_client.lpush("old:celery", json.dumps(envelope()))
    redis_client.sadd("old:_kombu.binding.celery", "celery\x06\x16\x06\x16celery")
    assert inventory(redis_client, prefix="old:").ids == {"made"}
    assert inventory(redis_client).ids == frozenset()


def test_a_broker_that_refuses_or_is_down_is_named_without_its_password(redis_server: RedisServer) -> None:
    with (
        redis.Redis(port=redis_server.port, password="wrong-canary-4711") as client,
        pytest.raises(
            CannotFinish, match=rf"Redis localhost:{redis_server.port}/0: refuses.*source_jobs_password"
        ) as caught,
    ):
        inventory(client)
    assert "canary" not in caught.value.line
    with redis.Redis(port=1, retry=ONCE) as client, pytest.raises(CannotFinish, match=r"does not answer.*start Redis"):
        inventory(client)


def test_redis_that_goes_away_midway_is_an_error_not_a_short_list(tmp_path: Path) -> None:
    server = start_redis(tmp_path, ends_with_us=True)
    with redis.Redis(port=server.port, password=server.password, retry=ONCE) as client:
        client.lpush("celery", *(json.dumps(envelope(**headers(id=f"job-{n}"))) for n in range(600)))
        left = iter([server.stop])  # once, while the first page is read
        with pytest.raises(CannotFinish, match=r"does not answer.*start Redis"):
            inventory(client, ["celery"], report=lambda _: next(left, lambda: None)())


@pytest.mark.parametrize(("database", "seen"), [(0, 1), (1, 0)])
def test_a_worker_that_takes_no_jobs_still_listens(
    redis_server: RedisServer, redis_client: redis.Redis, database: int, seen: int
) -> None:
    # as after `celery control cancel_consumer`: it takes nothing more, and still works on what it has
    other = redis.Redis(port=redis_server.port, password=redis_server.password, db=database)
    with other, other.pubsub() as told:
        told.psubscribe("/0.celery.pidbox")
        assert told.get_message(timeout=30)
        assert len(drain(redis_client, deadline=0.0).consumers) == seen


def test_a_drain_waits_for_the_worker_and_says_what_stayed(
    celery: Celery, redis_server: RedisServer, redis_client: redis.Redis, tmp_path: Path
) -> None:
    celery.send_task(HOLD, ("a",))
    celery.send_task(HOLD, ("b",))
    with celery_side.worker(redis_server, tmp_path / "worker.log") as child:
        celery_side.begun(redis_server)
        working = drain(redis_client, deadline=0.0)
        assert not working.quiet
        assert len(working.reserved) >= 1
        assert [str(check.verdict) for check in working.checks] == ["FAIL", "WARN"]

        def finish(_: float) -> None:  # what the people of the old side do while the drain waits
            child.terminate()
            celery_side.let_go(redis_server, "a")
            child.wait(timeout=60)

        done = drain(redis_client, deadline=60.0, pause=finish)
    assert (done.quiet, done.reserved, done.finished) == (True, (), len(working.reserved))
    assert [str(check.verdict) for check in done.checks] == ["PASS", "PASS"]
    assert inventory(redis_client).count("task") == {HOLD: 1}  # the other one went back into its queue


def test_a_drain_does_not_wait_for_jobs_that_nobody_holds(
    celery: Celery, redis_server: RedisServer, redis_client: redis.Redis, tmp_path: Path
) -> None:
    celery.send_task(HOLD, ("a",))
    with celery_side.worker(redis_server, tmp_path / "worker.log") as child:
        celery_side.begun(redis_server)
        celery_side.kill(child)
    found = drain(redis_client, pause=lambda _: pytest.fail("nothing to wait for"))
    assert found.quiet
    assert len(found.reserved) == 1
    assert found.checks[1].keys == found.reserved


@fires("JO302")
def test_a_job_that_stays_reserved(redis_client: redis.Redis) -> Iterable[str]:
    reserved(redis_client, envelope())
    return not_passed(drain(redis_client, pause=lambda _: pytest.fail("nothing to wait for")).checks)


@fires("JO301")
def test_a_worker_that_stays(redis_server: RedisServer, redis_client: redis.Redis) -> Iterable[str]:
    with redis.Redis(port=redis_server.port, password=redis_server.password) as other, other.pubsub() as events:
        events.psubscribe("*")  # as every worker does
        assert events.get_message(timeout=10)
        found = drain(redis_client, deadline=0.0)
    return not_passed(found.checks)


def test_every_rule_of_the_jobs_has_its_surface() -> None:
    assert {rule.surface for rule in RULES.values()} == {"jobs"}
