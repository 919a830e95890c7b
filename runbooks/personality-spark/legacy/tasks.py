"""What the application leaves to Celery, over Redis.

Names of tasks and queues are what the queue of the new side has to know.  A task that is taken up while the maintenance
switch is on goes back to its queue and writes nothing.
"""

from __future__ import annotations

import datetime as dt
import functools
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from celery import Celery
from celery.exceptions import Reject
from sqlalchemy.orm import Session

from .database import Database
from .maintenance import MaintenanceSwitch
from .models import QuizEvent, ShareCard
from .settings import BROKER, Settings
from .storage import draw_card, located, write

QUEUES = ("celery", "analytics")
COMPLETED, SHARED = "analytics.track_quiz_completion", "analytics.track_quiz_share"
RENDER, DIGEST = "shares.render_card", "mail.send_weekly_digest"
TASKS = (COMPLETED, SHARED, RENDER, DIGEST)


def queue_of(task: str) -> str:
    """The queue that a task goes to."""
    return "analytics" if task.startswith("analytics.") else "celery"


def celery_app(settings: Settings) -> Celery:
    """The application's Celery, as producer and as worker."""
    server = settings.redis
    app = Celery("personality-spark", broker=f"redis://:{server.password}@127.0.0.1:{server.port}/{BROKER}")
    app.conf.update(
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_acks_late=True,  # or there would be nothing left to give back
        task_routes={"analytics.*": {"queue": "analytics"}},
        broker_transport_options={"visibility_timeout": 3600},
        broker_connection_retry_on_startup=True,
        worker_hijack_root_logger=False,
        timezone="UTC",
    )

    switch = MaintenanceSwitch(settings.maintenance_switch)

    def task(name: str) -> Callable[[Callable[..., None]], Any]:
        return lambda function: app.task(name=name, shared=False)(_obeying(switch, function))

    @task(COMPLETED)
    def track_quiz_completion(quiz_id: str, completion_time: int) -> None:
        _event(settings, "completed", {"quiz_id": quiz_id, "completion_time": completion_time})

    @task(SHARED)
    def track_quiz_share(quiz_id: str, channel: str) -> None:
        _event(settings, "shared", {"quiz_id": quiz_id, "channel": channel})

    @task(RENDER)
    def render_card(card_id: str) -> None:
        with _session(settings) as session:
            card = session.get(ShareCard, uuid.UUID(card_id))
            if card is not None:
                write(located(settings.data, card.path), draw_card(card_id))

    @task(DIGEST)
    def send_weekly_digest(user_id: str) -> None:
        _event(settings, "answered", {"digest_for": user_id})  # mail is out of this slice

    return app


def _obeying(switch: MaintenanceSwitch, function: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(function)
    def run(*arguments: Any) -> None:
        with switch.writing() as allowed:
            if not allowed:
                raise Reject("maintenance is on", requeue=True)
            function(*arguments)

    return run


@contextmanager
def _session(settings: Settings) -> Iterator[Session]:
    database = Database(settings)
    try:
        with database.session() as session:
            yield session
    finally:
        database.close()


def _event(settings: Settings, kind: str, payload: dict[str, Any]) -> None:
    with _session(settings) as session:
        session.add(QuizEvent(occurred_at=dt.datetime.now(dt.UTC), kind=kind, payload=payload))
        session.commit()
