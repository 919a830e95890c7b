"""What the consumers keep in D1: received_jobs, received_jobs_dead for what no attempt could run, and job_states."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from towpath.cloudflare.d1 import D1
from towpath.errors import CannotFinish
from towpath.jobs.message import digest

TABLE, DEAD = "received_jobs", "received_jobs_dead"
STATES = "job_states"  # beside them, what became of each
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


@dataclass(frozen=True, slots=True)
class Kept:
    """One job with what became of it on the new side.  `begun`: a consumer took it up; `dead`: no attempt could run it.

    `received` in seconds since 1970; a job that only its state is known of has no queue and no task.
    """

    id: str
    queue: str
    task: str
    body: str
    received: int
    eta: str | None
    expires: str | None
    begun: bool
    ran: bool
    returned: bool
    dead: bool


def counts(d1: D1) -> tuple[int, int]:
    """Rows of both tables.  Raises D1Error, also where a table is not there."""
    answers = d1.batch([f'SELECT count(*) FROM "{name}"' for name in (TABLE, DEAD)], idempotent=True)
    return int(answers[0].rows[0][0]), int(answers[1].rows[0][0])


def received(d1: D1, table: str) -> Iterator[Received]:
    """The rows of one of the tables in the order of ids, page by page."""
    reason = "reason" if table == DEAD else "''"
    for id, body, queue, task, why in _rows(d1, f'SELECT id, body, queue, task, {reason} FROM "{table}"'):
        yield Received(id, queue, task, digest(task, body), len(body.encode()), why)


def kept(d1: D1) -> Iterator[Kept]:
    """Every job that a consumer knows, with what became of it; the body only of what did not run.

    Raises CannotFinish where the consumers do not keep that.
    """
    says_what_ran(d1)
    state = "s.eta, s.expires, s.begun_at IS NOT NULL, s.ran_at IS NOT NULL, s.returned_at IS NOT NULL"
    for table in (TABLE, DEAD):
        body = "CASE WHEN s.ran_at IS NULL THEN j.body ELSE '' END"
        sql = f'SELECT id, {body}, j.queue, j.task, j.received_at, {state} FROM "{table}" j'
        for id, text, queue, task, at, eta, expires, begun, ran, returned in _rows(
            d1, f'{sql} LEFT JOIN "{STATES}" s USING (id)'
        ):
            became = {"begun": bool(begun), "ran": bool(ran), "returned": bool(returned)}
            yield Kept(id, queue, task, text, int(at), eta, expires, **became, dead=table == DEAD)
    only = f"""SELECT id, '', '', '', 0, {state} FROM "{STATES}" s
        WHERE NOT EXISTS (SELECT 1 FROM "{TABLE}" j WHERE j.id = s.id)
        AND NOT EXISTS (SELECT 1 FROM "{DEAD}" d WHERE d.id = s.id)"""
    for id, *_, eta, expires, begun, ran, returned in _rows(d1, f"SELECT * FROM ({only})"):
        yield Kept(id, "", "", "", 0, eta, expires, bool(begun), bool(ran), bool(returned), False)


def says_what_ran(d1: D1) -> None:
    """Raises CannotFinish where the consumers do not keep what became of a job."""
    if not d1.query("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", STATES).rows:
        what, step = "the consumer does not say which jobs ran", f"let it keep {STATES} as docs/jobs.md has it"
        raise CannotFinish(what, object=f"D1 {d1.database_id}", next=step)


def _rows(d1: D1, sql: str) -> Iterator[list[Any]]:
    """The rows of a query page by page; their first column is the id, by which they are ordered, the second a body."""
    last, rows = "", FIRST_PAGE
    while True:
        page = d1.query(f"{sql} WHERE id > ? ORDER BY id LIMIT {rows}", last).rows
        yield from page
        if len(page) < rows:
            return
        last = page[-1][0]
        total = 1 + sum(len(row[1].encode()) for row in page)
        rows = max(SHORTEST_PAGE, min(LONGEST_PAGE, rows * PAGE_BYTES // total))


def arrived(d1: D1) -> frozenset[str]:
    """The ids that the consumers kept, dead ones too."""
    return frozenset(row.id for table in (TABLE, DEAD) for row in received(d1, table))


def hand_back(d1: D1, ids: Collection[str], at: int) -> None:
    """Note that these jobs are Celery's again: no consumer takes one up from here on, whenever its message comes.

    What a consumer has taken up stays as it is; what was handed back before, too.  `at` in seconds since 1970.
    """
    listed = sorted(ids)
    for start in range(0, len(listed), IDS):
        sql = f"""INSERT INTO "{STATES}" (id, returned_at) SELECT value, {at:d} FROM json_each(?) WHERE true
            ON CONFLICT (id) DO UPDATE SET returned_at = excluded.returned_at
            WHERE begun_at IS NULL AND returned_at IS NULL"""
        d1.batch([(sql, [json.dumps(listed[start : start + IDS])])], idempotent=True)


def withdraw(d1: D1, ids: Collection[str]) -> int:
    """Remove jobs that the old side ran itself, so that the new one does not; return how many were there."""
    listed, removed = sorted(ids), 0
    for start in range(0, len(listed), IDS):
        part = json.dumps(listed[start : start + IDS])
        sql = f'DELETE FROM "{TABLE}" WHERE id IN (SELECT value FROM json_each(?))'
        removed += d1.batch([(sql, [part])], idempotent=True)[0].changes
    return removed
