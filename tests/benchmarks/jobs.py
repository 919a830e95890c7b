"""How fast jobs leave Celery's broker, reach D1 and are proved there, against what the same engines do unhindered.

    python tests/benchmarks/jobs.py [--jobs 5000] [--rounds 3]

The workload is a queue of plain jobs as Celery writes them, about 900 bytes each in Redis.  The limits are measured in
the same run:

    plain read  every message by LRANGE, its JSON read, nothing kept
    ceiling     the same requests to /enqueue, ready in memory: no receipts, no manifest
    raw read    the same rows by one query after the other, not compared

Ratios count, not seconds.  The time until all jobs have arrived is the queue's own: it waits a second to fill a batch.
"""

from __future__ import annotations

import argparse
import base64
import json
import random
import re
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from redis import Redis

from towpath import jobs
from towpath.cloudflare import D1
from towpath.jobs.envelope import item
from towpath.local import Runtime, State, start, worker_folder
from towpath.local.redis import start_redis

ROOT = Path(__file__).resolve().parents[2]
TASK, QUEUE, BATCH = "analytics.track_quiz_share", "celery", 100


def main() -> int:
    """Measure, print one line for each kind of work, and return 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="towpath-bench-") as folder:
        server = start_redis(Path(folder, "redis"), ends_with_us=True)
        redis = Redis(port=server.port, password=server.password)
        make(redis, given.jobs)
        state, worker = State(Path(folder, "runtime")), worker_folder(ROOT, "personality-spark")
        names = {"bucket": "bench", "database_id": "bench", "namespace": "bench"}
        with start("bench", "local", 0, root=ROOT, state=state, worker=worker, **names) as runtime:
            rounds = [measured(redis, runtime, Path(folder, f"run-{number}")) for number in range(given.rounds)]
        server.stop()
    report(rounds, given.jobs)
    return 0


def report(rounds: list[dict[str, float]], count: int) -> None:
    """One line for each kind of work, then the ratios."""
    print(f"{count:,} jobs")
    for work in rounds[0]:
        seconds = statistics.median(taken[work] for taken in rounds)
        print(f"{work:<10} {seconds:7.2f} s {count / seconds:10,.0f} jobs/s")
    for words, over, under in (
        ("load reaches {} of the ceiling", "ceiling", "load"),
        ("the proof takes {} of what raw reading takes", "prove", "raw read"),
        ("the export takes {} of what a plain read takes", "export", "plain read"),
    ):
        ratios = [taken[over] / taken[under] for taken in rounds]
        print(words.format(f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"))


def measured(redis: Redis, runtime: Runtime, folder: Path) -> dict[str, float]:
    """Seconds by kind of work, all of it into empty tables."""
    seconds: dict[str, float] = {}

    def timed(work: str, function: Callable[..., Any], *given: Any) -> Any:
        began = time.perf_counter()
        answer = function(*given)
        seconds[work] = time.perf_counter() - began
        return answer

    with runtime.client() as client, jobs.Push(runtime.url, runtime.worker_token) as push:
        d1 = D1(client, "bench")
        empty(d1)
        timed("plain read", plain_read, redis)
        timed("inventory", jobs.inventory, redis, [QUEUE])
        made = timed("export", jobs.export, redis, [QUEUE], folder).manifest
        timed("load", jobs.load, push, made)
        timed("arrive", jobs.compare, d1, made)
        if not timed("prove", jobs.compare, d1, made).equal:
            raise RuntimeError("the benchmark's own load was not proved")
        timed("raw read", raw_read, d1)
        bodies = ready(made)
        token = {"Authorization": f"Bearer {runtime.worker_token.reveal()}"}
        with httpx.Client(headers=token, timeout=300, trust_env=False) as http:
            timed("ceiling", lambda: [http.post(f"{runtime.url}/enqueue", content=body) for body in bodies])
        jobs.compare(d1, made)
    return seconds


def plain_read(redis: Redis) -> None:
    """Every message, as Redis gives it, read once."""
    for at in range(0, redis.llen(QUEUE), 500):
        for message in redis.lrange(QUEUE, at, at + 499):
            json.loads(message)


def raw_read(d1: D1) -> None:
    """Every row, received and thrown away."""
    last = ""
    while page := d1.query(
        "SELECT id, queue, task, body FROM received_jobs WHERE id > ? ORDER BY id LIMIT 500", last
    ).rows:
        last = page[-1][0]


def ready(made: jobs.Manifest) -> list[bytes]:
    """The requests that a load makes."""
    items = [item(one.id, one.queue, one.task, one.body or "", one.eta, one.expires) for one in made.handed_over]
    return [json.dumps(items[at : at + BATCH]).encode() for at in range(0, len(items), BATCH)]


def empty(d1: D1) -> None:
    """The consumers' tables, with nothing in them."""
    for file in ("0003_jobs.sql", "0004_dead_jobs.sql"):
        text = (ROOT / "runbooks/personality-spark/worker/migrations" / file).read_text(encoding="utf-8")
        create = re.sub(r"--[^\n]*", "", text).replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS").strip().rstrip(";")
        d1.batch([create])
    d1.batch(["DELETE FROM received_jobs", "DELETE FROM received_jobs_dead"])


def make(redis: Redis, count: int) -> None:
    """A seeded queue, in Celery's own form."""
    seeded = random.Random(8)
    pipeline = redis.pipeline(transaction=False)
    for number in range(count):
        id, tag = (str(uuid.UUID(int=seeded.getrandbits(128), version=4)) for _ in range(2))
        embed = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
        body = json.dumps([[id, number], {"channel": seeded.choice(("mail", "chat", "naïve"))}, embed])
        headers = {"lang": "py", "task": TASK, "id": id, "eta": None, "expires": None, "retries": 0, "root_id": id}
        message = {
            "body": base64.b64encode(body.encode()).decode(),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": headers | {"argsrepr": body[:200], "origin": "gen1@old", "timelimit": [None, None]},
            "properties": {"body_encoding": "base64", "delivery_tag": tag, "priority": 0, "correlation_id": id},
        }
        pipeline.lpush(QUEUE, json.dumps(message))
    pipeline.execute()


if __name__ == "__main__":
    raise SystemExit(main())
