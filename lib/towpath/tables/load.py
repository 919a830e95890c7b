"""The chunks of a snapshot sent to D1: each exactly once, in load order, over two connections.

The chunks are request bodies already; sending one costs a decompression.  Between tables there is a barrier, because a
child's row may not arrive before its parent's.  What is cut, at any point, is repeated: receipts say what is there.
Where a fence stands, each transaction lifts it for itself; one behind which D1 may be ahead lets nothing through.
"""

from __future__ import annotations

import hashlib
import itertools
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from towpath.checks import Progress, silent
from towpath.cloudflare.d1 import D1
from towpath.errors import WrongUse
from towpath.tables import fence
from towpath.tables.manifest import Chunk, Manifest, read_chunk
from towpath.tables.schema import literal
from towpath.tables.statements import item
from towpath.tables.target import CREATE, once, receipt, receipts

CONNECTIONS = 2  # measured: two keep the runtime busy, more gain nothing
AHEAD = 4  # chunks handed to the connections at a time, so that memory stays small


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a load did; `skipped` were there already."""

    chunks: int
    skipped: int
    rows: int
    bytes: int
    seconds: float


def load(d1: D1, folder: Path, manifest: Manifest, report: Progress = silent, connections: int = CONNECTIONS) -> Loaded:
    """Send every chunk that the target has no receipt for; `report` counts rows.

    Raises D1Error when the target refuses a chunk, CannotFinish when it cannot be reached, BadInput when a chunk on
    disk is damaged: whatever was written has its receipt, and the same call goes on from there.  Raises WrongUse when
    the target has accepted writes of its own that nobody carried back.
    """
    started = time.monotonic()
    d1.batch(CREATE, idempotent=True)
    done = receipts(d1, receipt_prefix(manifest))
    for chunk in manifest.chunks:
        if chunk.id in done and done[chunk.id].sha256 != chunk.sha256:
            raise WrongUse(
                "the target holds this chunk with another content", object=chunk.id, next="begin on an empty database"
            )
    todo = [chunk for chunk in manifest.chunks if chunk.id not in done]
    stands = fence.read(d1) if todo else None
    if stands and (stands.ahead or not stands.closed):
        step = "go the way back, 07-roll-back: what was written there would be lost"
        raise WrongUse("the target may hold what the source does not", object=d1.database_id, next=step)
    report(sum(chunk.rows for chunk in manifest.chunks if chunk.id in done and chunk.kind != "links"))
    with ThreadPoolExecutor(connections, thread_name_prefix="load") as pool:
        for _, group in itertools.groupby(todo, key=lambda chunk: (chunk.kind, chunk.table)):
            _send_all(pool, d1, folder, group, report, fenced=stands is not None)
    return Loaded(
        chunks=len(todo),
        skipped=len(manifest.chunks) - len(todo),
        rows=sum(chunk.rows for chunk in todo if chunk.kind != "links"),  # those rows were sent before
        bytes=sum(chunk.size for chunk in todo),
        seconds=time.monotonic() - started,
    )


def receipt_prefix(manifest: Manifest) -> str:
    """What the receipts of its chunks begin with: a delta's name both snapshots."""
    return manifest.chunks[0].id.split("/")[0] if manifest.chunks else manifest.id


def send_chunk(d1: D1, folder: Path, chunk: Chunk, *, fenced: bool = False) -> bool:
    """Send one chunk with its receipt.  True if it was written now, False if it was there."""
    return once(d1, body(folder, chunk, fenced=fenced), chunk.id, chunk.sha256)


def body(folder: Path, chunk: Chunk, *, fenced: bool = False) -> bytes:
    """The request body of a chunk: its receipt first, then its statements as they lie on disk.

    `fenced`: between the two the fence is lifted, and put back after them, before the transaction ends.
    """
    items = [d1_item(receipt(chunk.id, chunk.sha256, chunk.rows)), read_chunk(folder, chunk)]
    if fenced:
        items = [items[0], d1_item(fence.LIFT), items[1], d1_item(fence.PUT_BACK)]
    return b'{"batch":[' + b",".join(items) + b"]}"


def d1_item(sql: str) -> bytes:
    """One statement as a JSON item."""
    return item(sql.encode())


def _send_all(
    pool: ThreadPoolExecutor, d1: D1, folder: Path, chunks: Iterable[Chunk], report: Progress, *, fenced: bool
) -> None:
    waiting: dict[Future[bool], Chunk] = {}

    def settle(until: int) -> None:
        while len(waiting) > until:
            finished, _ = wait(waiting, return_when=FIRST_EXCEPTION if until == 0 else "FIRST_COMPLETED")
            for future in finished:
                chunk = waiting.pop(future)
                future.result()
                if chunk.kind != "links":
                    report(chunk.rows)

    try:
        for chunk in chunks:
            waiting[pool.submit(send_chunk, d1, folder, chunk, fenced=fenced)] = chunk
            settle(0 if chunk.kind == "delta" else AHEAD - 1)  # the chunks of a delta stand on each other
        settle(0)
    finally:
        for future in waiting:
            future.cancel()


def finish(
    d1: D1, manifest: Manifest, statements: Sequence[str], sequences: Mapping[str, int], report: Progress = silent
) -> int:
    """After the rows: sequences, indexes, views, triggers, one transaction each with its receipt.

    `report` counts `statements`.  Returns how many of them were done now; the others were done before.
    """
    done = receipts(d1, f"{manifest.id}-after")
    new = 0
    work = [(sequence_statements(sequences), 0)] if sequences else []
    work += [([statement], 1) for statement in statements]
    for batch, count in work:
        digest = hashlib.sha256("\n".join(batch).encode()).hexdigest()
        id = f"{manifest.id}-after/{digest[:32]}"
        if id not in done:
            new += count * once(d1, d1.body([receipt(id, digest, 0), *batch]), id, digest)
        report(count)
    return new


def sequence_statements(sequences: Mapping[str, int]) -> list[str]:
    """Statements that make AUTOINCREMENT go on where the source stopped."""
    out = []
    for table, value in sorted(sequences.items()):
        out.append(f"DELETE FROM sqlite_sequence WHERE name = {literal(table)}")
        out.append(f"INSERT INTO sqlite_sequence (name, seq) VALUES ({literal(table)}, {value})")
    return out
