"""How long the files take during the freeze: everything read again, against what was touched since.

Run by hand:  .venv/bin/python tests/benchmarks/freeze.py [--files 2000] [--size 10000] [--large 4] [--changed 20]

Many small files and a few of 50 MB lie in a bucket, and were proved there.  Some small ones then change.  Both ways do
the same work in the same run, in turns, against the real local runtime.  Ratios count, not seconds.
"""

from __future__ import annotations

import argparse
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from towpath import objects
from towpath.local import State, start

ROOT = Path(__file__).resolve().parents[2]
BUCKET, ROUNDS, LARGE = "bench", 4, 50_000_000
STEPS = ("walk", "apply", "prove")


def main() -> int:
    """Measure, print one line for each step, and return 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=2_000)
    parser.add_argument("--size", type=int, default=10_000, help="bytes of each small file")
    parser.add_argument("--large", type=int, default=4, help="files of 50 MB")
    parser.add_argument("--changed", type=int, default=20, help="small files that change in each round")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="towpath-bench-") as folder:
        state = State(Path(folder, "runtime"))
        with start("bench", "local", 0, bucket=BUCKET, database_id="bench", root=ROOT, state=state) as runtime:
            voyage = Voyage(Path(folder), runtime.r2(), given.files, given.size, given.large)
            rounds = [voyage.round(given.changed, ours_first=bool(number % 2)) for number in range(ROUNDS)]
    for step in STEPS:
        before, now = (statistics.median(taken[way, step] for taken in rounds) for way in ("everything", "touched"))
        ratios = sorted(taken["everything", step] / taken["touched", step] for taken in rounds)
        spread = f"ratio {statistics.median(ratios):.1f} ({ratios[0]:.1f} to {ratios[-1]:.1f})"
        print(f"{step:<6} everything {before:7.2f} s   touched {now:7.2f} s   {spread}", flush=True)
    print(f"peak memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    return 0


class Voyage:
    """Files that were carried over and proved, and change from round to round."""

    def __init__(self, folder: Path, s3: Any, files: int, size: int, large: int) -> None:
        self.folder, self.s3, self.root, self.random = folder, s3, folder / "source", random.Random(8)
        self.small = [self.root / f"attachments/{n % 256:02x}/{n:06}.bin" for n in range(files)]
        for path in self.small:
            self.fill(path, size)
        for number in range(large):
            self.fill(self.root / f"attachments/large-{number}.bin", LARGE)
        objects.upload(self.listed(objects.walk(self.root, ["attachments"])), self.root, s3, BUCKET)

    def fill(self, path: Path, size: int) -> None:
        """Other bytes, as many."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.random.randbytes(size))

    def listed(self, found: objects.Inventory, name: str = "objects.jsonl") -> objects.Manifest:
        """The list of objects that was found."""
        return objects.write(self.folder / name, objects.entries(found), found.prefixes)

    def round(self, changed: int, *, ours_first: bool) -> dict[tuple[str, str], float]:
        """Seconds of each step, both ways."""
        seen, kept = self.folder / "seen.jsonl", self.folder / "proved.jsonl"
        time.sleep(2.1)  # what was written a moment ago is not believed, and this is no test
        found = objects.walk(self.root, ["attachments"], settled=objects.settle(self.root))
        before = self.listed(found)
        objects.keep_seen(seen, found, before)
        proof = objects.compare(before, self.s3, BUCKET, keep=kept, same_clock=True)
        seconds: dict[tuple[str, str], float] = {}

        def timed(way: str, step: str, function: Callable[[], Any]) -> Any:
            began = time.perf_counter()
            answer = function()
            seconds[way, step] = time.perf_counter() - began
            return answer

        ways = ("touched", "everything") if ours_first else ("everything", "touched")
        chosen = self.random.sample(self.small, 2 * changed)
        old = before
        for way, paths in zip(ways, (chosen[:changed], chosen[changed:]), strict=True):
            for path in paths:
                self.fill(path, path.stat().st_size)
            ours = way == "touched"
            known = objects.read_seen(seen, before) if ours else None
            walked = timed(way, "walk", lambda known=known: objects.walk(self.root, ["attachments"], known=known))
            new = self.listed(walked, f"{way}.jsonl")
            todo = replace(objects.delta(old, new), asked=ours)
            timed(way, "apply", lambda todo=todo: objects.apply_delta(todo, self.root, self.s3, BUCKET))
            proved = objects.read_proved(kept, BUCKET, "the first proof") if ours else None
            again = timed(
                way, "prove", lambda new=new, proved=proved: objects.compare(new, self.s3, BUCKET, before=proved)
            )
            if not (proof.equal and again.equal):
                raise RuntimeError("the benchmark's own upload was not proved")
            old = new
        return seconds


if __name__ == "__main__":
    raise SystemExit(main())
