"""What goes through the Worker's /enqueue route: one job as JSON, measured as the queue will measure it."""

from __future__ import annotations

import datetime as dt

import orjson

from towpath.jobs.message import Job


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
