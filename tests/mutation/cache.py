"""Faults in the keys of a KV namespace."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from helpers.keys import exported, fill
from redis import Redis

from mutation.harness import Fault, Maker, called
from towpath import keys
from towpath.checks import Check, Difference
from towpath.cloudflare import KV
from towpath.cloudflare.kv import pair

Held = tuple[bytes, dict[str, Any], int | None]  # value, metadata, expiration


class Cache:
    """A namespace that is equal to its Redis, and what can be done to it."""

    group = "keys"

    def __init__(self, kv: KV, redis: Redis, folder: Path) -> None:
        redis.flushall()
        fill(redis, 20)
        redis.delete("marked")  # a byte order mark is read alone, and is looked at by tests/unit/test_keys_move.py
        self.kv, self.manifest = kv, exported(redis, folder)
        keys.load(kv, self.manifest)
        self.held: dict[str, Held] = {
            one.key: (kv.get(one.key) or b"", dict(one.metadata or {}), one.expiration)
            for one in kv.list()
            if not one.key.startswith("_towpath")
        }
        stays = [key for key, held in self.held.items() if held[2] is None]
        ends = [key for key, held in self.held.items() if held[2] is not None]
        full = [key for key, held in self.held.items() if held[0]]
        texts = [key for key in full if not self.held[key][1].get("encoding")]
        ascii_texts = [key for key in texts if self.held[key][0].isascii()]
        every = list(self.held)
        self.makers: dict[str, Maker] = {
            "one byte of a value": self._value(ascii_texts, _byte),
            "one bit of a binary value": self._value(["binary"], _bit),
            "a value cut": self._value(full, lambda v, _: v[:-1]),
            "a NUL behind a value": self._value(every, lambda v, _: v + b"\0"),
            "a space behind a value": self._value(every, lambda v, _: v + b" "),
            "an empty value": self._value(full, lambda _v, _r: b""),
            "two elements exchanged": self._value(["list"], lambda *_: b'["a","b",{"base64":"/w=="},"b"]'),
            "another type in the metadata": self._metadata(lambda m, r: m | {"type": r.choice(("other", "String"))}),
            "metadata too many": self._metadata(lambda m, _: m | {"more": 1}),
            "no metadata": self._metadata(lambda _m, _r: {}),
            "another encoding in the metadata": self._metadata(lambda m, _: m | {"encoding": "other"}),
            "a life that ends, of a key that stays": self._expiry(stays, lambda _, r: self._moment(r)),
            "no end of a key that ends": self._expiry(ends, lambda _e, _r: None),
            "a life some seconds longer": self._expiry(ends, lambda e, r: e + r.randrange(2, 90)),
            "a life some seconds shorter": self._expiry(ends, lambda e, r: e - r.randrange(2, 90)),
            "a life in another zone": self._expiry(ends, lambda e, r: e + r.choice((3_600, 7_200, 86_400))),
            "key missing": self._missing,
            "key too many": self._extra,
            "key in another case": self._renamed(ascii_texts, lambda key: key[:-1] + key[-1].swapcase()),
            "key with a space at the end": self._renamed(texts, lambda key: key + " "),
            "two keys exchanged": self._exchanged(ascii_texts),
        }
        self.makers = called(self.makers)

    def _moment(self, rng: random.Random) -> int:
        latest = max(held[2] or 0 for held in self.held.values())
        return latest + rng.randrange(1_000)

    def seed(self, fault: Fault) -> bool:
        """Write what is to be there; None: deleted."""
        return self._write(fault.seed)

    def undo(self, fault: Fault) -> None:
        """Write the keys as they were."""
        self._write(fault.undo)

    def look(self, fault: Fault | None, whole: bool) -> tuple[list[Check], Collection[Difference]]:
        """Every key: there is no smaller look."""
        del fault, whole
        found = keys.compare(self.kv, self.manifest)
        return list(found.checks), found.differences

    def _write(self, pairs: tuple[object, ...]) -> bool:
        bodies, gone = [], []
        for one in pairs:
            key, held = one  # type: ignore[misc]
            if held is None:
                gone.append(key)
            else:
                value, metadata, expiration = held
                bodies.append(pair(key, value, expiration=expiration, metadata=metadata, binary=True))
        if bodies:
            self.kv.put(b"[" + b",".join(bodies) + b"]")
        if gone:
            self.kv.delete(gone)
        return bool(bodies or gone)

    def _fault(self, key: str, new: Held, column: str, code: str) -> Fault | None:
        if new == self.held[key]:
            return None
        names = frozenset({(self.kv.namespace, key, column, "changed")})
        checks = frozenset({(code, self.kv.namespace)})
        return Fault("", names, checks, ((key, new),), ((key, self.held[key]),))

    def _value(self, of: list[str], change: Callable[[bytes, random.Random], bytes]) -> Maker:
        def make(rng: random.Random) -> Fault | None:
            key = rng.choice(of)
            value, *rest = self.held[key]
            return self._fault(key, (change(value, rng), *rest), "value", "KE406")  # type: ignore[arg-type]

        return make

    def _metadata(self, change: Callable[[dict[str, Any], random.Random], dict[str, Any]]) -> Maker:
        def make(rng: random.Random) -> Fault | None:
            key = rng.choice(sorted(self.held))
            value, metadata, expiration = self.held[key]
            return self._fault(key, (value, change(metadata, rng), expiration), "metadata", "KE407")

        return make

    def _expiry(self, of: list[str], change: Callable[[Any, random.Random], int | None]) -> Maker:
        def make(rng: random.Random) -> Fault | None:
            key = rng.choice(of)
            value, metadata, expiration = self.held[key]
            return self._fault(key, (value, metadata, change(expiration, rng)), "expiry", "KE408")

        return make

    def _named(self, names: set[tuple[str, str, str]], codes: set[str], seed: object, undo: object) -> Fault:
        named = frozenset((self.kv.namespace, *name) for name in names)
        checks = frozenset((code, self.kv.namespace) for code in codes)
        return Fault("", named, checks, tuple(seed), tuple(undo))  # type: ignore[arg-type]

    def _missing(self, rng: random.Random) -> Fault:
        key = rng.choice(sorted(self.held))
        return self._named({(key, "", "missing")}, {"KE403", "KE404"}, [(key, None)], [(key, self.held[key])])

    def _extra(self, rng: random.Random) -> Fault:
        like = rng.choice(sorted(self.held))
        key = f"{like}{rng.choice((':', '2', ' ', 'é'))}x"
        return self._named({(key, "", "extra")}, {"KE403", "KE405"}, [(key, self.held[like])], [(key, None)])

    def _renamed(self, of: list[str], change: Callable[[str], str]) -> Maker:
        able = [key for key in of if change(key) != key and change(key) not in self.held]

        def make(rng: random.Random) -> Fault:
            key = rng.choice(able)
            new, held = change(key), self.held[key]
            names = {(key, "", "missing"), (new, "", "extra")}
            return self._named(names, {"KE404", "KE405"}, [(key, None), (new, held)], [(key, held), (new, None)])

        return make

    def _exchanged(self, of: list[str]) -> Maker:
        def make(rng: random.Random) -> Fault | None:
            one, two = rng.sample(of, 2)
            left, right = self.held[one], self.held[two]
            if left[0] == right[0]:
                return None
            names = {(one, "value", "changed"), (two, "value", "changed")}
            seed = [(one, (right[0], *left[1:])), (two, (left[0], *right[1:]))]
            return self._named(names, {"KE406"}, seed, [(one, left), (two, right)])

        return make


def _byte(value: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(value))
    return value[:at] + (b"x" if value[at : at + 1] != b"x" else b"y") + value[at + 1 :]


def _bit(value: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(value) * 8)
    changed = bytearray(value)
    changed[at // 8] ^= 1 << at % 8
    return bytes(changed)
