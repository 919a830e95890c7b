"""Fills the broker by a real Celery producer, and leaves some jobs reserved as a worker does that was killed."""

from __future__ import annotations

import base64
import datetime as dt
import json
from dataclasses import dataclass
from random import Random
from typing import Any

from celery import Celery
from kombu import Connection

from ..planted import MALFORMED, PICKLED
from ..settings import Settings
from ..tasks import COMPLETED, DIGEST, RENDER, SHARED, celery_app, queue_of
from .cast import PLANTED_USERS, Cast
from .values import new_id

FUTURE = dt.datetime(2035, 1, 1, tzinfo=dt.UTC)  # long after any rehearsal


@dataclass(frozen=True, slots=True)
class Jobs:
    """How many jobs lie where."""

    waiting: dict[str, int]  # by queue, those with an ETA and the planted ones among them
    scheduled: int  # waiting, with an ETA
    reserved: int  # taken by a worker that is no more, never acknowledged; some with an ETA
    planted: int


def fill(settings: Settings, cast: Cast, plant: bool = True) -> Jobs:
    """Empty the broker and fill it: `cast.scale.jobs` jobs, the planted ones among them.

    Ids, arguments and numbers follow from the seed; what Celery adds (its host, its process, delivery tags) does not.
    """
    rng = cast.random("jobs")
    with settings.broker() as broker:
        broker.flushdb()
        app = celery_app(settings)
        total = cast.scale.jobs - (PICKLED + MALFORMED if plant else 0)
        reserved, scheduled = max(4, total // 25), max(4, total // 20)
        for number in range(reserved):
            send(app, rng, cast, eta=_eta(rng) if number % 2 else None, task=(DIGEST, RENDER)[number % 2])
        _reserve(app, "celery", reserved)
        for number in range(total - reserved):
            send(app, rng, cast, eta=_eta(rng) if number < scheduled else None)
        if plant:
            _plant(app, rng, cast)
        app.close()
        waiting = {queue: int(broker.llen(queue)) for queue in ("celery", "analytics")}
    return Jobs(waiting, scheduled, reserved, PICKLED + MALFORMED if plant else 0)


def send(app: Celery, rng: Random, cast: Cast, eta: dt.datetime | None = None, task: str | None = None) -> str:
    """Send one job through Celery, with an id from the seed; return the id."""
    task = task or rng.choice((COMPLETED, COMPLETED, COMPLETED, SHARED, RENDER, DIGEST))
    arguments: dict[str, tuple[Any, ...]] = {
        COMPLETED: (new_id(rng), rng.randrange(30, 900)),
        SHARED: (new_id(rng), rng.choice(("mail", "chat", "copy"))),
        RENDER: (rng.choice(cast.cards).id,),
        DIGEST: (cast.users[rng.randrange(PLANTED_USERS, len(cast.users))],),
    }
    id = new_id(rng)
    app.send_task(task, args=arguments[task], task_id=id, eta=eta, queue=queue_of(task), ignore_result=True)
    return id


def _eta(rng: Random) -> dt.datetime:
    return FUTURE + dt.timedelta(seconds=rng.randrange(86_400 * 60))


def _reserve(app: Celery, queue: str, count: int) -> None:
    """Take jobs off a queue and never acknowledge them: what a worker leaves behind that was killed."""
    with Connection(app.conf.broker_url, transport_options=app.conf.broker_transport_options) as connection:
        channel = connection.channel()
        channel.do_restore = False  # a killed process restores nothing, this one must not either
        taken = [channel.basic_get(queue, no_ack=False) for _ in range(count)]
        assert all(message is not None for message in taken)


def _plant(app: Celery, rng: Random, cast: Cast) -> None:
    with app.producer_pool.acquire(block=True) as producer:
        for _ in range(PICKLED):
            headers = {"lang": "py", "task": DIGEST, "id": new_id(rng), "retries": 0, "eta": None}
            body = (
                (cast.users[PLANTED_USERS],),
                {},
                {"callbacks": None, "errbacks": None, "chain": None, "chord": None},
            )
            producer.publish(
                body, routing_key="celery", serializer="pickle", headers=headers, correlation_id=headers["id"]
            )
    with app.connection_for_write() as connection:
        client = connection.default_channel.client
        for _ in range(MALFORMED):
            whole = json.loads(client.lindex("analytics", 0))
            id = new_id(rng)
            whole["headers"] |= {"id": id, "root_id": id}
            whole["properties"] |= {"correlation_id": id, "delivery_tag": new_id(rng)}
            whole["body"] = base64.b64encode(b'[["' + new_id(rng).encode()).decode()
            client.lpush("analytics", json.dumps(whole))
