"""One key of Redis written anew, whole or not at all, and only while it is as it was when it was looked at."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import redis.exceptions as refusals
from redis import Redis

from towpath.errors import CannotFinish
from towpath.keys.delta import JITTER
from towpath.keys.source import Command, Read, Source
from towpath.keys.values import decode, encode, score

MEMBERS = 1_000  # of a collection in one command


@dataclass(frozen=True, slots=True)
class Held:
    """What Redis holds under a key: type, SHA-256 of its form in KV, expiry in milliseconds since 1970.

    A type of a module is named, and its value unknown.
    """

    type: str
    sha256: str
    expires: int | None

    @classmethod
    def of(cls, read: Read | None) -> Held | None:
        """What was read; None for a key that is not there."""
        if read is None:
            return None
        value = encode(read.type, read.value).value if read.type in WRITE else b""
        return cls(read.type, hashlib.sha256(value).hexdigest(), read.expires)


@dataclass(frozen=True, slots=True)
class Change:
    """One key as Redis must hold it; `type` is "" for a key that must go.  `was` is what Redis holds now."""

    key: str
    type: str
    value: bytes  # in its form in KV
    expires: int | None  # milliseconds since 1970
    was: Held | None


def read_keys(source: Source, names: Sequence[bytes]) -> list[Read | None]:
    """Keys with their values, in the same order; None for one that is not there.  What a module made has no value."""
    looked = [look for look in source.look(names) if look is not None]
    found: dict[bytes, Read | None] = {x.name: Read(x.name, x.type, None, None) for x in looked if x.type not in WRITE}
    plain = [look for look in looked if look.type in WRITE]
    found |= {look.name: read for look, read in zip(plain, source.values(plain), strict=True)}
    return [found.get(name) for name in names]


def write(redis: Redis, source: Source, change: Change) -> None:
    """Write one key, or delete it.  Raises CannotFinish when it is no longer as it was: it is left alone then."""
    name = change.key.encode()
    commands: list[Command] = [("DEL", name)]
    if change.type:
        commands += WRITE[change.type](name, decode(change.type, change.value))
        commands += [("PEXPIREAT", name, change.expires)] if change.expires is not None else []
    with source.told(commands), redis.pipeline(transaction=True) as made:
        pipeline: Any = made
        pipeline.watch(name)
        (read,) = read_keys(source, [name])
        if not as_it_was(Held.of(read), change.was, moment(source)):
            raise _changed(source, change.key)
        if read is not None and change.type == read.type == "stream":
            commands.append(("XSETID", name, _last_id(source, name, change)))
        pipeline.multi()
        for command in commands:
            pipeline.execute_command(*command)
        try:
            pipeline.execute()
        except refusals.WatchError:
            raise _changed(source, change.key) from None


def moment(source: Source) -> int:
    """Now by Redis' clock, in milliseconds since 1970."""
    seconds, microseconds = source.one("TIME")
    return int(seconds) * 1_000 + int(microseconds) // 1_000


def as_it_was(now: Held | None, was: Held | None, at: int) -> bool:
    """True if a key did not change, or only came to the end of its life; `at` in milliseconds since 1970."""
    if was is None or now is None:
        return now is None and (was is None or (was.expires is not None and was.expires <= at + JITTER))
    return (now.type, now.sha256) == (was.type, was.sha256) and same_life(now.expires, was.expires, JITTER)


def same_life(one: int | None, other: int | None, within: int) -> bool:
    """True if two keys end at the same moment, or neither does."""
    return one == other if one is None or other is None else abs(one - other) <= within


def _last_id(source: Source, name: bytes, change: Change) -> bytes:
    """The newest id that the stream ever gave out: it must not give it out again."""
    facts = source.one("XINFO", "STREAM", name)
    plain = facts if isinstance(facts, dict) else dict(zip(facts[::2], facts[1::2], strict=True))
    last: list[bytes] = [decode("stream", change.value)[-1][0], bytes(plain[b"last-generated-id"])]
    return max(last, key=lambda id: tuple(map(int, id.split(b"-"))))


def _changed(source: Source, key: str) -> CannotFinish:
    what, step = "the key was written to meanwhile", "stop who writes to it, then run the phase again"
    return CannotFinish(what, object=f"{source.address} {key}", next=step)


def _members(command: str, name: bytes, members: Sequence[Any]) -> Iterator[Command]:
    for start in range(0, len(members), MEMBERS):
        some = members[start : start + MEMBERS]
        flat = [part for member in some for part in (member if isinstance(member, tuple) else (member,))]
        yield (command, name, *flat)


WRITE: dict[str, Callable[[bytes, Any], list[Command]]] = {
    "string": lambda name, value: [("SET", name, value)],
    "hash": lambda name, value: list(_members("HSET", name, list(value.items()))),
    "list": lambda name, value: list(_members("RPUSH", name, value)),
    "set": lambda name, value: list(_members("SADD", name, sorted(value))),
    "zset": lambda name, value: list(_members("ZADD", name, [(score(number), member) for member, number in value])),
    "stream": lambda name, value: [
        ("XADD", name, id, *(part for pair in fields for part in pair)) for id, fields in value
    ],
}
