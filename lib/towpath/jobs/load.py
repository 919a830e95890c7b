"""Jobs into the queue: resumable, and each of them once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

import orjson

from towpath.checks import Check, Progress, silent
from towpath.jobs.envelope import item
from towpath.jobs.manifest import Entry, Manifest
from towpath.jobs.push import Push
from towpath.jobs.receipts import Receipts
from towpath.jobs.rules import RULES

MOST_JOBS = 100  # of a batch, developers.cloudflare.com/queues/platform/limits/
MOST_BYTES = 256_000


@dataclass(frozen=True, slots=True)
class Loaded:
    """The result of a load that came to its end: the queue has accepted every job that is to be handed over."""

    worker: str
    jobs: int
    sent: int
    skipped: int  # accepted by an earlier attempt
    requests: int

    @property
    def checks(self) -> tuple[Check, ...]:
        """The load as rows of a phase's result."""
        done = self.sent + self.skipped
        found = f"{done:,} ({self.sent:,} sent in {self.requests:,} requests, {self.skipped:,} accepted before)"
        return (RULES["JO304"].check(self.worker, f"{self.jobs:,}", found, done == self.jobs),)


def load(
    push: Push,
    manifest: Manifest,
    report: Progress = silent,
    *,
    again: Collection[str] = (),
    only: Collection[str] | None = None,
) -> Loaded:
    """Hand every job that the manifest sends to the queue; safe to repeat after any interruption.

    What receipts beside the manifest name is skipped, unless it stands in `again`: a queue may have accepted a message
    and lost it, as the local runtime does when it stops.  `only` leaves out all other ids.  `report` receives jobs,
    skipped ones too.  Raises CannotFinish when the Worker does not take them; BadInput when the manifest or its
    receipts are damaged.
    """
    receipts = Receipts(manifest, push.url)
    done = receipts.accepted - set(again)
    jobs = sent = skipped = requests = 0
    for batch in _batches(entry for entry in manifest.handed_over if only is None or entry.id in only):
        left = [job for job in batch if job["id"] not in done]
        if left:
            push.send(left)
            receipts.add([job["id"] for job in left])
            requests += 1
        jobs += len(batch)
        sent, skipped = sent + len(left), skipped + len(batch) - len(left)
        report(len(batch))
    return Loaded(push.url, jobs, sent, skipped, requests)


def _batches(entries: Iterable[Entry]) -> Iterator[list[dict[str, str]]]:
    batch: list[dict[str, str]] = []
    size = 0
    for entry in entries:
        one = item(entry.id, entry.queue, entry.task, entry.body or "", entry.eta, entry.expires)
        length = len(orjson.dumps(one))
        if batch and (len(batch) == MOST_JOBS or size + length > MOST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(one)
        size += length
    if batch:
        yield batch
