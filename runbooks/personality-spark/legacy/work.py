"""A worker of Celery that obeys the maintenance switch: it ends while the switch is on, and begins anew after it.

It ends as a worker does that is asked to: what it runs is finished, what it had only reserved goes back to its queue.
So whoever waits for the workers to be gone need not stop them by hand.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from celery.signals import worker_ready
from celery.worker import state

from .maintenance import MaintenanceSwitch
from .settings import Settings
from .tasks import QUEUES, celery_app

LOOK = 0.2  # seconds between two looks at the switch
OPTIONS = ("--pool=solo", "--without-mingle", "--without-gossip", "--loglevel=WARNING", f"-Q{','.join(QUEUES)}")
PACKAGE = __name__.rpartition(".")[0]


def work(settings: Settings, beside: int | None = None) -> None:
    """Work until drained or interrupted; `beside` is a process without which it ends, too."""
    switch, watched = MaintenanceSwitch(settings.maintenance_switch), _Watched()

    def over() -> bool:
        return beside is not None and os.getppid() != beside

    def watch() -> None:
        while not (over() or switch.on):
            time.sleep(LOOK)
        watched.ended = True
        state.should_stop = os.EX_OK  # what Celery asks itself between two messages

    def begin(**_: object) -> None:
        threading.Thread(target=watch, daemon=True).start()

    worker_ready.connect(begin)
    while switch.on and not over():
        time.sleep(LOOK)
    if over():
        return
    celery_app(settings).worker_main(["worker", *OPTIONS])
    if watched.ended and not over():
        # a worker is its process: a new one has nothing of the old one's connections and signals
        os.execv(sys.executable, command(settings.data, beside))


def command(data: Path, beside: int | None = None) -> list[str]:
    """How a worker of this folder is started."""
    bound = [] if beside is None else ["--beside", str(beside)]
    return [sys.executable, "-m", PACKAGE, "work", "--data", str(data), *bound]


@contextmanager
def working_beside(data: Path) -> Iterator[None]:
    """A worker in a process of its own, which ends with the block, or with this process in whatever way it ends."""
    worker = subprocess.Popen(command(data, os.getpid()), stdin=subprocess.DEVNULL)
    try:
        yield
    finally:
        worker.terminate()
        worker.wait()


class _Watched:
    """What the thread that watches tells the worker's own."""

    ended = False
