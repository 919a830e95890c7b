"""A whole run: targets made and struck, clean sources carried, everything counted."""

from __future__ import annotations

import math
import random
import secrets
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

from helpers.carry import Carried, carry
from helpers.worker_side import migrations

from mutation import clean, sources
from mutation.around import Around
from mutation.cache import Cache
from mutation.files import Files
from mutation.harness import Tally, strike
from mutation.queue import Queue
from mutation.tables import Tables
from towpath import keys
from towpath.cloudflare import D1, KV, Client
from towpath.jobs import Push
from towpath.local import State, start, worker_folder
from towpath.local.redis import start_redis
from towpath.tables import export

ROOT = Path(__file__).resolve().parents[2]
SMALL = 900  # bytes of a chunk in the source of many pages
WHOLE_EVERY = 60  # of how many faults one is looked for by everything that 05-validate asks
# How a round's faults are shared out: most of them are cheap, and most classes are classes of rows.
SHARES = {"rows": 0.75, "pages": 0.10, "around": 0.05, "objects": 0.03, "keys": 0.04, "jobs": 0.03}


@dataclass
class Result:
    """What a run came to."""

    seed: int
    tally: Tally = field(default_factory=Tally)
    clean: int = 0
    clean_rows: int = 0
    false: list[str] = field(default_factory=list)
    fault_seconds: float = 0.0
    clean_seconds: float = 0.0
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def perfect(self) -> bool:
        """True if every fault was named exactly and there was no false alarm."""
        return self.tally.perfect and not self.false


def run(
    faults: int,
    cleans: int,
    seed: int,
    minutes: float = math.inf,
    a_round: int = 500,
    tell: Callable[[str], object] = print,
    shares: Mapping[str, float] = SHARES,
) -> Result:
    """Seed `faults` faults and carry `cleans` clean sources; every round of `a_round` faults has sources of its own.

    After about two thirds of `minutes` no round of faults is begun any more, and after all of them no clean source.
    """
    result = Result(seed)
    end = time.monotonic() + 60 * minutes
    faults_end = end if math.isinf(minutes) else end - 20 * minutes
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="towpath-mutation-")))
        redis_server = start_redis(folder / "redis", ends_with_us=True)
        stack.callback(redis_server.stop)
        redis = stack.enter_context(keys.connect(redis_server.url(0), redis_server.secret))
        names = {"bucket": "mutation", "database_id": "mutation", "namespace": "mutation"}
        worker = worker_folder(ROOT, "personality-spark")
        state = State(folder / "runtime")
        runtime = stack.enter_context(
            start("mutation", "local", 0, root=ROOT, state=state, worker=worker, deadline=120.0, **names)
        )
        client = stack.enter_context(runtime.client())
        result.versions = dict(runtime.versions)
        jobs_d1 = D1(client, "mutation")
        jobs_d1.batch(migrations(ROOT))
        push = stack.enter_context(Push(runtime.url, runtime.worker_token))
        s3 = runtime.r2()
        stack.callback(s3.close)
        begun = time.monotonic()
        number = 0
        while result.tally.seeded < faults and time.monotonic() < faults_end:
            rng = random.Random(f"{seed}/{number}")
            here = folder / f"round-{number}"
            here.mkdir()
            share = Share(min(a_round, faults - result.tally.seeded), shares)
            _tables(client, here, rng, share, result.tally)
            files = Files(s3, runtime.bucket, here / "objects", f"round-{number}", rng)
            strike(files, rng, share.of("objects"), result.tally, WHOLE_EVERY)
            cache = Cache(KV(client, f"round-{number}"), redis, here / "keys")
            strike(cache, rng, share.of("keys"), result.tally, WHOLE_EVERY)
            queue = Queue(jobs_d1, push, here / "jobs", rng)
            strike(queue, rng, share.of("jobs"), result.tally, WHOLE_EVERY)
            number += 1
            tell(f"{result.tally.seeded:,} faults, {result.tally.named:,} named, {time.monotonic() - begun:.0f} s")
        result.fault_seconds = time.monotonic() - begun
        _clean(client, folder, cleans, end, result, tell)
    return result


class Share:
    """How many faults of a round each group gets; the rest falls to the first."""

    def __init__(self, total: int, shares: Mapping[str, float]) -> None:
        whole = sum(shares.values())
        self.counts = {name: int(total * part / whole) for name, part in shares.items()}
        self.counts["rows"] += total - sum(self.counts.values())

    def of(self, name: str) -> int:
        """Faults of one group."""
        return self.counts[name]


def _tables(client: Client, here: Path, rng: random.Random, share: Share, tally: Tally) -> None:
    made = _carried(client, here, "everything", rng)
    tables = Tables("rows", made)
    strike(tables, rng, share.of("rows"), tally, WHOLE_EVERY)
    around = Around(made, {held.name: (held.copy, held.names) for held in tables.held.values()})
    strike(around, rng, share.of("around"), tally, WHOLE_EVERY)
    made.exporter.close()
    with patch.object(export, "CHUNK_BYTES", SMALL):  # many pages without many rows: borders are where faults hide
        paged = _carried(client, here, "paged", rng)
    assert all(len(entry.pages) > 2 for entry in paged.manifest.tables)
    strike(Tables("rows of many pages", paged), rng, share.of("pages"), tally, WHOLE_EVERY)
    paged.exporter.close()


def _carried(client: Client, here: Path, which: str, rng: random.Random) -> Carried:
    source = here / f"{which}.sqlite"
    {"everything": sources.everything, "paged": sources.paged}[which](source, rng)
    decisions = sources.FILL if which == "everything" else []
    return carry(source, here / which, D1(client, f"{which}-{secrets.token_hex(8)}"), decisions)


def _clean(
    client: Client, folder: Path, cleans: int, end: float, result: Result, tell: Callable[[str], object]
) -> None:
    begun = time.monotonic()
    for number in range(cleans):
        if time.monotonic() > end:
            break
        here = folder / f"clean-{number}"
        here.mkdir()
        complaint, rows = clean.check(client, here, random.Random(f"{result.seed}/clean/{number}"))
        result.clean += 1
        result.clean_rows += rows
        if complaint:
            result.false.append(f"clean source {number}: {complaint}")
        if not (number + 1) % 100:
            tell(f"{number + 1:,} clean sources, {len(result.false)} false alarms, {time.monotonic() - begun:.0f} s")
    result.clean_seconds = time.monotonic() - begun
