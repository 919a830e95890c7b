"""The list of jobs and what becomes of each: an artefact of JSON lines, written whole or not at all.

First line: what it is, how many jobs of each disposition, and the SHA-256 of all lines that follow.  Then one line for
each job, in the order in which workers would have taken them.  It holds the bodies: whoever may not see the
application's data may not see this file.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from towpath.errors import BadInput, WrongUse
from towpath.jobs.message import digest
from towpath.streams.whole import AGAIN, broken, header, read_whole, write_whole

KIND = "towpath jobs"
VERSION = 1
NAME = "jobs.jsonl"


class Disposition(StrEnum):
    """What becomes of a job: every id has exactly one."""

    SEND = "send"  # handed over: it goes to the queue
    PARK = "park"  # it stays here, whole, for somebody to look at
    DONE = "done"  # a worker finished it, or it expired: nothing is left to do


@dataclass(frozen=True, slots=True)
class Entry:
    """One job.

    `body` is Celery's own text, None where it could not be read or is not needed any more; `raw` the whole message in
    base64 where it could not be read.  `eta` and `expires` in ISO 8601; `why` says what led to the disposition, "" for
    a plain job.
    """

    id: str
    queue: str
    task: str
    state: str
    disposition: Disposition
    why: str = ""
    eta: str | None = None
    expires: str | None = None
    body: str | None = None
    raw: str | None = None

    @property
    def digest(self) -> str:
        """SHA-256 of task and body."""
        return digest(self.task, self.body or "")


_KEYS = tuple(field.name for field in fields(Entry))


@dataclass(frozen=True, slots=True)
class Manifest:
    """An opened manifest: its totals, and its entries as often as they are asked for."""

    file: Path
    jobs: int
    sent: int
    parked: int
    done: int
    digest: str

    def __iter__(self) -> Iterator[Entry]:
        """The entries, streaming.  Raises BadInput with file and line where one is not what `write` writes."""
        counted: Counter[str] = Counter()
        seen: set[str] = set()
        with self.file.open("rb") as stream:
            stream.readline()
            for number, line in enumerate(stream, start=2):
                entry = _entry(line, self.file, number)
                if entry.id in seen:
                    broken(self.file, f"line {number}: job {entry.id} stands here twice")
                seen.add(entry.id)
                counted[entry.disposition] += 1
                yield entry
        found = tuple(counted[one] for one in Disposition)
        if found != (self.sent, self.parked, self.done):
            broken(self.file, f"line 1 tells other numbers than the lines hold: {sum(found):,} jobs")

    @property
    def handed_over(self) -> Iterator[Entry]:
        """The entries that go to the queue."""
        return (entry for entry in self if entry.disposition is Disposition.SEND)


def write(path: Path, entries: Iterable[Entry]) -> Manifest:
    """Write a manifest and open it.

    The file appears under its name only when it is complete and on disk.  Raises WrongUse when an id comes twice.
    """
    write_whole(path, lambda stream: _fill(stream, entries), private=True)
    return read(path)


def _fill(stream: BinaryIO, entries: Iterable[Entry]) -> None:
    room = len(_header(dict.fromkeys(Disposition, 2**62), "0" * 64))
    stream.write(b" " * room + b"\n")
    sha256, counted, seen = hashlib.sha256(), dict.fromkeys(Disposition, 0), set[str]()
    for entry in entries:
        if entry.id in seen:
            raise WrongUse("the same job comes twice", object=entry.id, next="give each job once")
        seen.add(entry.id)
        values = ((key, getattr(entry, key)) for key in _KEYS)
        plain = {key: value for key, value in values if value is not None and (value or key == "body")}
        line = orjson.dumps(plain, option=orjson.OPT_APPEND_NEWLINE)
        sha256.update(line)
        stream.write(line)
        counted[entry.disposition] += 1
    stream.seek(0)
    stream.write(_header(counted, sha256.hexdigest()).ljust(room))


def _header(counted: dict[Disposition, int], digest: str) -> bytes:
    plain = {"kind": KIND, "version": VERSION, "jobs": sum(counted.values())}
    return orjson.dumps(plain | {str(one): number for one, number in counted.items()} | {"digest": digest})


def read(path: Path) -> Manifest:
    """Open a manifest after proving that it is whole.

    Raises BadInput, naming file and line, when it is missing, cut, changed, or of another kind or version.
    """
    return read_whole(path, _opened)


def _opened(path: Path, line: bytes) -> Manifest:
    try:
        found = header(path, line, KIND, VERSION, "jobs")
        sent, parked, done = (int(found[str(one)]) for one in Disposition)
        return Manifest(path, int(found["jobs"]), sent, parked, done, str(found["digest"]))
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput("line 1 is not a manifest's first line", object=str(path), next=AGAIN) from error


def _entry(line: bytes, file: Path, number: int) -> Entry:
    if not line.endswith(b"\n"):
        broken(file, f"line {number} is cut")
    try:
        plain: dict[str, Any] = {"queue": "", "task": "", "state": ""} | orjson.loads(line)
        entry = Entry(**{**plain, "disposition": Disposition(plain["disposition"])})
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"line {number} is not a job's line", object=str(file), next=AGAIN) from error
    texts = (entry.id, entry.queue, entry.task, entry.state, entry.why)
    if not entry.id or not all(isinstance(text, str) for text in texts):
        broken(file, f"line {number}: a text is missing")
    if entry.disposition is Disposition.SEND and not (entry.queue and entry.task and isinstance(entry.body, str)):
        broken(file, f"line {number}: a job without queue, task or body cannot be handed over")
    return entry
