"""Every key read once and written down as ready bodies of KV's bulk put, with what proves it.

Memory does not depend on the size of the source: names lie in an index on disk, values are read in groups of a few
megabytes, a chunk is written when it is full.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import zstandard
from redis import Redis

from towpath.checks import Progress, silent
from towpath.cloudflare.kv import BASE64_BYTES, GET_BYTES, pair
from towpath.errors import CannotFinish
from towpath.keys.inventory import problem, too_large
from towpath.keys.manifest import CHUNKS, KEYS, LEFT, NAME, Chunk, Entry, Lines, Manifest, whole_seconds
from towpath.keys.rules import LEAST_TTL, NO_RULE, Findings, KeyRule, Matcher, shown
from towpath.keys.source import Look, Read, Source
from towpath.keys.values import Encoded, encode

# Measured on the local runtime: 250 pairs a request are the fastest, and thousands are slower; 5 MB keep it small.
CHUNK_KEYS, CHUNK_BYTES = 250, 4_000_000
_BOM = "\ufeff".encode()
_REPLACED = "\ufffd".encode()


def export(redis: Redis, rules: Sequence[KeyRule], folder: Path, report: Progress = silent) -> Manifest:
    """Write chunks, lists and manifest into `folder`; `report` counts keys.

    A key that cannot move is left behind and named in the manifest's findings; its checks say whether that fails.
    Raises BadInput when Redis refuses the password or a command, CannotFinish when it does not answer or the disk
    takes no more; there is no manifest then.
    """
    source = Source(redis)
    facts = source.facts()
    began = int((time.time() + facts.skew) * 1_000)
    try:
        clear(folder)
        writer = _Writer(folder, Matcher(rules))
    except OSError as error:
        raise _cannot_write(folder, error) from None
    try:
        for names in source.index().pages():
            writer.page(source, names)
            report(len(names))
        writer.cut()
        source.unchanged(facts)
        manifest = Manifest(
            folder=folder,
            id=secrets.token_hex(6),
            created=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            moment=began,
            source=asdict(facts),
            rules=tuple(rules),
            scanned=writer.scanned,
            keys=sum(writer.types.values()),
            bytes=writer.bytes,
            types=dict(sorted(writer.types.items())),
            binary=writer.binary,
            chunks=tuple(writer.chunks),
            digest=writer.keys.close(),
            left_digest=writer.left.close(),
            findings=writer.findings.sorted(),
            left=writer.stayed,
        )
        manifest.write()
    except OSError as error:
        raise _cannot_write(folder, error) from None
    finally:
        writer.keys.close()
        writer.left.close()
    return manifest


def clear(folder: Path) -> None:
    """Take away what an earlier attempt left: first the manifest, which vouches for the rest."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in (NAME, CHUNKS, KEYS, LEFT):
        (folder / name).unlink(missing_ok=True)


def _cannot_write(folder: Path, error: OSError) -> CannotFinish:
    what = f"the export could not be written: {error.strerror}"
    return CannotFinish(what, object=folder.name, next="free disk space, run 03-export again")


class _Writer:
    """The files of an export under way."""

    def __init__(self, folder: Path, matcher: Matcher) -> None:
        self.folder, self.matcher = folder, matcher
        self.keys, self.left = Lines(folder / KEYS), Lines(folder / LEFT)
        self.findings, self.types, self.chunks = Findings(), Counter[str](), list[Chunk]()
        self.scanned = self.bytes = self.binary = self.stayed = 0
        self._pairs: list[bytes] = []
        self._size = 0
        self._earliest: int | None = None

    def page(self, source: Source, names: Sequence[bytes]) -> None:
        """Names, in order; each becomes an entry or a line of those that stay."""
        self.scanned += len(names)
        rules = {name: self.matcher(shown(name)) for name in names}
        wanted = []
        for name, rule in rules.items():
            if rule is None or rule.do == "drop":  # these are not even looked at
                self._stay("KE206" if rule else "KE101", rule, name)
            else:
                wanted.append(name)
        moving: list[Look] = []
        for name, look in zip(wanted, source.look(wanted), strict=True):
            if look is None:
                self._stay("KE107", rules[name], name)
            elif code := problem(rules[name], look):
                self._stay(code, rules[name], name)
            else:
                moving.append(look)
        for look, read in zip(moving, source.values(moving), strict=True):
            rule = rules[look.name]
            assert rule is not None
            if read is None:
                self._stay("KE107", rule, look.name)
            elif rule.do == "string" and read.type != "string":
                self._stay("KE202", rule, look.name)
            else:
                self._move(rule, read)

    def cut(self, *, alone: bool = False) -> None:
        """End the chunk."""
        if not self._pairs:
            return
        body = b"[" + b",".join(self._pairs) + b"]"
        data = zstandard.ZstdCompressor(level=1).compress(body)
        with (self.folder / CHUNKS).open("ab") as out:
            offset = out.tell()
            out.write(data)
        digest = hashlib.sha256(body).hexdigest()
        chunk = Chunk(len(self.chunks), len(self._pairs), offset, len(data), len(body), digest, self._earliest, alone)
        self.chunks.append(chunk)
        self._pairs, self._size, self._earliest = [], 0, None

    def _move(self, rule: KeyRule, read: Read) -> None:
        made = encode(read.type, read.value)
        if too_large(made, read.expires):
            self._stay("KE201", rule, read.name)
            return
        key, expiration = read.name.decode(), whole_seconds(read.expires)
        body = pair(key, made.value, expiration=expiration, metadata=made.metadata, binary=made.encoding == "binary")
        large = made.encoding == "binary" and len(made.value) > BASE64_BYTES
        if large or len(self._pairs) >= CHUNK_KEYS or self._size + len(body) > CHUNK_BYTES:
            self.cut()
        digest = hashlib.sha256(made.value).hexdigest()
        number, single = len(self.chunks), alone(key, made)
        entry = Entry(key, made.type, made.encoding, len(made.value), digest, read.expires, number, single)
        self._pairs.append(body)
        self._size += len(body)
        if expiration is not None:
            self._earliest = min(expiration, self._earliest or expiration)
            if rule.ttl == "lift" and expiration - time.time() < LEAST_TTL:
                self.findings.add("KE204", rule.pattern, key)
        if large:
            self.cut(alone=True)
        self.keys.add(entry.line())
        self.types[made.type] += 1
        self.bytes += entry.size
        self.binary += bool(made.encoding)

    def _stay(self, code: str, rule: KeyRule | None, name: bytes) -> None:
        pattern = rule.pattern if rule else NO_RULE
        self.findings.add(code, pattern, shown(name))
        self.left.add({"key": shown(name), "code": code, "pattern": pattern})
        self.stayed += 1


def alone(key: str, made: Encoded) -> bool:
    """True if a bulk read would not give the value exactly: see towpath.cloudflare.kv."""
    return (
        made.encoding == "binary"
        or made.value.startswith(_BOM)
        or _REPLACED in made.value
        or key == "__proto__"
        or len(made.value) > GET_BYTES
    )
