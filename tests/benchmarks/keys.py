"""How fast keys leave Redis, reach KV and are proved there, against what the same engines do unhindered.

    python tests/benchmarks/keys.py [--keys 20000] [--rounds 3]

The workload is a cache as applications keep one: JSON texts and hashes with an expiry, a few counters, one sorted set,
about 300 bytes a key.  The limits are measured in the same run:

    plain read  every value by a pipelined command of its type, names and types known, nothing kept
    ceiling     the same request bodies, ready in memory, through the same client: no receipts, no decompression
    raw read    the same keys a hundred at a time, neither parsed nor compared

Ratios count, not seconds: parts of a round take turns, and a ratio is the median of the ratios within the rounds.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import secrets
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
from redis import Redis

from towpath import keys
from towpath.cloudflare import KV, Client
from towpath.cloudflare.kv import GET_KEYS
from towpath.keys.compare import CONNECTIONS as READERS
from towpath.keys.load import CONNECTIONS
from towpath.local import State, start
from towpath.local.redis import start_redis

ROOT = Path(__file__).resolve().parents[2]
RULES = (keys.KeyRule("*", "json", "lift"),)
WORDS = ("it's", "naïve", "漢字", "plain", "words", "😀", '"quoted"', "Straße", "and", "more", "of", "people")
READ = {b"string": ("GET",), b"hash": ("HGETALL",), b"zset": ("ZRANGE", 0, -1, "WITHSCORES")}


def main() -> int:
    """Measure, print one line for each kind of work, and return 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="towpath-bench-") as folder:
        server = start_redis(Path(folder, "redis"), ends_with_us=True)
        redis = keys.connect(server.url(0), server.secret)
        make(redis, given.keys)
        state = State(Path(folder, "runtime"))
        with start("bench", "local", 0, bucket="bench", database_id="bench", root=ROOT, state=state) as runtime:
            rounds = []
            for number in range(given.rounds):
                with runtime.client() as client:
                    bench = Round(redis, Path(folder, f"run-{number}"), client)
                    rounds.append(bench.run(ours_first=number % 2 == 0))
                    if number == 0:
                        print(f"{bench.keys:,} keys, {bench.bytes / 1e6:.0f} MB, {bench.chunks} chunks", flush=True)
                        peak = bench.peak
        server.stop()
    report(rounds, bench.keys, bench.bytes / 1e6)
    print(f"peak memory of the process over export, load and proof: {peak / 1024:.0f} MB")
    return 0


def report(rounds: list[dict[str, float]], count: int, megabytes: float) -> None:
    """One line for each kind of work, then the ratios."""
    for work in rounds[0]:
        seconds = statistics.median(taken[work] for taken in rounds)
        print(f"{work:<10} {seconds:7.2f} s {count / seconds / 1000:8.1f} k keys/s {megabytes / seconds:7.1f} MB/s")
    for words, over, under in (
        ("load reaches {} of the ceiling (goal: at least 0.8)", "ceiling", "load"),
        ("the proof takes {} of the load's time (goal: at most 1.0)", "prove", "load"),
        ("the proof takes {} of what raw reading takes", "prove", "raw read"),
        ("the export takes {} of what a plain read takes", "export", "plain read"),
    ):
        ratios = [taken[over] / taken[under] for taken in rounds]
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        print(words.format(spread))


class Round:
    """Everything once: ours, and the limits."""

    def __init__(self, redis: Redis, folder: Path, client: Client) -> None:
        self.redis, self.folder, self.client = redis, folder, client
        headers = {"Accept-Encoding": "identity", "Content-Type": "application/json"}
        self.http = httpx.Client(headers=headers, timeout=300, trust_env=False)
        self.seconds: dict[str, float] = {}
        self.keys = self.bytes = self.chunks = self.peak = 0

    def run(self, *, ours_first: bool) -> dict[str, float]:
        """Seconds by kind of work; every load goes into a new namespace."""
        names = list(self.redis.scan_iter(count=1_000))
        types = [self.redis.type(name) for name in names]
        self.timed("plain read", self.plain_read, names, types)
        self.timed("inventory", keys.inventory, self.redis, RULES)
        made = self.timed("export", keys.export, self.redis, RULES, self.folder)
        self.keys, self.bytes, self.chunks = made.keys, made.bytes, len(made.chunks)
        for part in (self.ours, self.limits) if ours_first else (self.limits, self.ours):
            part(made)
        return self.seconds

    def ours(self, made: keys.Manifest) -> None:
        """Load with receipts, from disk; every key compared."""
        kv = self.namespace()
        self.timed("load", keys.load, kv, made)
        proof = self.timed("prove", keys.compare, kv, made)
        if not proof.equal:
            raise RuntimeError("the benchmark's own load was not proved")
        self.peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def limits(self, made: keys.Manifest) -> None:
        """The same bodies from memory; the same keys as plain answers."""
        kv = self.namespace()
        bodies = [made.body(chunk) for chunk in made.chunks]
        names = [entry.key for entry in made]
        reads = [json.dumps({"keys": names[at : at + GET_KEYS]}).encode() for at in range(0, len(names), GET_KEYS)]
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            self.timed("ceiling", lambda: list(pool.map(kv.put, bodies)))
        with ThreadPoolExecutor(READERS) as pool:
            self.timed("raw read", lambda: list(pool.map(lambda body: self.read(kv, body), reads)))

    def read(self, kv: KV, body: bytes) -> int:
        """One answer, received and thrown away."""
        address = f"{kv.client.base}/storage/kv/namespaces/{kv.namespace}/bulk/get"
        return len(self.http.post(address, content=body).raise_for_status().content)

    def plain_read(self, names: list[bytes], types: list[bytes]) -> None:
        """Every value, as redis-py gives it."""
        for at in range(0, len(names), 250):
            pipeline = self.redis.pipeline(transaction=False)
            for name, type in zip(names[at : at + 250], types[at : at + 250], strict=True):
                command, *rest = READ[type]
                pipeline.execute_command(command, name, *rest)
            pipeline.execute()

    def namespace(self) -> KV:
        """A new namespace."""
        return KV(self.client, f"bench-{secrets.token_hex(8)}")

    def timed(self, work: str, function: Callable[..., Any], *given: Any) -> Any:
        """Call, and keep the seconds under the name of the work."""
        began = time.perf_counter()
        answer = function(*given)
        self.seconds[work] = time.perf_counter() - began
        return answer


def make(redis: Redis, count: int) -> None:
    """A seeded cache."""
    seeded = random.Random(8)

    def text(least: int, most: int) -> str:
        return " ".join(seeded.choice(WORDS) for _ in range(seeded.randrange(least, most)))

    for start_at in range(0, count, 1_000):
        pipeline = redis.pipeline(transaction=False)
        for number in range(start_at, min(count, start_at + 1_000)):
            ends = seeded.randrange(36_000, 900_000)
            if number % 5 == 0:
                session = {"user": f"{seeded.getrandbits(128):032x}", "theme": "dark", "name": text(1, 3)}
                pipeline.hset(f"session:{number:06}", mapping=session)
                pipeline.expire(f"session:{number:06}", ends)
            elif number % 5 == 1:
                pipeline.set(f"counter:{number:06}", seeded.randrange(10**6))
            else:
                body = json.dumps({"id": number, "text": text(20, 110)}, ensure_ascii=False)
                pipeline.set(f"quiz:{number:06}", body, ex=ends)
        pipeline.execute()
    redis.zadd("leaderboard", {f"user:{number}": seeded.random() * 100 for number in range(1_000)})


if __name__ == "__main__":
    raise SystemExit(main())
