"""What a namespace holds otherwise than the last export, carried back into Redis.

It is the delta seen from the other side, found by comparison.  A key is written only while Redis still holds what the
last export says of it; where Redis was written to as well, the key is named and nothing is chosen.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from redis import Redis

from towpath.checks import Progress, silent
from towpath.cloudflare.kv import KV, Listed
from towpath.errors import BadInput
from towpath.keys.compare import GONE, LIFTED, ROUNDING, Pair, looks
from towpath.keys.exact import read_exactly
from towpath.keys.load import Clock
from towpath.keys.manifest import Entry, Manifest
from towpath.keys.rules import TYPES, KeyRule, Matcher
from towpath.keys.source import Read, Source
from towpath.keys.values import Encoded, canonical
from towpath.keys.write import Change, Held, as_it_was, moment, read_keys, same_life, write

TOGETHER = 100  # keys that are judged together
OVERWRITTEN = "Redis was written to after the cutover"
OTHERS = "Redis holds another value under this name, which was not moved"
SILENT = "the namespace lists it and does not give its value: where it was written a minute ago, look again"
GROUPS = "Redis holds it as a stream with consumer groups, which would be lost"


@dataclass(frozen=True, slots=True)
class Back:
    """What Redis lacks of what the namespace holds.  `conflicts` are keys with the reason why they are left alone."""

    changes: tuple[Change, ...]
    conflicts: tuple[tuple[str, str], ...]
    expired: tuple[str, ...]  # written on the target, and ended there since: they are gone in Redis, too
    left: tuple[str, ...]  # written on the target under a name that its rule leaves behind
    touched: frozenset[str]  # every key that the target holds otherwise than the last export

    @property
    def deleted(self) -> int:
        """How many of the changes take a key away."""
        return sum(not change.type for change in self.changes)


@dataclass(slots=True)
class _Found:
    changes: list[Change] = field(default_factory=list)
    conflicts: list[tuple[str, str]] = field(default_factory=list)
    expired: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


def find_back(
    kv: KV,
    redis: Redis,
    manifest: Manifest,
    rules: Sequence[KeyRule],
    report: Progress = silent,
    *,
    clock: Clock = time.time,
) -> Back:
    """Hold the namespace against the last export, and what differs against Redis; `report` counts keys.

    What an earlier call carried back is left out.  The values that changed are held in memory.  Raises CloudflareError,
    BadInput or CannotFinish when one side cannot be read.
    """
    touched: list[Pair] = []
    for pairs, differences in looks(kv, manifest, clock=clock):
        unlike = {one.key for one in differences if one.kind not in (GONE, LIFTED)}
        touched += [pair for pair in pairs if key_of(pair) in unlike]
        report(len(pairs))
    judge = _Judge(kv, Source(redis), manifest, Matcher(rules), clock)
    for start in range(0, len(touched), TOGETHER):
        judge.some(touched[start : start + TOGETHER])
    found = judge.found
    return Back(
        tuple(found.changes),
        tuple(found.conflicts),
        tuple(found.expired),
        tuple(found.left),
        frozenset(key_of(pair) for pair in touched),
    )


def carry_back(redis: Redis, back: Back, report: Progress = silent) -> int:
    """Write the changes into Redis, each key whole or not at all; returns how many; `report` counts them.

    Raises CannotFinish at a key that was written to meanwhile: those before it are carried, it and those after it are
    not, and the same call may be made again.
    """
    source = Source(redis)
    for change in back.changes:
        write(redis, source, change)
        report(1)
    return len(back.changes)


@dataclass(slots=True)
class _Judge:
    """Decides about keys that differ."""

    kv: KV
    source: Source
    manifest: Manifest
    matcher: Matcher
    clock: Clock
    found: _Found = field(default_factory=_Found)
    _types: dict[str, set[str]] | None = None

    def some(self, pairs: Sequence[Pair]) -> None:
        """Keys that the target holds otherwise than the export."""
        reads = read_keys(self.source, [key_of(pair).encode() for pair in pairs])
        listed = [
            (one, self._told(entry, one)) for entry, one in pairs if one is not None and not self._left(entry, one)
        ]
        values = read_exactly(self.kv, [(one.key, type) for one, type in listed])
        now = moment(self.source)
        for pair, read in zip(pairs, reads, strict=True):
            try:
                self._one(pair, read, values.get(key_of(pair)), now)
            except BadInput as error:
                self.found.conflicts.append((key_of(pair), error.what))

    def _left(self, entry: Entry | None, listed: Listed) -> bool:
        """Whether a new key stays behind by its rule: nobody reads its value then."""
        rule = self.matcher(listed.key)
        return entry is None and rule is not None and rule.do == "drop"

    def _told(self, entry: Entry | None, listed: Listed) -> str:
        """The type of a value, before it is read; where nothing says so, each of its bytes may count."""
        try:
            return self._type(listed, entry)
        except BadInput:
            return "string"

    def _one(self, pair: Pair, read: Read | None, value: bytes | None, now: int) -> None:
        entry, listed = pair
        key = key_of(pair)
        if listed is not None and self._left(entry, listed):
            self.found.left.append(key)
            return
        ended = listed is not None and listed.expiration is not None and listed.expiration <= self.clock()
        if listed is not None and value is None and not ended:
            self.found.conflicts.append((key, SILENT))
            return
        wanted, expires = self._wanted(pair, value)
        if ended:
            wanted = None
            self.found.expired.append(key)
        held = Held.of(read)
        if _holds(held, wanted, expires):
            return  # carried back before
        if not as_it_was(held, _exported(entry), now):
            self.found.conflicts.append((key, OVERWRITTEN if entry is not None else OTHERS))
        elif read is not None and read.type == "stream" and self.source.groups(read.name):
            self.found.conflicts.append((key, GROUPS))
        elif wanted is None:
            self.found.changes.append(Change(key, "", b"", None, held))
        else:
            self.found.changes.append(Change(key, wanted.type, wanted.value, expires, held))

    def _wanted(self, pair: Pair, value: bytes | None) -> tuple[Encoded | None, int | None]:
        """The value as Redis must hold it, None for a key that must go, and its end in milliseconds since 1970."""
        entry, listed = pair
        if listed is None or value is None:
            return None, None
        made = canonical(self._type(listed, entry), value)
        expires = None if listed.expiration is None else listed.expiration * 1_000
        if entry is not None and entry.expiration == listed.expiration:
            expires = entry.expires  # to the millisecond, as Redis had it
        return made, expires

    def _type(self, listed: Listed, entry: Entry | None) -> str:
        """What a value is: as it says itself, as it was, or as all keys of its rule are."""
        told = (listed.metadata or {}).get("type") if isinstance(listed.metadata, dict) else None
        if told in TYPES:
            return str(told)
        if entry is not None:
            return entry.type
        rule = self.matcher(listed.key)
        if rule is None:
            raise BadInput("no rule of mapping.yaml speaks of it", object=listed.key, next="add a rule for it")
        if rule.do == "string":
            return "string"
        kinds = self._kinds().get(rule.pattern, set())
        if len(kinds) != 1:
            what = "nothing says of which type it is"
            raise BadInput(what, object=listed.key, next="let the application write metadata beside it")
        return next(iter(kinds))

    def _kinds(self) -> dict[str, set[str]]:
        if self._types is None:
            self._types = {}
            for entry in self.manifest:
                if (rule := self.matcher(entry.key)) is not None:
                    self._types.setdefault(rule.pattern, set()).add(entry.type)
        return self._types


def key_of(pair: Pair) -> str:
    """The key that a pair speaks of."""
    entry, listed = pair
    return entry.key if entry is not None else listed.key if listed is not None else ""


def _exported(entry: Entry | None) -> Held | None:
    return None if entry is None else Held(entry.type, entry.sha256, entry.expires)


def _holds(held: Held | None, wanted: Encoded | None, expires: int | None) -> bool:
    if held is None or wanted is None:
        return held is None and wanted is None
    same = (held.type, held.sha256) == (wanted.type, hashlib.sha256(wanted.value).hexdigest())
    return same and same_life(held.expires, expires, ROUNDING * 1_000)
