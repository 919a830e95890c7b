"""Stopping the consumers: what a move needs before it may count jobs."""

from __future__ import annotations

import time
from dataclasses import dataclass

from .settings import Settings
from .tasks import QUEUES, celery_app


class StillWorking(Exception):
    """A worker did not end in time."""


@dataclass(frozen=True, slots=True)
class Drained:
    """What is left when nobody consumes any more."""

    stopped: int  # workers
    waiting: dict[str, int]  # jobs by queue
    reserved: int  # jobs that a worker held when it died; nobody will acknowledge them


def drain(settings: Settings, patience: float = 60.0) -> Drained:
    """Ask every worker to end and wait until none answers.  Raises StillWorking.

    A worker that is asked ends warmly: it finishes what it runs, and puts what it had only reserved (tasks with an ETA
    among them) back into its queue.
    """
    until = time.monotonic() + patience
    app = celery_app(settings)
    try:
        inspect = app.control.inspect(timeout=1.0)
        names = set(inspect.ping() or {})
        if names:
            app.control.shutdown(destination=sorted(names))
        left, seen, held = names, None, _held(settings)
        # a worker that no longer answers may still be giving back what it had reserved
        while names and (left or seen != held):
            if time.monotonic() > until:
                raise StillWorking(f"after {patience:.0f} s still at work: {', '.join(sorted(left or names))}")
            left, seen, held = set(inspect.ping() or {}), held, _held(settings)
    finally:
        app.close()
    return Drained(len(names), *held)


def _held(settings: Settings) -> tuple[dict[str, int], int]:
    """Jobs that wait, by queue, and jobs that workers have reserved."""
    with settings.broker() as broker:
        return {queue: int(broker.llen(queue)) for queue in QUEUES}, int(broker.hlen("unacked"))
