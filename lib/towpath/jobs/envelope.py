"""A job on its way: as the Worker's /enqueue route takes it, and as kombu writes it for Celery's own workers."""

from __future__ import annotations

import base64
import datetime as dt
import uuid
from typing import Any

import orjson

from towpath.errors import BadInput
from towpath.jobs.message import Job, Unreadable, decode


def item(id: str, queue: str, task: str, body: str, eta: str | None, expires: str | None) -> dict[str, str]:
    """A job as the route takes it; both times in ISO 8601, None where the job has none."""
    plain = {"id": id, "queue": queue, "task": task, "body": body, "eta": eta, "expires": expires}
    return {key: value for key, value in plain.items() if value is not None}


def when(time: dt.datetime | None) -> str | None:
    """A time in ISO 8601 in UTC, with microseconds."""
    return None if time is None else time.astimezone(dt.UTC).isoformat(timespec="microseconds")


def size(job: Job) -> int:
    """Bytes of its message: the JSON that the Worker sends is the JSON that is written here."""
    return len(orjson.dumps(item(job.id, job.queue, job.task, job.body, when(job.eta), when(job.expires))))


def celery_message(id: str, queue: str, task: str, body: str, eta: str | None, expires: str | None) -> bytes:
    """A job as it must stand in the list of its queue: what `message.decode` reads, turned round.

    `body` is Celery's own text: `[args, kwargs, embed]`, or the object of protocol 1, which holds id, task and times
    itself.  Raises BadInput for a body that no worker of Celery could read.
    """
    one = body.lstrip().startswith("{")
    headers: dict[str, Any] = {}
    if not one:
        times = {"eta": _utc(eta), "expires": _utc(expires)}
        headers = {"lang": "py", "task": task, "id": id, "root_id": id, "parent_id": None, "group": None}
        headers |= {**times, "retries": 0, "timelimit": [None, None], "shadow": None, "origin": "towpath"}
    way = {"exchange": "", "routing_key": queue}
    properties = {"correlation_id": id, "reply_to": "", "delivery_mode": 2, "delivery_info": way, "priority": 0}
    properties |= {"body_encoding": "base64", "delivery_tag": str(uuid.uuid4())}
    plain = {"body": base64.b64encode(body.encode()).decode(), "content-encoding": "utf-8"}
    made = orjson.dumps(plain | {"content-type": "application/json", "headers": headers, "properties": properties})
    read = decode(made, queue)
    if isinstance(read, Unreadable):
        raise BadInput(f"no worker of Celery could read it: {read.why}", object=id, next="look who enqueued it")
    if (read.id, read.task, read.body) != (id, task, body):
        raise BadInput("its body names another job", object=id, next="look who enqueued it")
    return made


def _utc(text: str | None) -> str | None:
    """A time as Celery reads it: UTC where no zone is written."""
    try:
        time = None if text is None else dt.datetime.fromisoformat(text)
        return when(time if time is None or time.tzinfo else time.replace(tzinfo=dt.UTC))
    except ValueError:
        raise BadInput(f"no time in ISO 8601: {text}", object="eta", next="look who enqueued it") from None
