"""What the consumers keep in D1: received_jobs, and received_jobs_dead for what no attempt could run."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from towpath.cloudflare.d1 import D1
from towpath.jobs.message import digest

TABLE, DEAD = "received_jobs", "received_jobs_dead"
FIRST_PAGE, LONGEST_PAGE, SHORTEST_PAGE = 100, 500, 10  # rows
PAGE_BYTES = 2_000_000
IDS = 500  # in one statement that deletes


@dataclass(frozen=True, slots=True)
class Received:
    """One row: a job that a consumer kept.  `reason` is "" for one that arrived as it should."""

    id: str
    queue: str
    task: str
    digest: str
    bytes: int
    reason: str


def counts(d1: D1) -> tuple[int, int]:
    """Rows of both tables.  Raises D1Error, also where a table is not there."""
    answers = d1.batch([f'SELECT count(*) FROM "{name}"' for name in (TABLE, DEAD)], idempotent=True)
    return int(answers[0].rows[0][0]), int(answers[1].rows[0][0])


def received(d1: D1, table: str) -> Iterator[Received]:
    """The rows of one of the tables in the order of ids, page by page."""
    reason = "reason" if table == DEAD else "''"
    last, rows = "", FIRST_PAGE
    while True:
        sql = f'SELECT id, queue, task, body, {reason} FROM "{table}" WHERE id > ? ORDER BY id LIMIT {rows}'
        page = d1.query(sql, last).rows
        total = 1
        for id, queue, task, body, why in page:
            size = len(body.encode())
            total += size
            yield Received(id, queue, task, digest(task, body), size, why)
        if len(page) < rows:
            return
        last = page[-1][0]
        rows = max(SHORTEST_PAGE, min(LONGEST_PAGE, rows * PAGE_BYTES // total))


def arrived(d1: D1) -> frozenset[str]:
    """The ids that the consumers kept, dead ones too."""
    return frozenset(row.id for table in (TABLE, DEAD) for row in received(d1, table))


def withdraw(d1: D1, ids: Collection[str]) -> int:
    """Remove jobs that the old side ran itself, so that the new one does not; return how many were there."""
    listed, removed = sorted(ids), 0
    for start in range(0, len(listed), IDS):
        part = json.dumps(listed[start : start + IDS])
        sql = f'DELETE FROM "{TABLE}" WHERE id IN (SELECT value FROM json_each(?))'
        removed += d1.batch([(sql, [part])], idempotent=True)[0].changes
    return removed
