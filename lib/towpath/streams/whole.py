"""Lists of JSON lines on disk, written whole or not at all; the first line holds totals and the SHA-256 of all others.

The totals are known last but stand first: their line is reserved at its greatest width and filled with spaces.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, Protocol, TypeVar

import orjson

from towpath.errors import BadInput

AGAIN = "run 03-export again; never edit a manifest"
_BLOCK = 1 << 20


class Listed(Protocol):
    """A list that was opened: its digest as the first line tells it, and its entries, read with care."""

    @property
    def digest(self) -> str:
        """SHA-256 of all lines but the first."""

    def __iter__(self) -> Iterator[Any]:
        """The entries.  Raises BadInput with file and line."""


Opened = TypeVar("Opened", bound=Listed)


def write_whole(path: Path, fill: Callable[[BinaryIO], None], *, private: bool = False) -> None:
    """Let `fill` write the file.  It appears under its name only when it is complete and on disk.

    `private`: nobody else on this machine may read it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("w+b") as stream:
            if private:
                os.fchmod(stream.fileno(), 0o600)
            fill(stream)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def read_whole(path: Path, open_header: Callable[[Path, bytes], Opened]) -> Opened:
    """Open a list by its first line, after proving that it is whole.

    Raises BadInput, naming file and line, when it is missing, cut or changed.
    """
    try:
        with path.open("rb") as stream:
            opened = open_header(path, stream.readline())
            digest = hashlib.sha256()
            while block := stream.read(_BLOCK):
                digest.update(block)
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", object=str(path), next="run 03-export first") from error
    if digest.hexdigest() != opened.digest:
        for _ in opened:  # names the line, if one of them shows the damage
            pass
        broken(path, "line 1 tells another digest than the lines have: a value was changed")
    return opened


def header(path: Path, line: bytes, kind: str, version: int, what: str) -> dict[str, Any]:
    """The first line as data.

    Raises BadInput when it is of another kind or version, ValueError and its like when it is no such line at all.
    """
    found: dict[str, Any] = orjson.loads(line)
    if found["kind"] != kind:
        broken(path, f"line 1: not a list of {what}")
    if found["version"] != version:
        broken(path, f"line 1: version {found['version']!r}, this Towpath reads {version}")
    return found


def broken(file: Path, what: str) -> NoReturn:
    """Say what is wrong with a list.  Raises BadInput."""
    raise BadInput(what, object=str(file), next=AGAIN)
