"""Celery as an old application runs it: a real producer, and a real worker in a process of its own.

A worker's job `hold` says that it has begun, and ends when the test says so: both through lists in another database of
the same Redis, so that nobody has to guess how long something takes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis
from celery import Celery

from towpath.local.redis import RedisServer

GATES = 1  # the number of the database in which test and worker wait for each other
URL = "CELERY_SIDE"  # the environment variable that gives the worker its broker
HOLD, SHARED, DIGEST = "shares.render_card", "analytics.track_quiz_share", "mail.send_weekly_digest"


def celery_app(url: str, protocol: int = 2) -> Celery:
    """An application with three tasks over the broker at `url`."""
    app = Celery("old", broker=url)
    app.conf.update(
        task_ignore_result=True, task_acks_late=True, task_protocol=protocol, broker_connection_retry_on_startup=True
    )
    # shared tasks would be registered with every other application of this process, under names that are theirs
    gates = redis.Redis.from_url(url.rsplit("/", 1)[0] + f"/{GATES}")

    @app.task(name=HOLD, shared=False)
    def hold(name: str) -> None:
        gates.lpush("begun", name)
        gates.blpop([f"go {name}"])

    @app.task(name=SHARED, shared=False)
    def shared(*args: Any, **words: Any) -> None:
        gates.lpush("ran", repr((args, words)))

    @app.task(name=DIGEST, shared=False)
    def digest(*args: Any) -> None:
        gates.lpush("ran", repr(args))

    return app


def url_of(server: RedisServer) -> str:
    """The broker's address with its password, as an application has it."""
    return f"redis://:{server.password}@127.0.0.1:{server.port}/0"


@contextmanager
def worker(server: RedisServer, log: Path, queues: str = "celery") -> Iterator[subprocess.Popen[bytes]]:
    """A worker for the length of a `with` block; it is killed at the end unless it has ended."""
    command = [sys.executable, "-m", "celery", "-A", "helpers.celery_side:started", "worker", "-P", "solo"]
    command += ["-Q", queues, "-l", "info", "--without-mingle", "--without-gossip", "--without-heartbeat"]
    tests = Path(__file__).resolve().parents[1]
    environment = os.environ | {URL: url_of(server), "PYTHONPATH": str(tests), "C_FORCE_ROOT": "1"}
    with log.open("wb") as out:
        child = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=environment, cwd=log.parent)
    try:
        yield child
    finally:
        kill(child)


def kill(child: subprocess.Popen[bytes]) -> None:
    """End a worker as a power cut does."""
    if child.poll() is None:
        child.send_signal(signal.SIGKILL)
    child.wait()


def begun(server: RedisServer, timeout: int = 60) -> str:
    """Wait until the next job `hold` runs; its name."""
    with redis.Redis(port=server.port, password=server.password, db=GATES) as gates:
        found = gates.blpop(["begun"], timeout=timeout)
    assert found, "no worker has begun a job"
    return str(found[1].decode())


def let_go(server: RedisServer, name: str) -> None:
    """Let the job `hold` of that name end."""
    with redis.Redis(port=server.port, password=server.password, db=GATES) as gates:
        gates.lpush(f"go {name}", "1")


started = celery_app(os.environ[URL]) if URL in os.environ else None
