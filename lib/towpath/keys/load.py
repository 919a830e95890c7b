"""The chunks of an export into a namespace: resumable, repeatable, and never among keys that are somebody else's.

Time goes on between export and import.  A chunk in which a key has less than 60 seconds left by now is taken apart:
what expired is left out, what is about to expire is lifted or left behind as its rule says, and the receipt notes each.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import orjson

from towpath.checks import Check, Progress, silent
from towpath.cloudflare.errors import CloudflareError
from towpath.cloudflare.kv import KV
from towpath.errors import WrongUse
from towpath.keys import receipts
from towpath.keys.manifest import Chunk, Manifest
from towpath.keys.receipts import CLAIM, Notes
from towpath.keys.rules import LEAST_TTL, RESERVED, SAMPLES, Matcher, check
from towpath.streams.pool import each

CONNECTIONS = 2  # measured: the local runtime gains nothing from more
ON_THE_WAY = 5  # seconds that a request may take before KV looks at its clock
TRIES = 3  # for a body that was so long on its way that one of its keys came under 60 seconds
Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Loaded:
    """An import that came to its end; what earlier attempts did is counted too, but for `sent` and `bytes`."""

    namespace: str
    chunks: int
    received: int  # chunks that have a receipt now
    sent: int  # chunks sent by this call
    keys: int
    bytes: int  # of the bodies that were sent
    expired: tuple[str, ...]  # their life ended before they could be put
    left: tuple[str, ...]  # less than 60 seconds to live, and a rule that does not lift
    lifted: tuple[str, ...]  # less than 60 seconds to live, and lifted to that
    seconds: float

    @property
    def checks(self) -> tuple[Check, ...]:
        """The import as rows of a phase's result."""
        found = f"{self.received:,} ({self.sent:,} sent now)"
        rows = [
            check("KE402", self.namespace, f"{self.chunks:,} chunks", found, self.received == self.chunks),
            check("KE409", self.namespace, "named", f"{len(self.expired):,} expired", True, self.expired),
        ]
        if self.lifted:
            rows.append(check("KE204", self.namespace, "named", f"{len(self.lifted):,} lifted", True, self.lifted))
        if self.left:
            rows.append(check("KE205", self.namespace, "named", f"{len(self.left):,} left behind", True, self.left))
        return tuple(rows)


def load(
    kv: KV, manifest: Manifest, report: Progress = silent, *, clock: Clock = time.time, connections: int = CONNECTIONS
) -> Loaded:
    """Put every chunk that has no receipt yet; `report` counts keys.

    Raises WrongUse when the namespace holds keys that are not this export's, CloudflareError when it cannot be
    written, BadInput when a chunk on disk is damaged: what was put has its receipt, and the same call goes on.
    """
    started = time.monotonic()
    before = receipts.read(kv)
    done, notes = before.of(manifest.id), before.notes
    todo = [chunk for chunk in manifest.chunks if done.get(str(chunk.number)) != chunk.sha256]
    if todo or CLAIM not in done:
        _refuse_strangers(kv, manifest, claimed=CLAIM in done)
        receipts.write(kv, manifest.id, CLAIM, manifest.digest, Notes())
    report(sum(chunk.keys for chunk in manifest.chunks) - sum(chunk.keys for chunk in todo))
    # the receipts just written are not read back: elsewhere they may take a minute to be seen
    sent = each(lambda chunk: (chunk, send(kv, manifest, chunk, clock=clock)), todo, connections, ahead=2, name="keys")
    for chunk, noted in sent:
        notes |= noted
        done[str(chunk.number)] = chunk.sha256
        report(chunk.keys)
    return Loaded(
        namespace=kv.namespace,
        chunks=len(manifest.chunks),
        received=sum(done.get(str(chunk.number)) == chunk.sha256 for chunk in manifest.chunks),
        sent=len(todo),
        keys=manifest.keys,
        bytes=sum(chunk.size for chunk in todo),
        expired=tuple(sorted(notes.expired)),
        left=tuple(sorted(notes.left)),
        lifted=tuple(sorted(notes.lifted)),
        seconds=time.monotonic() - started,
    )


def send(
    kv: KV, manifest: Manifest, chunk: Chunk, only: Collection[str] | None = None, *, clock: Clock, name: str = ""
) -> Notes:
    """Put one chunk, or some of its keys, then its receipt.  Safe to repeat at any point."""
    matcher = Matcher(manifest.rules)
    body = manifest.body(chunk)
    for attempt in range(1, TRIES + 1):
        now, notes, ready = clock(), Notes(), body
        if only is not None or (chunk.earliest is not None and chunk.earliest < now + LEAST_TTL + ON_THE_WAY):
            ready, notes = _fitted(body, matcher, now, only)
        try:
            if ready and chunk.alone:
                (pair,) = orjson.loads(ready)
                kv.put_alone(pair["key"], base64.b64decode(pair["value"]), pair["metadata"])
            elif ready:
                kv.put(ready)
            break
        except CloudflareError as error:
            # it was tried again for so long that the body is out of date
            if "expiration" not in error.message.lower() or attempt == TRIES:
                raise
    receipts.write(kv, manifest.id, name or str(chunk.number), chunk.sha256, notes)
    return notes


def _fitted(body: bytes, matcher: Matcher, now: float, only: Collection[str] | None) -> tuple[bytes, Notes]:
    """A body that KV takes at this moment (b"" if nothing is left of it), and what was done to it."""
    expired: dict[str, int] = {}
    left: dict[str, int] = {}
    lifted: dict[str, tuple[int, int]] = {}
    pairs = []
    least = int(now) + LEAST_TTL + ON_THE_WAY
    for pair in orjson.loads(body):
        key, expiration = pair["key"], pair.get("expiration")
        if only is not None and key not in only:
            continue
        if expiration is not None and expiration < least:
            rule = matcher(key)
            if expiration <= now:
                expired[key] = expiration
                continue
            if rule is None or rule.ttl != "lift":
                left[key] = expiration
                continue
            pair["expiration"] = least
            lifted[key] = (expiration, least)
        pairs.append(pair)
    return orjson.dumps(pairs) if pairs else b"", Notes(expired, left, lifted)


def _refuse_strangers(kv: KV, manifest: Manifest, *, claimed: bool) -> None:
    """Nothing is put among keys of somebody else."""
    found = (listed.key for listed in kv.list() if not listed.key.startswith(RESERVED))
    if not claimed:
        strangers = list(islice(found, SAMPLES))
        whose = "this export did not put there"
    else:
        strangers = list(islice(_not_in(found, manifest), SAMPLES))
        whose = "this export does not name"
    if strangers:
        names = ", ".join(strangers[:3]) + (", …" if len(strangers) > 3 else "")
        step = "use an empty namespace, or remove what is in it"
        raise WrongUse(f"the namespace holds keys that {whose}: {names}", object=f"KV {kv.namespace}", next=step)


def _not_in(keys: Iterable[str], manifest: Manifest) -> Iterator[str]:
    entries = iter(manifest)
    entry = next(entries, None)
    for key in keys:
        while entry is not None and entry.key < key:
            entry = next(entries, None)
        if entry is None or entry.key != key:
            yield key
