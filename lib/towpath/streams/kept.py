"""A list of plain rows that saves work later: either whole and as it was written, or not to be used at all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from towpath.errors import BadInput
from towpath.streams.whole import AGAIN, broken, header, read_whole, write_whole

VERSION = 1
Row = Sequence[str | int | None]
Add = Callable[[Row], None]
Fill = Callable[[Add], None]


@dataclass(frozen=True, slots=True)
class Kept:
    """An opened list: what its writer said of it, and its rows, as often as they are asked for."""

    file: Path
    told: Mapping[str, str]
    rows: int
    digest: str
    types: tuple[Any, ...]

    def __iter__(self) -> Iterator[list[Any]]:
        """The rows, streaming.  Raises BadInput with file and line."""
        count = 0
        with self.file.open("rb") as stream:
            stream.readline()
            for count, line in enumerate(stream, start=1):
                try:
                    row = orjson.loads(line)
                    good = all(isinstance(value, kind) for value, kind in zip(row, self.types, strict=True))
                except (ValueError, TypeError) as error:
                    raise BadInput(f"line {count + 1} is damaged", object=str(self.file), next=AGAIN) from error
                if not good:
                    broken(self.file, f"line {count + 1} holds other values than it should")
                yield row
        if count != self.rows:
            broken(self.file, f"line 1 tells {self.rows:,} rows, there are {count:,}")


def keep(path: Path, kind: str, told: Mapping[str, str], fill: Fill) -> None:
    """Let `fill` add the rows.  The file appears under its name only when all of them are on disk."""

    def write(stream: BinaryIO) -> None:
        room, digest, rows = len(_header(kind, told, 2**63, "0" * 64)), hashlib.sha256(), 0
        stream.write(b" " * room + b"\n")

        def add(row: Row) -> None:
            nonlocal rows
            line = orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
            digest.update(line)
            stream.write(line)
            rows += 1

        fill(add)
        stream.seek(0)
        stream.write(_header(kind, told, rows, digest.hexdigest()).ljust(room))

    write_whole(path, write)


def read(path: Path, kind: str, types: Sequence[Any]) -> Kept:
    """Open a list after looking at all of it: each row has values of these types.

    Raises BadInput when it is missing, cut, changed or of another kind.
    """

    def opened(path: Path, line: bytes) -> Kept:
        try:
            found = header(path, line, kind, VERSION, kind)
            told = {str(name): str(value) for name, value in found["told"].items()}
            return Kept(path, told, int(found["rows"]), str(found["digest"]), tuple(types))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadInput("line 1 is damaged", object=str(path), next=AGAIN) from error

    found = read_whole(path, opened)
    for _ in found:
        pass
    return found


def _header(kind: str, told: Mapping[str, str], rows: int, digest: str) -> bytes:
    return orjson.dumps({"kind": kind, "version": VERSION, "told": dict(told), "rows": rows, "digest": digest})
