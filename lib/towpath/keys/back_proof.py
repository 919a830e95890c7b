"""Proof of the way back of keys: what Redis holds against what the namespace holds, each in its own words."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from redis import Redis

from towpath.checks import Difference, Progress, silent
from towpath.cloudflare.kv import KV, Listed
from towpath.errors import BadInput
from towpath.keys.back import Back, key_of
from towpath.keys.compare import GONE, LIFTED, ROUNDING, Pair, looks
from towpath.keys.exact import read_exactly
from towpath.keys.export import alone
from towpath.keys.inventory import problem
from towpath.keys.load import Clock
from towpath.keys.manifest import Entry
from towpath.keys.rules import KeyRule, Matcher, shown
from towpath.keys.source import Source
from towpath.keys.values import canonical, encode

SHORT_LIVES = ("", "KE203", "KE205")  # answers of `problem` that say nothing against the value


@dataclass(frozen=True, slots=True)
class Proved:
    """Both sides held against each other.  `own`: keys that Redis changed itself and the target did not."""

    keys: int
    own: tuple[str, ...]
    differences: tuple[Difference, ...]


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
        values = read_exactly(kv, [*_in_doubt(matcher, pairs, by_key)])
        for pair in pairs:
            wrong = by_key.get(key_of(pair), [])
            if not wrong or _alike(values, matcher, pair, wrong, clock):
                continue
            if key_of(pair) in back.touched:
                unlike += wrong
            else:
                own.append(key_of(pair))
        keys += len(pairs)
        report(len(pairs))
    return Proved(keys, tuple(own), tuple(unlike))


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


def _in_doubt(
    matcher: Matcher, pairs: Sequence[Pair], wrong: Mapping[str, Sequence[Difference]]
) -> Iterator[tuple[str, str]]:
    """Keys whose values `_alike` has to know, with their types: what it can tell without them is not read."""
    for entry, listed in pairs:
        if listed is None or listed.key not in wrong:
            continue
        columns, rule = {one.column for one in wrong[listed.key]}, matcher(listed.key)
        if entry is None and _said(listed) != "string" and (rule is None or rule.do == "json"):
            yield listed.key, _said(listed)
        elif entry is not None and "value" in columns and "expiry" not in columns:
            yield listed.key, entry.type


def _said(listed: Listed) -> str:
    """The type that a value says it is of; an empty collection may say nothing."""
    told = listed.metadata.get("type") if isinstance(listed.metadata, dict) else None
    return str(told or "list")


def _alike(
    values: Mapping[str, bytes | None], matcher: Matcher, pair: Pair, wrong: Sequence[Difference], clock: Clock
) -> bool:
    """True if what differs says nothing: words, metadata, or a key that both sides are about to lose."""
    entry, listed = pair
    if listed is None:
        ends = entry.expiration if entry is not None else None
        return ends is not None and ends <= clock() + ROUNDING
    if entry is None:
        rule = matcher(listed.key)
        if (listed.expiration is not None and listed.expiration <= clock() + ROUNDING) or (rule and rule.do == "drop"):
            return True
        return values.get(listed.key) in (b"[]", b"{}")  # an empty collection is no key in Redis
    columns = {one.column for one in wrong}
    if "expiry" in columns or any(one.kind == "missing" for one in wrong):
        return False
    if "value" not in columns:
        return True
    try:
        made = canonical(entry.type, values[listed.key] or b"")
    except BadInput:
        return False
    return made is not None and hashlib.sha256(made.value).hexdigest() == entry.sha256
