"""Personality Spark's new side in tests: its migrations, and its Worker in the real runtime.

served   module  towpath.local.Runtime with the Worker, its queues and its migrated tables
jobs_d1  test    towpath.cloudflare.D1 of those tables, empty of jobs
push     test    towpath.jobs.Push to the Worker
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from towpath.cloudflare import D1
from towpath.jobs import Push
from towpath.local import Runtime, State, start, worker_folder

SYSTEM = "personality-spark"
NAMES = {"bucket": "media", "database_id": "ps", "namespace": "ps-cache"}


def migrations(root: Path) -> list[str]:
    """The statements of every migration, in order; none of them holds a semicolon inside."""
    folder = worker_folder(root, SYSTEM)
    assert folder is not None
    texts = [re.sub(r"--[^\n]*", "", file.read_text("utf-8")) for file in sorted(folder.glob("migrations/*.sql"))]
    return [statement.strip() for text in texts for statement in text.split(";") if statement.strip()]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Iterator[Runtime]:
    """The Worker in a runtime of its own."""
    state, worker = State(tmp_path_factory.mktemp("worker")), worker_folder(root, SYSTEM)
    with start(SYSTEM, "local", 0, root=root, state=state, worker=worker, deadline=120.0, **NAMES) as running:
        with running.client() as client:
            D1(client, NAMES["database_id"]).batch(migrations(root))
        yield running


@pytest.fixture
def jobs_d1(served: Runtime) -> Iterator[D1]:
    """The Worker's database, in which no job has left anything."""
    with served.client() as client:
        made = D1(client, NAMES["database_id"])
        made.batch([f"DELETE FROM {name}" for name in ("received_jobs", "received_jobs_dead", "job_states")])
        yield made


@pytest.fixture
def push(served: Runtime) -> Iterator[Push]:
    """A sender of jobs that the Worker trusts."""
    with Push(served.url, served.worker_token) as made:
        yield made
