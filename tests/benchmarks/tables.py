"""How fast rows leave a SQLite source, reach D1 and are proved there, against what the same engines do unhindered.

    python tests/benchmarks/tables.py [--rows 200000] [--rounds 3]

The workload is that of `m1`: users, quiz results of JSON, messages with quotes and characters of many bytes, analytics
with integers, decimals, doubles and dates, and blobs; about 400 bytes a row.  The limits are measured in the same run:

    scan      every row read by a plain `quote()` of each column, in heap order, nothing kept
    ceiling   the same request bodies, ready in memory, through the same client: no receipts, no disk, no decompression
    raw read  the same key ranges as plain rows of JSON, neither parsed nor compared

Ratios count, not seconds: parts of a round take turns, and a ratio is the median of the ratios within the rounds.
"""

from __future__ import annotations

import argparse
import random
import resource
import secrets
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import groupby
from pathlib import Path
from typing import Any

import apsw
import httpx

from towpath.cloudflare.d1 import D1
from towpath.local import State, start
from towpath.tables import compare, load, snapshot, target
from towpath.tables.export import Exporter
from towpath.tables.manifest import Manifest, read_chunk
from towpath.tables.profile import profile
from towpath.tables.schema import quoted, reflect
from towpath.tables.source import open_source

ROOT = Path(__file__).resolve().parents[2]
CLAIM = {"system": "bench", "environment": "local", "run": "bench"}
DDL = """
CREATE TABLE users (id TEXT PRIMARY KEY NOT NULL, email TEXT NOT NULL UNIQUE, active BOOLEAN NOT NULL,
    created TEXT NOT NULL, settings TEXT NOT NULL);
CREATE TABLE quiz_results (id INTEGER PRIMARY KEY, user_id TEXT NOT NULL REFERENCES users (id), answers TEXT NOT NULL,
    score REAL, at TEXT NOT NULL);
CREATE TABLE messages (id INTEGER PRIMARY KEY, user_id TEXT NOT NULL REFERENCES users (id), body TEXT NOT NULL,
    read INTEGER NOT NULL);
CREATE TABLE analytics (id INTEGER PRIMARY KEY, user_id TEXT REFERENCES users (id), event TEXT NOT NULL, amount NUMERIC,
    ratio REAL, day TEXT NOT NULL, big INTEGER);
CREATE TABLE files (id INTEGER PRIMARY KEY, name TEXT NOT NULL, content BLOB NOT NULL);
"""
SHARES = {"users": 0.10, "quiz_results": 0.35, "messages": 0.35, "analytics": 0.15, "files": 0.05}
WORDS = (
    "it's",
    "naïve",
    "漢字",
    "plain",
    "words",
    "😀",
    '"quoted"',
    "\\n",
    "Straße",
    "and",
    "more",
    "text",
    "of",
    "people",
)


def main() -> int:
    """Measure, print one line for each kind of work, and return 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="towpath-bench-") as folder:
        source = make(Path(folder, "source.sqlite"), given.rows)
        state = State(Path(folder, "runtime"))
        with start("bench", "local", 0, bucket="bench", database_id="bench", root=ROOT, state=state) as runtime:
            rounds = []
            for number in range(given.rounds):
                with runtime.client() as client:
                    bench = Round(source, Path(folder, f"run-{number}"), client)
                    rounds.append(bench.run(ours_first=number % 2 == 0))
                    if number == 0:
                        megabytes = bench.bytes / 1e6
                        print(
                            f"{bench.rows:,} rows, {megabytes:.0f} MB as statements, {bench.chunks} chunks", flush=True
                        )
                        peak = bench.peak
    report(rounds, given.rows, megabytes)
    print(f"peak memory of the process over census, export, load and proof: {peak / 1024:.0f} MB")
    return 0


def report(rounds: list[dict[str, float]], rows: int, megabytes: float) -> None:
    """One line for each kind of work, then the ratios."""
    for work in rounds[0]:
        seconds = statistics.median(taken[work] for taken in rounds)
        print(f"{work:<10} {seconds:7.2f} s {rows / seconds / 1000:8.1f} k rows/s {megabytes / seconds:7.1f} MB/s")
    for words, over, under in (
        ("load reaches {} of the ceiling (goal: at least 0.8)", "ceiling", "load"),
        ("the proof takes {} of the load's time (goal: at most 1.0)", "prove", "load"),
        ("the proof takes {} of what raw reading takes", "prove", "raw read"),
        ("the export takes {} of what a plain scan takes", "export", "scan"),
    ):
        ratios = [taken[over] / taken[under] for taken in rounds]
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        print(words.format(spread))


class Round:
    """Everything once: ours, and the limits."""

    def __init__(self, source: Path, folder: Path, client: Any) -> None:
        self.source, self.folder, self.client = source, folder, client
        headers = {"Accept-Encoding": "identity", "Content-Type": "application/json"}
        self.http = httpx.Client(headers=headers, timeout=300, trust_env=False)
        self.seconds: dict[str, float] = {}
        self.rows = self.bytes = self.chunks = self.peak = 0

    def run(self, *, ours_first: bool) -> dict[str, float]:
        """Seconds by kind of work; every load goes into a new database."""
        self.timed("scan", self.scan)
        with closing(open_source(self.source, closed_cleanly=True)) as db:
            self.timed("census", profile, db, reflect(db))
            path = self.timed("snapshot", snapshot.take, db, self.folder)
        exporter = Exporter(path)
        made = self.timed("export", exporter.export, "plan", {})
        self.rows, self.chunks, self.bytes = made.rows, len(made.chunks), sum(chunk.size for chunk in made.chunks)
        for part in (self.ours, self.limits) if ours_first else (self.limits, self.ours):
            part(exporter, made)
        exporter.close()
        return self.seconds

    def ours(self, exporter: Exporter, made: Manifest) -> None:
        """Load with receipts, from disk; every cell compared."""
        d1 = self.database(exporter)
        self.timed("load", load.load, d1, self.folder, made)
        proof = self.timed("prove", compare.compare, d1, made, exporter.db, exporter.relations)
        if not proof.equal:
            raise RuntimeError("the benchmark's own load was not proved")
        self.peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def limits(self, exporter: Exporter, made: Manifest) -> None:
        """The same bodies from memory; the same ranges as plain rows."""
        d1 = self.database(exporter)
        bodies = [
            [b'{"batch":[' + read_chunk(self.folder, chunk) + b"]}" for chunk in chunks]
            for _, chunks in groupby(made.chunks, key=lambda chunk: chunk.table)
        ]
        with ThreadPoolExecutor(load.CONNECTIONS) as pool:
            self.timed("ceiling", lambda: [list(pool.map(d1.send, part)) for part in bodies])
            bodies.clear()
            reads = [d1.body([sql]) for sql in raw_reads(exporter, made)]
            self.timed("raw read", lambda: list(pool.map(lambda body: self.read(d1, body), reads)))

    def read(self, d1: D1, body: bytes) -> int:
        """One answer, received and thrown away."""
        address = f"{d1.client.base}/d1/database/{d1.database_id}/raw"
        return len(self.http.post(address, content=body).raise_for_status().content)

    def scan(self) -> None:
        """Every cell of the source as a literal."""
        with closing(open_source(self.source, closed_cleanly=True)) as db:
            for table in reflect(db).moving:
                cells = ", ".join(f"quote({quoted(column.name)})" for column in table.columns)
                for _ in db.execute(f"SELECT {cells} FROM {quoted(table.name)}"):
                    pass

    def database(self, exporter: Exporter) -> D1:
        """A new database with the tables of the source."""
        d1 = D1(self.client, f"bench-{secrets.token_hex(8)}")
        target.apply_migration(d1, "0001_tables.sql", [table.sql for table in exporter.schema.moving], CLAIM)
        return d1

    def timed(self, work: str, function: Callable[..., Any], *given: Any) -> Any:
        """Call, and keep the seconds under the name of the work."""
        began = time.perf_counter()
        answer = function(*given)
        self.seconds[work] = time.perf_counter() - began
        return answer


def raw_reads(exporter: Exporter, made: Manifest) -> Iterator[str]:
    """Every page as plain columns."""
    for entry in made.tables:
        relation = exporter.relations[entry.name].arriving()
        for page in entry.pages:
            yield f"SELECT * FROM {quoted(entry.name)}{relation.where(page.low, page.high)}"


def make(path: Path, rows: int) -> Path:
    """A seeded source."""
    seeded = random.Random(8)
    count = {name: max(1, int(rows * share)) for name, share in SHARES.items()}
    count["messages"] += rows - sum(count.values())
    users = [str(uuid.UUID(int=seeded.getrandbits(128), version=4)) for _ in range(count["users"])]

    def day() -> str:
        return f"20{seeded.randrange(10, 27)}-{seeded.randrange(1, 13):02}-{seeded.randrange(1, 29):02}"

    def text(least: int, most: int) -> str:
        out, size = [], seeded.randrange(least, most)
        while size > 0:
            out.append(seeded.choice(WORDS))
            size -= len(out[-1]) + 1
        return " ".join(out)

    def moment() -> str:
        return f"{day()}T{seeded.randrange(24):02}:{seeded.randrange(60):02}:00.{seeded.randrange(10**6):06}+00:00"

    def number(below: int) -> int:
        return seeded.randrange(below)

    made: dict[str, Callable[[int], tuple[object, ...]]] = {
        "users": lambda n: (users[n - 1], f"{n}.{text(5, 9)}@example.com", n % 7 > 0, moment(), '{"theme": "dark"}'),
        "quiz_results": lambda n: (
            n, seeded.choice(users), f'{{"answers": "{text(180, 780)}"}}', seeded.random() * 100, moment(),
        ),
        "messages": lambda n: (n, seeded.choice(users), text(20, 500), n % 2),
        "analytics": lambda n: (
            n, seeded.choice([*users[:50], None]), "view", number(10**5) / 100, seeded.random(), day(), number(2**62),
        ),
        "files": lambda n: (n, f"{text(5, 20)}.bin", seeded.randbytes(seeded.randrange(100, 900))),
    }  # fmt: skip
    with closing(apsw.Connection(str(path))) as db:
        db.execute(f"PRAGMA journal_mode = OFF; {DDL}").fetchall()
        for name, row in made.items():
            marks = ", ".join("?" * len(row(1)))
            with db:
                db.executemany(f"INSERT INTO {name} VALUES ({marks})", map(row, range(1, count[name] + 1)))
    return path


if __name__ == "__main__":
    raise SystemExit(main())
