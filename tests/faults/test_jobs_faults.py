"""Jobs on their way when something dies: the runtime with its messages, or the old side's worker with its jobs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import redis
from helpers import celery_side
from helpers.celery_side import HOLD, SHARED
from helpers.worker_side import NAMES, SYSTEM, migrations

from towpath.cloudflare import D1
from towpath.errors import CannotFinish
from towpath.jobs import Disposition, Entry, Push, arrived, compare, export, load, write
from towpath.local import State, start, worker_folder
from towpath.local.processes import end, marked
from towpath.local.redis import RedisServer


def test_a_runtime_that_dies_takes_its_messages_with_it_and_the_next_load_brings_them_again(
    tmp_path: Path, root: Path
) -> None:
    state, worker = State(tmp_path / "state"), worker_folder(root, SYSTEM)
    entries = [
        Entry(f"job-{n:03}", "celery", SHARED, "waiting", Disposition.SEND, body="[[], {}, {}]") for n in range(400)
    ]
    made = write(tmp_path / "jobs.jsonl", entries)
    handed = [entry.id for entry in made.handed_over]

    with start("ps", "local", 0, root=root, state=state, worker=worker, **NAMES) as runtime:
        with runtime.client() as client:
            D1(client, "ps").batch(migrations(root))
        batches = iter([lambda: None, lambda: end(marked(state.folder), patience=0.0)])
        with (
            Push(runtime.url, runtime.worker_token, sleep=lambda _: None) as push,
            pytest.raises(CannotFinish, match=r"does not answer.*start the phase again: receipts"),
        ):
            load(push, made, lambda _: next(batches)())

    with (
        start("ps", "local", runtime.port, root=root, state=state, worker=worker, **NAMES) as again,
        again.client() as client,
        Push(again.url, again.worker_token) as push,
    ):
        d1 = D1(client, "ps")
        there = arrived(d1)
        done = load(push, made, again=set(handed) - there)
        assert done.sent + done.skipped == 400
        assert done.skipped == len(there)  # receipts say 200, and are believed only as far as D1 says so too
        found = compare(d1, made)
    assert found.equal
    assert found.compared["received"] == 400


def test_jobs_that_a_worker_takes_while_they_are_exported_count_as_done(
    redis_server: RedisServer, redis_client: redis.Redis, tmp_path: Path
) -> None:
    celery = celery_side.celery_app(celery_side.url_of(redis_server))
    ids = [celery.send_task(SHARED, (n,)).id for n in range(5)]
    looked = 0

    def work(done: int) -> None:
        nonlocal looked
        looked += done
        if looked == 5:  # everything was seen once; now the old side does them, before they are written
            with celery_side.worker(redis_server, tmp_path / "worker.log") as child:
                celery.send_task(HOLD, ("end",))
                celery_side.begun(redis_server)
                celery_side.let_go(redis_server, "end")
                child.terminate()
                child.wait(timeout=60)

    made = export(redis_client, ["celery"], tmp_path / "export", work)
    assert {entry.id: str(entry.disposition) for entry in made.manifest} == dict.fromkeys(ids, "done")
    assert made.missing == ()
    assert [str(check.verdict) for check in made.checks] == ["PASS"]


def test_a_worker_that_was_killed_leaves_its_jobs_to_the_export(
    redis_server: RedisServer, redis_client: redis.Redis, tmp_path: Path
) -> None:
    celery = celery_side.celery_app(celery_side.url_of(redis_server))
    ids = [celery.send_task(HOLD, (f"{n}",)).id for n in range(3)]
    for _ in range(2):  # the second worker takes the next job, and dies too
        with celery_side.worker(redis_server, tmp_path / "worker.log") as child:
            celery_side.begun(redis_server)
            celery_side.kill(child)
    held = redis_client.hvals("unacked")
    assert {json.loads(value)[0]["headers"]["id"] for value in held} == set(ids[:2])
    made = export(redis_client, ["celery"], tmp_path)
    assert {entry.id: entry.state for entry in made.manifest} == {
        ids[0]: "reserved",
        ids[1]: "reserved",
        ids[2]: "waiting",
    }
