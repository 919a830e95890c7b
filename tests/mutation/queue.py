"""Faults in what the consumers of the queues kept."""

from __future__ import annotations

import random
from collections.abc import Collection
from pathlib import Path

from mutation.harness import Fault, Maker
from towpath import jobs
from towpath.checks import Check, Difference
from towpath.cloudflare import D1
from towpath.jobs import Disposition, Entry, Push
from towpath.tables.schema import literal

TABLE, DEAD = "received_jobs", "received_jobs_dead"
TASK = "analytics.track_quiz_share"
COPY = "_towpath_copy_jobs"
PROBE = f"SELECT (SELECT count(*) FROM {DEAD}), (SELECT group_concat(quote(id) || quote(queue) || quote(task) ||"\
        f" hex(body)) FROM (SELECT * FROM {TABLE} ORDER BY id))"  # fmt: skip


class Queue:
    """Jobs that went through the Worker and its queue, and what can be done to what arrived."""

    group = "jobs"

    def __init__(self, d1: D1, push: Push, folder: Path, rng: random.Random, task: str = TASK) -> None:
        self.d1 = d1
        d1.batch([f"DELETE FROM {TABLE}", f"DELETE FROM {DEAD}", f"DROP TABLE IF EXISTS {COPY}"])
        bodies = {f"job-{n:02}": f'[["é {n} {rng.random()}"], {{}}, {{}}]' for n in range(12)}
        entries = [Entry(id, "celery", task, "waiting", Disposition.SEND, body=body) for id, body in bodies.items()]
        entries += [Entry(f"parked-{n}", "celery", task, "waiting", Disposition.PARK, body="[]") for n in range(2)]
        entries += [Entry(f"done-{n}", "celery", task, "waiting", Disposition.DONE) for n in range(2)]
        self.manifest = jobs.write(folder / "jobs.jsonl", entries)
        jobs.load(push, self.manifest)
        jobs.compare(d1, self.manifest)
        d1.batch([f"CREATE TABLE {COPY} AS SELECT * FROM {TABLE}"])
        self.sent = sorted(bodies)
        self.bodies = bodies
        new = "INSERT INTO received_jobs SELECT {}, queue, task, body, received_at FROM received_jobs WHERE id = {}"
        dead = "INSERT INTO received_jobs_dead SELECT id, queue, task, body, 'r', 1, 1 FROM received_jobs WHERE id = {}"
        changes = {
            "the last character of a body": ("body = substr(body, 1, length(body) - 1)", "body"),
            "a space behind a body": ("body = body || ' '", "body"),
            "one letter of a body": ("body = replace(body, 'é', 'e')", "body"),
            "another Unicode form of a body": ("body = replace(body, 'é', 'e\u0301')", "body"),
            "an empty body": ("body = ''", "body"),
            "another task": (f"task = {literal(task + '2')}", "task"),
            "another queue": ("queue = 'Celery'", "queue"),
        }
        self.makers: dict[str, Maker] = {k: self._changed(k, sql, column) for k, (sql, column) in changes.items()}
        self.makers |= {
            "job missing": lambda r: self._missing(r),
            "job that nobody sent": lambda r: self._foreign(r, new),
            "job under another id": lambda r: self._renamed(r),
            "a job twice": lambda r: self._twice(r, dead),
            "a job that was parked": lambda r: self._again(r, "parked", new),
            "a job that was done": lambda r: self._again(r, "done", new),
            "a job in the dead-letter queue": lambda r: self._dead(r, dead),
            "two bodies exchanged": self._exchanged,
        }

    def seed(self, fault: Fault) -> bool:
        """Do it; False if the rows read as before."""
        answers = self.d1.batch([PROBE, *map(str, fault.seed), PROBE])
        return answers[0].rows != answers[-1].rows

    def undo(self, fault: Fault) -> None:
        """Bring all rows back."""
        del fault
        back = f"INSERT INTO {TABLE} SELECT * FROM {COPY}"
        self.d1.batch([f"DELETE FROM {TABLE}", f"DELETE FROM {DEAD}", back])

    def look(self, fault: Fault | None, whole: bool) -> tuple[list[Check], Collection[Difference]]:
        """Every job: there is no smaller look.  Nothing is on its way, so nothing is waited for."""
        del fault, whole
        found = jobs.compare(self.d1, self.manifest, deadline=0.0)
        return list(found.checks), found.differences

    def _fault(self, kind: str, names: set[tuple[str, str, str, str]], codes: set[str], *seed: str) -> Fault:
        checks = frozenset((code, f"D1 {self.d1.database_id}") for code in codes)
        return Fault(kind, frozenset(names), checks, seed, ())

    def _changed(self, kind: str, sql: str, column: str) -> Maker:
        def make(rng: random.Random) -> Fault:
            id = rng.choice(self.sent)
            names = {(TABLE, id, column, "changed")}
            return self._fault(kind, names, {"JO401", "JO404"}, f"UPDATE {TABLE} SET {sql} WHERE id = {literal(id)}")

        return make

    def _missing(self, rng: random.Random) -> Fault:
        id = rng.choice(self.sent)
        sql = f"DELETE FROM {TABLE} WHERE id = {literal(id)}"
        return self._fault("job missing", {(TABLE, id, "", "missing")}, {"JO401", "JO402"}, sql)

    def _foreign(self, rng: random.Random, new: str) -> Fault:
        id = rng.choice(self.sent)
        other = rng.choice((id + " ", id.upper(), f"{rng.random()}"))
        sql = new.format(literal(other), literal(id))
        return self._fault("job that nobody sent", {(TABLE, other, "", "extra")}, {"JO403"}, sql)

    def _renamed(self, rng: random.Random) -> Fault:
        id = rng.choice(self.sent)
        names = {(TABLE, id, "", "missing"), (TABLE, id + "x", "", "extra")}
        sql = f"UPDATE {TABLE} SET id = id || 'x' WHERE id = {literal(id)}"
        return self._fault("job under another id", names, {"JO401", "JO402", "JO403"}, sql)

    def _twice(self, rng: random.Random, dead: str) -> Fault:
        id = rng.choice(self.sent)
        names = {(DEAD, id, "disposition", "changed")}
        return self._fault("a job twice", names, {"JO401", "JO406"}, dead.format(literal(id)))

    def _again(self, rng: random.Random, what: str, new: str) -> Fault:
        id = f"{what}-{rng.randrange(2)}"
        sql = new.format(literal(id), literal(rng.choice(self.sent)))
        names = {(TABLE, id, "disposition", "changed")}
        return self._fault(f"a job that was {what}", names, {"JO401", "JO406"}, sql)

    def _dead(self, rng: random.Random, dead: str) -> Fault:
        id = rng.choice(self.sent)
        names = {(DEAD, id, "reason", "changed")}
        gone = f"DELETE FROM {TABLE} WHERE id = {literal(id)}"
        kind = "a job in the dead-letter queue"
        return self._fault(kind, names, {"JO401", "JO405"}, dead.format(literal(id)), gone)

    def _exchanged(self, rng: random.Random) -> Fault:
        one, two = rng.sample(self.sent, 2)
        sql = [
            f"UPDATE {TABLE} SET body = {literal(self.bodies[b])} WHERE id = {literal(a)}"
            for a, b in ((one, two), (two, one))
        ]
        names = {(TABLE, id, "body", "changed") for id in (one, two)}
        return self._fault("two bodies exchanged", names, {"JO401", "JO404"}, *sql)
