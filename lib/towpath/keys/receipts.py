"""Receipts: keys of our own in the namespace, which say what was sent and what could not keep its life.

KV has no transaction, so a receipt is written after its chunk: a chunk without one is sent again, and the same values
are written again.  What a receipt notes (keys left behind because they were about to expire, keys whose life was lifted
to what KV can hold) is true for the moment of that put, and the proof needs it until those keys are gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import orjson

from towpath.cloudflare.kv import KV, pair
from towpath.errors import CannotFinish
from towpath.keys.manifest import Manifest
from towpath.keys.rules import RESERVED

PREFIX = f"{RESERVED}receipt/"
CLAIM = "begin"


@dataclass(frozen=True, slots=True)
class Notes:
    """What one put did besides: key → expiration in the source; key → (that, the one it got).  Seconds since 1970."""

    expired: Mapping[str, int] = field(default_factory=dict)
    left: Mapping[str, int] = field(default_factory=dict)
    lifted: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.expired or self.left or self.lifted)

    def __or__(self, later: Notes) -> Notes:
        return Notes({**self.expired, **later.expired}, {**self.left, **later.left}, {**self.lifted, **later.lifted})


@dataclass(frozen=True, slots=True)
class Receipts:
    """All receipts of a namespace: digest by name (`<manifest id>/<chunk>`), and the notes of all together."""

    digests: Mapping[str, str]
    notes: Notes

    def of(self, manifest_id: str) -> dict[str, str]:
        """The digests of one manifest's receipts, by chunk."""
        start = f"{manifest_id}/"
        return {name[len(start) :]: digest for name, digest in self.digests.items() if name.startswith(start)}


def read(kv: KV) -> Receipts:
    """Every receipt in the namespace.  Raises CloudflareError, CannotFinish when one is damaged."""
    digests: dict[str, str] = {}
    notes = Notes()
    for found in kv.list(PREFIX):
        told = found.metadata or {}
        digests[found.key.removeprefix(PREFIX)] = str(told.get("sha256", ""))
        if not told.get("notes"):
            continue
        try:
            plain = orjson.loads(kv.get(found.key) or b"")
            lifted = {key: (was, now) for key, (was, now) in plain["lifted"].items()}
            notes |= Notes(plain["expired"], plain["left"], lifted)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            step = "look who wrote it; empty the namespace, receipts too, and import again"
            raise CannotFinish("the receipt is not what was written", object=found.key, next=step) from error
    return Receipts(digests, notes)


def held(kv: KV, manifests: Iterable[Manifest]) -> Manifest | None:
    """The first of these exports that the namespace holds, or was brought to; None if it holds none of them."""
    there = read(kv)
    return next((made for made in manifests if CLAIM in there.of(made.id)), None)


def write(kv: KV, manifest_id: str, name: str, sha256: str, notes: Notes) -> None:
    """Write one receipt."""
    plain = {"expired": dict(notes.expired), "left": dict(notes.left), "lifted": dict(notes.lifted)}
    metadata = {"sha256": sha256, "notes": int(bool(notes))}
    body = pair(f"{PREFIX}{manifest_id}/{name}", orjson.dumps(plain), expiration=None, metadata=metadata, binary=False)
    kv.put(b"[" + body + b"]")
