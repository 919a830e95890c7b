"""The manifest of an export: every chunk, and every key with what proves it.

A *chunk* is the ready body of a bulk put; all of them stand in `keys.chunks`, each compressed by itself.
`keys.jsonl.zst` holds a line for each key in the order of the keys' UTF-8 bytes, which is also the order of a
namespace's listing; `left.jsonl.zst` a line for each key that stays behind, with the code that says why.
`manifest.json` is written last: an export without one did not come to its end.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import orjson
import zstandard

from towpath.checks import Check, Finding, Severity
from towpath.errors import BadInput
from towpath.keys.rules import RULES, KeyRule, check

FORMAT = 1
NAME, CHUNKS, KEYS, LEFT = "manifest.json", "keys.chunks", "keys.jsonl.zst", "left.jsonl.zst"
Body = bytes  # inside Manifest `bytes` is a number
AGAIN = "run 03-export again; never edit an export"


@dataclass(frozen=True, slots=True)
class Chunk:
    """One bulk put; `size` and `sha256` are of the body, `earliest` is its first expiration in seconds since 1970.

    `alone`: it holds one value that is not text and too large for a bulk put.
    """

    number: int
    keys: int
    offset: int
    bytes: int
    size: int
    sha256: str
    earliest: int | None
    alone: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """One key as it must be: digest and size of its value in KV, `expires` in milliseconds since 1970 as in Redis."""

    key: str
    type: str
    encoding: str
    size: int
    sha256: str
    expires: int | None
    chunk: int
    alone: bool  # a bulk read could not give this value exactly

    @property
    def expiration(self) -> int | None:
        """The expiry in whole seconds as KV takes it: rounded up, so that no key goes before its time."""
        return whole_seconds(self.expires)

    def line(self) -> dict[str, Any]:
        """The entry as plain data, for its line of the list."""
        return {name: getattr(self, name) for name in _OF_AN_ENTRY}

    @property
    def metadata(self) -> dict[str, str]:
        """What stands beside the value."""
        return {"type": self.type, **({"encoding": self.encoding} if self.encoding else {})}


_OF_AN_ENTRY = tuple(field.name for field in fields(Entry))


@dataclass(frozen=True, slots=True)
class Manifest:
    """A whole export.  `scanned` = `keys` that moved + those that `findings` name; `bytes` of their values in KV."""

    folder: Path
    id: str
    created: str  # UTC, ISO 8601
    moment: int  # when the export began by Redis' clock, in milliseconds since 1970
    source: dict[str, Any]
    rules: tuple[KeyRule, ...]
    scanned: int
    keys: int
    bytes: int
    types: dict[str, int]
    binary: int  # keys whose value, or a member of it, is not UTF-8
    chunks: tuple[Chunk, ...]
    digest: str  # SHA-256 of the lines of keys.jsonl.zst
    left_digest: str
    findings: tuple[Finding, ...]  # about keys that stayed behind, or were shortened in their life
    left: int

    def __iter__(self) -> Iterator[Entry]:
        """The entries, streaming.  Raises BadInput where the list is damaged."""
        for number, line in enumerate(_lines(self.folder / KEYS), start=1):
            try:
                yield Entry(**orjson.loads(line))
            except (ValueError, TypeError) as error:
                raise BadInput(f"line {number} is not a key's line", object=KEYS, next=AGAIN) from error

    def left_behind(self) -> Iterator[dict[str, str]]:
        """Keys that stayed behind: `key`, `code`, `pattern`."""
        for line in _lines(self.folder / LEFT):
            yield orjson.loads(line)

    def body(self, chunk: Chunk) -> Body:
        """A chunk as it is sent.  Raises BadInput when it is missing, cut or changed."""
        problem = "its content is not what was exported"
        try:
            with (self.folder / CHUNKS).open("rb") as file:
                file.seek(chunk.offset)
                # a stream reads no more than it is asked for, whatever a damaged frame promises
                body = zstandard.ZstdDecompressor().stream_reader(file.read(chunk.bytes)).read(chunk.size + 1)
        except (OSError, zstandard.ZstdError) as error:
            body, problem = b"", str(error)
        if hashlib.sha256(body).hexdigest() != chunk.sha256:
            step = "run 03-export again; nothing of this chunk was sent"
            raise BadInput(f"the chunk cannot be used: {problem}", object=f"{CHUNKS} {chunk.number}", next=step)
        return body

    @property
    def checks(self) -> tuple[Check, ...]:
        """The export as rows of a phase's result; findings with a decision are judged beside them."""
        refused = [finding for finding in self.findings if RULES[finding.code].severity is Severity.REFUSE]
        keys = [sample for finding in refused for sample in finding.samples]
        moved = ", ".join(f"{count:,} {type}" for type, count in sorted(self.types.items())) or "none"
        found = f"{self.keys:,} exported ({moved}), {self.left:,} named"
        good = not refused and self.keys + self.left == self.scanned
        if refused:
            found += "; " + "; ".join(f"{f.code} {f.object}: {f.count:,}" for f in refused)
        return (check("KE401", str(self.source.get("address", "")), f"{self.scanned:,} keys", found, good, keys),)

    def write(self) -> None:
        """Write `manifest.json`, whole or not at all."""
        content = _content(self)
        path = self.folder / NAME
        draft = path.with_suffix(".tmp")
        with draft.open("wb") as file:
            file.write(orjson.dumps({"sha256": _digest(content), **content}, option=orjson.OPT_INDENT_2))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)


def read(folder: Path) -> Manifest:
    """Open an export after proving that its lists are whole.

    Raises BadInput when it is missing, cut, changed since it was written, or of another format.
    """
    try:
        data = orjson.loads((folder / NAME).read_bytes())
    except FileNotFoundError:
        what = "the export has no manifest: it did not come to its end"
        raise BadInput(what, object=NAME, next="run 03-export again") from None
    except (OSError, orjson.JSONDecodeError) as error:
        raise BadInput(f"the manifest is damaged: {error}", object=NAME, next=AGAIN) from None
    if not isinstance(data, dict) or data.pop("format", None) != FORMAT:
        raise BadInput("the manifest is of another format", object=NAME, next=AGAIN)
    if data.pop("sha256", None) != _digest({"format": FORMAT, **data}):
        raise BadInput("the manifest is not what was written: it was changed", object=NAME, next=AGAIN)
    try:
        data["rules"] = tuple(KeyRule(**rule) for rule in data["rules"])
        data["chunks"] = tuple(Chunk(**chunk) for chunk in data["chunks"])
        data["findings"] = tuple(Finding(**{**f, "samples": tuple(f["samples"])}) for f in data["findings"])
        manifest = Manifest(folder=folder, **data)
    except (KeyError, TypeError) as error:
        raise BadInput(f"the manifest is damaged: {error}", object=NAME, next=AGAIN) from None
    for file, digest in ((KEYS, manifest.digest), (LEFT, manifest.left_digest)):
        found = hashlib.sha256()
        for line in _lines(folder / file):
            found.update(line)
        if found.hexdigest() != digest:
            raise BadInput("the list is not what was written: it was changed", object=file, next=AGAIN)
    return manifest


def whole_seconds(expires: int | None) -> int | None:
    """Milliseconds as whole seconds, rounded up."""
    return None if expires is None else -(-expires // 1_000)


def _content(manifest: Manifest) -> dict[str, Any]:
    plain = {field.name: getattr(manifest, field.name) for field in fields(manifest) if field.name != "folder"}
    for name in ("rules", "chunks", "findings"):
        plain[name] = [asdict(item) for item in plain[name]]
    return {"format": FORMAT, **plain}


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(orjson.dumps(content)).hexdigest()


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            stream = zstandard.ZstdDecompressor().stream_reader(file)
            yield from io.BufferedReader(stream, 1 << 20)
    except (OSError, zstandard.ZstdError) as error:
        raise BadInput(f"the list cannot be read: {error}", object=path.name, next=AGAIN) from error


class Lines:
    """A compressed file of JSON lines under way, and the digest of its lines."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._stream: Any = zstandard.ZstdCompressor(level=3).stream_writer(self._file)
        self._digest = hashlib.sha256()

    def add(self, line: dict[str, Any]) -> None:
        """One more line."""
        data = orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
        self._digest.update(data)
        self._stream.write(data)

    def close(self) -> str:
        """Finish the file; returns the digest.  Safe to repeat."""
        if not self._file.closed:
            self._stream.close()  # closes the file too
        return self._digest.hexdigest()
