"""The list of objects that a target must hold: an artefact of JSON lines, written whole or not at all.

First line: what it is, how many objects and bytes, which key prefixes it speaks for, and the SHA-256 of all lines that
follow.  Then one line per object in the order of the keys' UTF-8 bytes, which is also the order of a bucket's listing.
Same files, same bytes: it holds no time and no path of this machine.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from towpath.errors import BadInput, WrongUse
from towpath.objects.content import Content
from towpath.objects.inventory import Decided, File, Inventory, key_of
from towpath.objects.rules import KEY_BYTES
from towpath.streams.whole import AGAIN, broken, header, read_whole, write_whole

KIND = "towpath objects"
VERSION = 1
# As FastAPI's FileResponse left it to browsers: only for this user, and asked again each time.
CACHE_CONTROL = "private, no-cache"
_HEX = {
    "sha256": re.compile("[0-9a-f]{64}"),
    "md5": re.compile("[0-9a-f]{32}"),
    "etag": re.compile("[0-9a-f]{32}(-[0-9]{1,5})?"),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One object as it must be.  `path`: where the file lies below the root; `part_size`: bytes, None for one piece."""

    key: str
    path: str
    size: int
    sha256: str
    md5: str
    etag: str
    content_type: str
    cache_control: str
    part_size: int | None


@dataclass(frozen=True, slots=True)
class Manifest:
    """An opened manifest: its totals, and its entries as often as they are asked for."""

    file: Path
    objects: int
    bytes: int
    prefixes: tuple[str, ...]
    digest: str

    def __iter__(self) -> Iterator[Entry]:
        """The entries, streaming.  Raises BadInput with file and line where one is not what `write` writes."""
        with self.file.open("rb") as stream:
            stream.readline()
            last, objects, total = None, 0, 0
            for number, line in enumerate(stream, start=2):
                entry = _entry(line, self.file, number)
                if last is not None and entry.key <= last:
                    broken(self.file, f"line {number}: key is out of order")
                last, objects, total = entry.key, objects + 1, total + entry.size
                yield entry
        if (objects, total) != (self.objects, self.bytes):
            told = f"{self.objects:,} objects and {self.bytes:,} bytes"
            broken(self.file, f"line 1 tells {told}, the lines hold {objects:,} and {total:,}")


def entries(inventory: Inventory, decided: Decided = (), cache_control: str = CACHE_CONTROL) -> Iterator[Entry]:
    """The objects that an inventory's files become, without those that a decision skips, in the order of keys."""
    return (entry_of(file.key, file.path, file, cache_control) for file in inventory.files(decided))


def entry_of(key: str, path: str, found: File | Content, cache_control: str) -> Entry:
    """The entry of a file, from what a reading of it found."""
    return Entry(
        key=key,
        path=path,
        size=found.size,
        sha256=found.sha256,
        md5=found.md5,
        etag=found.etag,
        content_type=found.content_type,
        cache_control=cache_control,
        part_size=found.part_size,
    )


def write(path: Path, objects: Iterable[Entry], prefixes: Sequence[str] = ("",)) -> Manifest:
    """Write a manifest and open it.

    The file appears under its name only when it is complete and on disk.  Raises WrongUse when the entries are not
    in ascending order of their keys, or a key lies under none of the prefixes.
    """
    write_whole(path, lambda stream: _fill(stream, objects, tuple(prefixes)))
    return read(path)


def _fill(stream: BinaryIO, objects: Iterable[Entry], prefixes: tuple[str, ...]) -> None:
    room = len(_header(2**63, 2**63, prefixes, "0" * 64))
    stream.write(b" " * room + b"\n")
    digest, number, total, last = hashlib.sha256(), 0, 0, None
    for entry in objects:
        if last is not None and entry.key <= last:
            raise WrongUse("keys must ascend", object=entry.key, next="give each object once, sorted by key")
        if not entry.key.startswith(prefixes):
            raise WrongUse(f"key is under none of {prefixes}", object=entry.key, next="name every prefix")
        plain = asdict(entry)
        if entry.path == entry.key:
            del plain["path"]
        line = orjson.dumps(plain, option=orjson.OPT_APPEND_NEWLINE)
        digest.update(line)
        stream.write(line)
        number, total, last = number + 1, total + entry.size, entry.key
    stream.seek(0)
    stream.write(_header(number, total, prefixes, digest.hexdigest()).ljust(room))


def _header(objects: int, total: int, prefixes: Sequence[str], digest: str) -> bytes:
    told = {"kind": KIND, "version": VERSION, "objects": objects, "bytes": total, "prefixes": prefixes}
    return orjson.dumps(told | {"digest": digest})


def read(path: Path) -> Manifest:
    """Open a manifest after proving that it is whole.

    Raises BadInput, naming file and line, when it is missing, cut, changed, or of another kind or version.
    """
    return read_whole(path, _opened)


def _opened(path: Path, line: bytes) -> Manifest:
    try:
        found = header(path, line, KIND, VERSION, "objects")
        return Manifest(
            path,
            int(found["objects"]),
            int(found["bytes"]),
            tuple(map(str, found["prefixes"])),
            str(found["digest"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput("line 1 is not a manifest's first line", object=str(path), next=AGAIN) from error


def _entry(line: bytes, file: Path, number: int) -> Entry:
    if not line.endswith(b"\n"):
        broken(file, f"line {number} is cut")
    try:
        plain: dict[str, Any] = orjson.loads(line)
        plain.setdefault("path", plain["key"])
        entry = Entry(**plain)
        wrong = _wrong(entry)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"line {number} is not an object's line", object=str(file), next=AGAIN) from error
    if wrong:
        broken(file, f"line {number}: {wrong}")
    return entry


def _wrong(entry: Entry) -> str:
    """What makes an entry unsafe to act on; "" if nothing."""
    if not entry.key or entry.key != key_of(entry.key) or len(entry.key.encode()) > KEY_BYTES:
        return "key is not a key"
    if entry.path.startswith("/") or ".." in entry.path.split("/") or "\0" in entry.path:
        return "path leaves the root"
    numbers = (entry.size,) if entry.part_size is None else (entry.size, entry.part_size)
    if any(type(n) is not int or n < 0 for n in numbers) or entry.part_size == 0:
        return "size is not a number of bytes"
    for name, form in _HEX.items():
        if not form.fullmatch(getattr(entry, name)):
            return f"{name} is not a digest"
    texts = (entry.content_type, entry.cache_control)
    return "" if all(text.isascii() and text.isprintable() for text in texts) else "content type or cache control"
