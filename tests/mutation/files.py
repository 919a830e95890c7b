"""Faults in the objects of R2."""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mutation.harness import Fault, Maker, called
from towpath import objects
from towpath.checks import Check, Difference

# Two texts of 128 bytes with one MD5 (Wang, Feng, Lai, Yu, 2004): R2 gives both the same ETag.
TWINS = (
    "d131dd02c5e6eec4693d9a0698aff95c2fcab58712467eab4004583eb8fb7f8955ad340609f4b30283e488832571415a"
    "085125e8f7cdc99fd91dbdf280373c5bd8823e3156348f5bae6dacd436c919c6dd53e2b487da03fd02396306d248cda0"
    "e99f33420f577ee8ce54b67080a80d1ec69821bcb6a8839396f9652b6ff72a70",
    "d131dd02c5e6eec4693d9a0698aff95c2fcab50712467eab4004583eb8fb7f8955ad340609f4b30283e4888325f1415a"
    "085125e8f7cdc99fd91dbd7280373c5bd8823e3156348f5bae6dacd436c919c6dd53e23487da03fd02396306d248cda0"
    "e99f33420f577ee8ce54b67080280d1ec69821bcb6a8839396f965ab6ff72a70",
)
COLLISION = tuple(map(bytes.fromhex, TWINS))
ADDED = {"OB401", "OB403"}
GONE = {"OB401", "OB402"}


@dataclass(frozen=True)
class Put:
    """An object written over the API; content None: deleted."""

    key: str
    content: bytes | None
    headers: tuple[tuple[str, str], ...] = ()


class Files:
    """A bucket that is equal to its folder, and what can be done to it."""

    group = "objects"

    def __init__(self, s3: Any, bucket: str, folder: Path, prefix: str, rng: random.Random) -> None:
        self.s3, self.bucket = s3, bucket
        names = ("a.txt", "b.bin", "Ü ber.html", "empty.txt", "twin.bin")
        contents = (b"plain text\n" * rng.randrange(1, 9), rng.randbytes(3000), "<p>é</p>".encode(), b"", COLLISION[0])
        for name, content in zip(names, contents, strict=True):
            path = folder / "files" / prefix / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        inventory = objects.walk(folder / "files", [prefix])
        self.manifest = objects.write(folder / "objects.jsonl", objects.entries(inventory), inventory.prefixes)
        objects.upload(self.manifest, folder / "files", s3, bucket)
        self.entries = {entry.key: entry for entry in self.manifest}
        self.content = {entry.key: (folder / "files" / entry.key).read_bytes() for entry in self.manifest}
        self.twin = next(key for key in self.entries if key.endswith("twin.bin"))
        self.makers: dict[str, Maker] = {
            "one byte, length kept": self._bytes(lambda c, r: _at(c, r, 8)),
            "one bit": self._bytes(lambda c, r: _at(c, r, 1)),
            "another content with the same ETag": lambda _: self._change(self.twin, COLLISION[1], {"sha256"}),
            "one byte more": self._bytes(lambda c, _: c + b"\n"),
            "the last byte cut": self._bytes(lambda c, _: c[:-1]),
            "nothing in it": self._bytes(lambda _c, _r: b""),
            "CR LF for line feeds": self._bytes(lambda c, _: c.replace(b"\n", b"\r\n")),
            "content type": self._header("content_type", "ContentType", "application/x-other"),
            "content type with a charset": self._header("content_type", "ContentType", "{}; charset=utf-8"),
            "cache control": self._header("cache_control", "CacheControl", "public, max-age=60"),
            "no cache control": self._header("cache_control", "CacheControl", ""),
            "content encoding": self._header("content_encoding", "ContentEncoding", "gzip"),
            "object missing": self._missing,
            "object too many": self._extra,
            "key in another case": self._renamed(lambda key: key[:-1] + key[-1].upper()),
            "key with a space at the end": self._renamed(lambda key: key + " "),
            "two objects exchanged": self._exchanged,
        }
        self.makers = called(self.makers)

    def seed(self, fault: Fault) -> bool:
        """Write it; a Put that leaves the object as it was is none."""
        for put in fault.seed:
            assert isinstance(put, Put)
            self._put(put)
        return bool(fault.seed)

    def undo(self, fault: Fault) -> None:
        """Write the objects as they were."""
        for put in fault.undo:
            assert isinstance(put, Put)
            self._put(put)

    def look(self, fault: Fault | None, whole: bool) -> tuple[list[Check], Collection[Difference]]:
        """Every byte of every object: there is no smaller look."""
        del fault, whole
        found = objects.compare(self.manifest, self.s3, self.bucket)
        return list(found.checks), found.differences

    def _put(self, put: Put) -> None:
        if put.content is None:
            self.s3.delete_object(Bucket=self.bucket, Key=put.key)
        else:
            headers = {name: value for name, value in put.headers if value}
            self.s3.put_object(Bucket=self.bucket, Key=put.key, Body=put.content, **headers)

    def _headers(self, key: str) -> dict[str, str]:
        entry = self.entries[key]
        return {"ContentType": entry.content_type, "CacheControl": entry.cache_control}

    def _whole(self, key: str) -> Put:
        return Put(key, self.content[key], tuple(self._headers(key).items()))

    def _fault(self, names: set[tuple[str, str, str]], codes: set[str], seed: list[Put], undo: list[Put]) -> Fault:
        named = frozenset((self.bucket, *name) for name in names)
        return Fault("", named, frozenset((code, self.bucket) for code in codes), tuple(seed), tuple(undo))

    def _change(self, key: str, content: bytes, columns: set[str]) -> Fault:
        seed = Put(key, content, tuple(self._headers(key).items()))
        return self._fault({(key, c, "changed") for c in columns}, {"OB404"}, [seed], [self._whole(key)])

    def _bytes(self, change: Any) -> Maker:
        def make(rng: random.Random) -> Fault:
            new = {key: change(old, rng) for key, old in self.content.items()}
            key = rng.choice([key for key, content in new.items() if content != self.content[key]])
            columns = {"sha256", *(() if len(new[key]) == len(self.content[key]) else ("size",))}
            return self._change(key, new[key], columns)

        return make

    def _header(self, column: str, header: str, value: str) -> Maker:
        def make(rng: random.Random) -> Fault:
            key = rng.choice(sorted(self.entries))
            headers = self._headers(key)
            headers[header] = value.format(headers.get(header, ""))
            seed = Put(key, self.content[key], tuple(headers.items()))
            return self._fault({(key, column, "changed")}, {"OB405"}, [seed], [self._whole(key)])

        return make

    def _missing(self, rng: random.Random) -> Fault:
        key = rng.choice(sorted(self.entries))
        return self._fault({(key, "", "missing")}, GONE, [Put(key, None)], [self._whole(key)])

    def _extra(self, rng: random.Random) -> Fault:
        key = f"{rng.choice(sorted(self.entries))}{rng.choice(('~', '.bak', ' (1)', '/below'))}"
        return self._fault({(key, "", "extra")}, ADDED, [Put(key, rng.randbytes(3))], [Put(key, None)])

    def _renamed(self, change: Any) -> Maker:
        def make(rng: random.Random) -> Fault:
            key = rng.choice(sorted(self.entries))
            new = Put(change(key), self.content[key], tuple(self._headers(key).items()))
            names = {(key, "", "missing"), (new.key, "", "extra")}
            undo = [Put(new.key, None), self._whole(key)]
            return self._fault(names, {"OB402", "OB403"}, [new, Put(key, None)], undo)

        return make

    def _exchanged(self, rng: random.Random) -> Fault:
        one, two = rng.sample(sorted(self.entries), 2)
        seed = [Put(a, self.content[b], tuple(self._headers(a).items())) for a, b in ((one, two), (two, one))]
        names = {(key, column, "changed") for key in (one, two) for column in ("sha256", "size")}
        return self._fault(names, {"OB404"}, seed, [self._whole(one), self._whole(two)])


def _at(content: bytes, rng: random.Random, bits: int) -> bytes:
    if not content:
        return content
    changed = bytearray(content)
    changed[rng.randrange(len(content))] ^= 1 << rng.randrange(8) if bits == 1 else rng.randrange(1, 256)
    return bytes(changed)
