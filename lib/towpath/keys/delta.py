"""What changed between two exports, and bringing a namespace from the one to the other."""

from __future__ import annotations

import time
from dataclasses import dataclass

from towpath.checks import Check, Progress, silent
from towpath.cloudflare.kv import KV
from towpath.errors import WrongUse
from towpath.keys import receipts
from towpath.keys.load import Clock, send
from towpath.keys.manifest import Entry, Manifest
from towpath.keys.receipts import CLAIM, Notes
from towpath.keys.rules import check
from towpath.streams.ordered import side_by_side

JITTER = 1_000  # milliseconds: Redis before 7 tells how long, not until when, so two readings differ a little


@dataclass(frozen=True, slots=True)
class Delta:
    """New and changed entries, keys that are gone, and how many need nothing.  `old` and `new` are manifests' ids."""

    old: str
    new: str
    put: tuple[Entry, ...]
    delete: tuple[str, ...]
    unchanged: int
    expired: int  # gone because their life ended: KV drops them by itself

    @property
    def bytes(self) -> int:
        """Bytes of the values to put."""
        return sum(entry.size for entry in self.put)


@dataclass(frozen=True, slots=True)
class Applied:
    """A delta brought to a namespace; `chunks` are those of the new export that held something to put."""

    namespace: str
    put: int
    deleted: int
    chunks: int
    expired: tuple[str, ...]
    left: tuple[str, ...]
    lifted: tuple[str, ...]

    @property
    def checks(self) -> tuple[Check, ...]:
        """The delta as rows of a phase's result."""
        found = f"{self.put:,} put, {self.deleted:,} deleted"
        rows = [check("KE410", self.namespace, f"{self.put + self.deleted:,} changes", found, True)]
        rows.append(check("KE409", self.namespace, "named", f"{len(self.expired):,} expired", True, self.expired))
        if self.lifted:
            rows.append(check("KE204", self.namespace, "named", f"{len(self.lifted):,} lifted", True, self.lifted))
        if self.left:
            rows.append(check("KE205", self.namespace, "named", f"{len(self.left):,} left behind", True, self.left))
        return tuple(rows)


def delta(old: Manifest, new: Manifest) -> Delta:
    """Compare two exports of the same database.  Holds the differences in memory, not the lists."""
    put: list[Entry] = []
    delete: list[str] = []
    unchanged = expired = 0
    for before, after in side_by_side(old, new):
        if after is None:
            assert before is not None
            if before.expires is not None and before.expires <= new.moment:
                expired += 1
            else:
                delete.append(before.key)
        elif before is not None and _same(before, after):
            unchanged += 1
        else:
            put.append(after)
    return Delta(old.id, new.id, tuple(put), tuple(delete), unchanged, expired)


def apply(kv: KV, difference: Delta, new: Manifest, report: Progress = silent, *, clock: Clock = time.time) -> Applied:
    """Bring a delta to the namespace that holds its old export; safe to repeat.  `report` counts puts and deletions.

    Raises WrongUse when the namespace was not filled from the old export or the new one, CloudflareError when it cannot
    be written, BadInput when a chunk of the new export is damaged.
    """
    if difference.new != new.id:
        step = "give the export from which the delta was made"
        raise WrongUse("the delta leads to another export", object=new.id, next=step)
    held = receipts.read(kv)
    if CLAIM not in held.of(difference.old) and CLAIM not in held.of(new.id):
        what = "the namespace holds nothing of the export that the delta begins with"
        raise WrongUse(what, object=f"KV {kv.namespace}", next="run 04-import first")
    by_chunk: dict[int, set[str]] = {}
    for entry in difference.put:
        by_chunk.setdefault(entry.chunk, set()).add(entry.key)
    notes = Notes()
    for number, keys in sorted(by_chunk.items()):
        notes |= send(kv, new, new.chunks[number], keys, clock=clock, name=f"delta-{difference.old}-{number}")
        report(len(keys))
    kv.delete(difference.delete)
    report(len(difference.delete))
    receipts.write(kv, new.id, CLAIM, new.digest, Notes())  # so that the next delta may begin here
    return Applied(
        namespace=kv.namespace,
        put=len(difference.put),
        deleted=len(difference.delete),
        chunks=len(by_chunk),
        expired=tuple(sorted(notes.expired)),
        left=tuple(sorted(notes.left)),
        lifted=tuple(sorted(notes.lifted)),
    )


def _same(before: Entry, after: Entry) -> bool:
    if (before.sha256, before.metadata) != (after.sha256, after.metadata):
        return False
    if before.expires is None or after.expires is None:
        return before.expires == after.expires
    return abs(before.expires - after.expires) <= JITTER
