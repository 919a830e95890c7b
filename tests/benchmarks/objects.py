"""How fast files reach the bucket and are proved, against what the same runtime does with the same bytes at hand.

    python tests/benchmarks/objects.py [--files 2000] [--size 100000] [--workers 1,2,4,8]

The limits are measured in the same run, with as many workers: `raw put` sends bodies that are ready in memory,
`raw get` fetches and hashes.  Neither lists, reads a disk, checks or remembers anything.  Ratios count, not seconds.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from towpath.local import State, start
from towpath.objects import Bucket, compare, entries, upload, walk, write

ROOT = Path(__file__).resolve().parents[2]
BUCKET, ROUNDS = "bench", 4  # rounds: an even number, in each order equally often
LIMITS = {"upload": "raw put", "compare": "raw get"}


@dataclass(frozen=True, slots=True)
class Measured:
    """Median seconds of one kind of work with a number of workers."""

    work: str
    workers: int
    seconds: float
    ratio: tuple[float, float, float] | None = None  # limit's seconds / these: least, median, most over the rounds


def main() -> int:
    """Measure, print one line for each kind of work and number of workers, and return 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=2_000)
    parser.add_argument("--size", type=int, default=100_000, help="bytes of each file")
    parser.add_argument("--workers", default="4", help="numbers of workers, e.g. 1,2,4,8")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="towpath-bench-") as folder:
        source = Path(folder, "source")
        bodies = make(source, given.files, given.size)
        state = State(Path(folder, "runtime"))
        with start("bench", "local", 0, bucket=BUCKET, database_id="bench", root=ROOT, state=state) as runtime:
            counts = [int(workers) for workers in given.workers.split(",")]
            for measured in measure(source, bodies, runtime.r2(), counts):
                print(line(measured, given.files, given.files * given.size), flush=True)
    print(f"peak memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB,")
    print(f"of which {given.files * given.size / 1e6:.0f} MB are the bodies held for the raw limit")
    return 0


def make(source: Path, files: int, size: int) -> dict[str, bytes]:
    """Seeded files on disk, and the same bytes in memory under their keys."""
    seeded, bodies = random.Random(8), {}
    for number in range(files):
        key = f"attachments/{number % 256:02x}/{number:06}.bin"
        bodies[key] = seeded.randbytes(size)
        path = source / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bodies[key])
    return bodies


def measure(source: Path, bodies: dict[str, bytes], s3: Any, counts: list[int]) -> list[Measured]:
    """All kinds of work with each number of workers.

    Everything takes turns within a round, so that a machine that is busy for a while slows all of it alike; a ratio is
    the median of the ratios within the rounds, not the ratio of two medians.
    """
    digests = {key: base64.b64encode(hashlib.md5(body).digest()).decode() for key, body in bodies.items()}
    rounds = [
        {workers: one_round(source, bodies, digests, s3, workers, ours_first=bool(number % 2)) for workers in order}
        for number, order in enumerate([counts, counts[::-1]] * (ROUNDS // 2))
    ]
    out = []
    for workers in counts:
        for work in rounds[0][workers]:
            seconds = statistics.median(taken[workers][work] for taken in rounds)
            limit = LIMITS.get(work)
            ratios = [taken[workers][limit] / taken[workers][work] for taken in rounds] if limit else []
            spread = (min(ratios), statistics.median(ratios), max(ratios)) if ratios else None
            out.append(Measured(work, workers, seconds, spread))
    return out


def one_round(
    source: Path, bodies: dict[str, bytes], digests: dict[str, str], s3: Any, workers: int, *, ours_first: bool
) -> dict[str, float]:
    """Seconds of every kind of work, once; the limits before or after ours, each into an empty bucket."""
    seconds: dict[str, float] = {}

    def put(key: str) -> None:
        s3.put_object(Bucket=BUCKET, Key=key, Body=bodies[key], ContentMD5=digests[key])

    def get(key: str) -> None:
        hashlib.md5(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()).digest()

    def many(work: Callable[[str], None]) -> None:
        with ThreadPoolExecutor(workers) as pool:
            for _ in pool.map(work, bodies):
                pass

    def timed(work: str, function: Callable[..., Any], *given: Any, **options: Any) -> Any:
        began = time.perf_counter()
        answer = function(*given, **options)
        seconds[work] = time.perf_counter() - began
        return answer

    def limits() -> None:
        empty(s3)
        timed("raw put", many, put)
        timed("raw get", many, get)

    def ours() -> None:
        empty(s3)
        inventory = timed("walk", walk, source, ["attachments"])
        manifest = timed("manifest", write, source.parent / "m.jsonl", entries(inventory), inventory.prefixes)
        uploaded = timed("upload", upload, manifest, source, s3, BUCKET, workers=workers)
        proof = timed("compare", compare, manifest, s3, BUCKET, workers=workers)
        again = timed("upload again", upload, manifest, source, s3, BUCKET, workers=workers)
        by_etag = timed("compare by etag", compare, manifest, s3, BUCKET, by="etag", workers=workers)
        if (uploaded.sent, again.skipped) != (len(bodies), len(bodies)) or not (proof.equal and by_etag.equal):
            raise RuntimeError("the benchmark's own upload was not proved")

    for part in (ours, limits) if ours_first else (limits, ours):
        part()
    return seconds


def empty(s3: Any) -> None:
    """Delete every object, so that each round begins with an empty bucket."""
    for found in list(Bucket(s3, BUCKET).list()):
        s3.delete_object(Bucket=BUCKET, Key=found.key)


def line(measured: Measured, files: int, size: int) -> str:
    """One measurement as people read it."""
    rate = f"{files / measured.seconds:7.0f} objects/s {size / measured.seconds / 1e6:7.1f} MB/s"
    ratio = "  ratio {1:.2f} ({0:.2f} to {2:.2f})".format(*measured.ratio) if measured.ratio else ""
    return f"{measured.work:<16} {measured.workers} workers {measured.seconds:7.2f} s {rate}{ratio}"


if __name__ == "__main__":
    raise SystemExit(main())
