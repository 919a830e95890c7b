"""The corpus: recorded requests, at least one for each route, as JSON lines that anybody may read.

Secrets and values of the data are placeholders, `{token:user1}` and `{id:task}`, which the replay fills in.  The last
line holds the number of requests and the SHA-256 of all lines before it, so that a cut or changed file is seen.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from towpath.errors import BadInput
from towpath.streams.whole import write_whole

READING = frozenset({"GET", "HEAD", "OPTIONS"})
SOURCES = ("openapi", "har", "log", "hand")
_KEYS = {"route": str, "method": str, "path": str, "headers": dict, "source": str}


@dataclass(frozen=True, slots=True)
class Recorded:
    """One request.

    `route` is the inventory's name for it, `GET /tasks/{task_id}`; `path` is what is asked, with its query string;
    `expects` the status with which the old application should answer, 0 where nobody said one.
    """

    route: str
    method: str
    path: str
    headers: Mapping[str, str] = field(hash=False)
    body: bytes
    source: str  # openapi | har | log | hand
    declared: bool | None = None  # whether it writes, where its method says something else
    expects: int = 0
    note: str = ""  # what it is there for, for people

    @property
    def writes(self) -> bool:
        """Whether the request changes something: such a one is sent to a rehearsal system only."""
        return self.method not in READING if self.declared is None else self.declared


def once(items: Iterable[Recorded]) -> list[Recorded]:
    """Each request once, whoever recorded it first."""
    kept: dict[tuple[object, ...], Recorded] = {}
    for one in items:
        kept.setdefault((one.method, one.path, one.body, *sorted(one.headers.items())), one)
    return list(kept.values())


def write(path: Path, items: Iterable[Recorded]) -> int:
    """Write a corpus, whole or not at all; returns how many requests it holds."""
    written = 0

    def fill(stream: BinaryIO) -> None:
        nonlocal written
        digest = hashlib.sha256()
        for item in items:
            line = _line(item)
            digest.update(line)
            stream.write(line)
            written += 1
        stream.write(_json({"requests": written, "sha256": digest.hexdigest()}))

    write_whole(path, fill)
    return written


def read(path: Path) -> Iterator[Recorded]:
    """The requests of a corpus, in their order.  Raises BadInput when the file is missing, cut or changed."""
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except OSError as error:
        step = "make it with `towpath corpus`, or correct traffic.corpus in mapping.yaml"
        raise BadInput(f"cannot be read: {error.strerror}", object=str(path), next=step) from error
    end = _parsed(lines[-1], path, len(lines)) if lines else {}
    if set(end) != {"requests", "sha256"}:
        _broken(path, "it has no last line with a digest: it was cut")
    if end != {"requests": len(lines) - 1, "sha256": hashlib.sha256(b"".join(lines[:-1])).hexdigest()}:
        _broken(path, "its last line tells another digest than the lines have: it was changed")
    return iter([_recorded(line, path, number) for number, line in enumerate(lines[:-1], start=1)])


def _line(item: Recorded) -> bytes:
    plain: dict[str, Any] = {"route": item.route, "method": item.method, "path": item.path}
    plain["headers"] = dict(item.headers)
    if item.body:
        try:
            plain["body"] = item.body.decode()
        except UnicodeDecodeError:
            plain["body"] = {"base64": base64.b64encode(item.body).decode()}
    plain["source"] = item.source
    more = {"writes": item.declared, "expects": item.expects or None, "note": item.note or None}
    return _json({**plain, **{key: value for key, value in more.items() if value is not None}})


def _json(plain: Mapping[str, Any]) -> bytes:
    return json.dumps(plain, ensure_ascii=False).encode() + b"\n"


def _parsed(line: bytes, path: Path, number: int) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        _broken(path, f"line {number} is no JSON object")
    return found


def _recorded(line: bytes, path: Path, number: int) -> Recorded:
    plain = _parsed(line, path, number)
    for key, kind in _KEYS.items():
        if not isinstance(plain.get(key), kind):
            _broken(path, f"line {number} has no {key}")
    if plain["source"] not in SOURCES:
        _broken(path, f"line {number} has the unknown source {plain['source']!r}")
    unknown = set(plain) - {*_KEYS, "body", "writes", "expects", "note"}
    if unknown:
        _broken(path, f"line {number} has the unknown key {min(unknown)}")
    body = plain.pop("body", "")
    try:
        raw = body.encode() if isinstance(body, str) else base64.b64decode(body["base64"], validate=True)
    except (KeyError, TypeError, binascii.Error):
        _broken(path, f"line {number} has a body that is neither text nor base64")
    declared = plain.pop("writes", None)
    return Recorded(**plain, body=raw, declared=declared)


def _broken(path: Path, what: str) -> NoReturn:
    raise BadInput(what, object=str(path), next="make it again with `towpath corpus`; never edit it by hand")
