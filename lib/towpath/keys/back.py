"""What a namespace holds otherwise than the last export, carried back into Redis.

It is the delta seen from the other side, found by comparison.  A key is written only while Redis still holds what the
last export says of it; where Redis was written to as well, the key is named and nothing is chosen.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from redis import Redis

from towpath.checks import Difference, Progress, silent
from towpath.cloudflare.kv import KV, Listed
from towpath.errors import BadInput
from towpath.keys.compare import CONNECTIONS, GONE, LIFTED, ROUNDING, Pair, looks
from towpath.keys.export import alone
from towpath.keys.inventory import problem
from towpath.keys.load import Clock
from towpath.keys.manifest import Entry, Manifest
from towpath.keys.rules import TYPES, KeyRule, Matcher, shown
from towpath.keys.source import Read, Source
from towpath.keys.values import Encoded, canonical, encode
from towpath.keys.write import Change, Held, as_it_was, moment, read_keys, same_life, write
from towpath.streams.pool import each

TOGETHER = 100  # keys that are judged together
SHORT_LIVES = ("", "KE203", "KE205")  # answers of `problem` that say nothing against the value
OVERWRITTEN = "Redis was written to after the cutover"
OTHERS = "Redis holds another value under this name, which was not moved"
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


@dataclass(frozen=True, slots=True)
class Proved:
    """Both sides held against each other.  `own`: keys that Redis changed itself and the target did not."""

    keys: int
    own: tuple[str, ...]
    differences: tuple[Difference, ...]


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
        touched += [pair for pair in pairs if _key(pair) in unlike]
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
        frozenset(_key(pair) for pair in touched),
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


def prove_back(
    kv: KV, redis: Redis, rules: Sequence[KeyRule], back: Back, report: Progress = silent, *, clock: Clock = time.time
) -> Proved:
    """Hold every key of Redis that moves against the namespace; `report` counts keys.

    A value may be written in other words on the two sides: a type's JSON with other spaces, without metadata.
    """
    source, matcher = Source(redis), Matcher(rules)
    own: list[str] = []
    unlike: list[Difference] = []
    keys = 0
    for pairs, differences in looks(kv, _entries(source, matcher), clock=clock):
        by_key: dict[str, list[Difference]] = {}
        for one in differences:
            if one.kind not in (GONE, LIFTED):
                by_key.setdefault(one.key, []).append(one)
        for pair in pairs:
            wrong = by_key.get(_key(pair), [])
            if not wrong or _alike(kv, matcher, pair, wrong, clock):
                continue
            if _key(pair) in back.touched:
                unlike += wrong
            else:
                own.append(_key(pair))
        keys += len(pairs)
        report(len(pairs))
    return Proved(keys, tuple(own), tuple(unlike))


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
        reads = read_keys(self.source, [_key(pair).encode() for pair in pairs])
        values = each(self._value, pairs, CONNECTIONS, ahead=2, name="keys")
        now = moment(self.source)
        for pair, read, value in zip(pairs, reads, values, strict=True):
            try:
                self._one(pair, read, value, now)
            except BadInput as error:
                self.found.conflicts.append((_key(pair), error.what))

    def _value(self, pair: Pair) -> bytes | None:
        return None if pair[1] is None else self.kv.get(pair[1].key)

    def _one(self, pair: Pair, read: Read | None, value: bytes | None, now: int) -> None:
        entry, listed = pair
        key, rule = _key(pair), self.matcher(_key(pair))
        if entry is None and rule is not None and rule.do == "drop":
            self.found.left.append(key)
            return
        wanted, expires = self._wanted(pair, value)
        ended = listed is not None and listed.expiration is not None and listed.expiration <= self.clock()
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


def _key(pair: Pair) -> str:
    entry, listed = pair
    return entry.key if entry is not None else listed.key if listed is not None else ""


def _exported(entry: Entry | None) -> Held | None:
    return None if entry is None else Held(entry.type, entry.sha256, entry.expires)


def _holds(held: Held | None, wanted: Encoded | None, expires: int | None) -> bool:
    if held is None or wanted is None:
        return held is None and wanted is None
    same = (held.type, held.sha256) == (wanted.type, hashlib.sha256(wanted.value).hexdigest())
    return same and same_life(held.expires, expires, ROUNDING * 1_000)


def _entries(source: Source, matcher: Matcher) -> Iterator[Entry]:
    """The keys of Redis that move, as an export would describe them, in the order of their names."""
    for names in source.index().pages():
        looked = [look for look in source.look(names) if look is not None]
        moving = [look for look in looked if problem(matcher(shown(look.name)), look) in SHORT_LIVES]
        for read in source.values(moving):
            if read is not None:
                made, key = encode(read.type, read.value), read.name.decode()
                digest, single = hashlib.sha256(made.value).hexdigest(), alone(read.name.decode(), made)
                yield Entry(key, made.type, made.encoding, len(made.value), digest, read.expires, 0, single)


def _alike(kv: KV, matcher: Matcher, pair: Pair, wrong: Sequence[Difference], clock: Clock) -> bool:
    """True if what differs says nothing: words, metadata, or a key that both sides are about to lose."""
    entry, listed = pair
    if listed is None:
        ends = entry.expiration if entry is not None else None
        return ends is not None and ends <= clock() + ROUNDING
    if entry is None:
        rule = matcher(listed.key)
        if (listed.expiration is not None and listed.expiration <= clock() + ROUNDING) or (rule and rule.do == "drop"):
            return True
        told = str((listed.metadata or {}).get("type", "")) or "list"  # an empty collection is no key in Redis
        return told != "string" and kv.get(listed.key) in (b"[]", b"{}") and (rule is None or rule.do == "json")
    columns = {one.column for one in wrong}
    if "expiry" in columns:
        return False
    if "value" not in columns:
        return True
    try:
        made = canonical(entry.type, kv.get(listed.key) or b"")
    except BadInput:
        return False
    return made is not None and hashlib.sha256(made.value).hexdigest() == entry.sha256
