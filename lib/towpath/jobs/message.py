"""One message of Celery as Redis holds it: an envelope in JSON around a body.

Two protocols (docs.celeryq.dev/en/stable/internals/protocol.html): in version 2 the headers name id and task and the
body is `[args, kwargs, embed]`; in version 1 all of it stands in the body.  A body is text here, decoded from base64
and, where the headers say so, from zlib; it is looked into, never changed, and nothing but JSON is ever opened.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

LONGEST_BODY = 64_000_000  # bytes after decompression: more is not opened
_JSON = ("application/json", "json")
_TEXT = ("utf-8", "utf8", "us-ascii", "ascii")
_PLAIN, _ZLIB = ("", "none"), ("application/x-gzip", "gzip", "zlib")
_FOLLOWERS = ("callbacks", "errbacks", "chain", "chord")


@dataclass(frozen=True, slots=True)
class Job:
    """A job that can be read.  `tag` names the message in its queue; `body` is Celery's own text."""

    id: str
    queue: str
    task: str
    body: str
    tag: str
    eta: dt.datetime | None = None
    expires: dt.datetime | None = None
    priority: int = 0
    retries: int = 0
    protocol: int = 2
    followed: bool = False  # something is to run after it

    @property
    def digest(self) -> str:
        """SHA-256 of what makes the job what it is."""
        return digest(self.task, self.body)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A message that is no job for us.  `id` and `task` are "" where they cannot be known; `raw` is all of it."""

    id: str
    queue: str
    task: str
    tag: str
    code: str  # JO201 or JO202
    why: str
    raw: bytes


class _BrokenError(Exception):
    """Why a message cannot be read; `code` is the rule."""

    def __init__(self, why: str, code: str = "JO201") -> None:
        self.why, self.code = why, code
        super().__init__(why)


def digest(task: str, body: str) -> str:
    """SHA-256 over task and body, so that two jobs are told apart without keeping their bodies."""
    return hashlib.sha256(task.encode() + b"\0" + body.encode()).hexdigest()


def decode(raw: bytes, queue: str) -> Job | Unreadable:
    """Read one message; what cannot be read says why, and never raises."""
    known = {"id": "", "task": "", "tag": hashlib.sha256(raw).hexdigest()}
    try:
        return _job(raw, queue, known)
    except _BrokenError as broken:
        return Unreadable(known["id"], queue, known["task"], known["tag"], broken.code, broken.why, raw)


def _job(raw: bytes, queue: str, known: dict[str, str]) -> Job:
    envelope = _object(_parsed(raw, "the message"), "the message")
    headers, properties = _part(envelope, "headers"), _part(envelope, "properties")
    tag = properties.get("delivery_tag")
    known["tag"] = tag if isinstance(tag, str) and tag else known["tag"]
    for key in ("id", "task"):
        value = headers.get(key)
        known[key] = value if isinstance(value, str) else ""
    text = _text(envelope, headers, properties)
    body = _looked_into(text)
    two = "task" in headers
    facts = headers if two else _object(body, "the body of protocol 1")
    embed = _embed(body) if two else facts
    id, task = (_named(facts, key) for key in ("id", "task"))
    known |= {"id": id, "task": task}
    return Job(
        id=id,
        queue=queue,
        task=task,
        body=text,
        tag=known["tag"],
        eta=_time(facts, "eta"),
        expires=_time(facts, "expires"),
        priority=_number(properties, "priority"),
        retries=_number(facts, "retries"),
        protocol=2 if two else 1,
        followed=any(embed.get(name) for name in _FOLLOWERS),
    )


def _text(envelope: Mapping[str, Any], headers: Mapping[str, Any], properties: Mapping[str, Any]) -> str:
    kind = envelope.get("content-type")
    if not isinstance(kind, str) or not kind:
        raise _BrokenError("it has no content type")
    if kind not in _JSON:
        raise _BrokenError(f"content type {kind[:80]}", "JO202")
    body = envelope.get("body")
    if not isinstance(body, str):
        raise _BrokenError("it has no body")
    data = body.encode()
    encoding = properties.get("body_encoding")
    if encoding == "base64":
        try:
            data = base64.b64decode(data, validate=True)
        except (binascii.Error, ValueError) as error:
            raise _BrokenError("the body is not base64") from error
    elif encoding is not None:
        raise _BrokenError(f"the body is encoded as {str(encoding)[:80]}")
    data = _unpacked(data, str(headers.get("compression") or ""))
    if str(envelope.get("content-encoding")).lower() not in _TEXT:
        raise _BrokenError(f"content encoding {str(envelope.get('content-encoding'))[:80]}")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _BrokenError("the body is not UTF-8") from error


def _unpacked(data: bytes, compression: str) -> bytes:
    if compression in _PLAIN:
        return data
    if compression not in _ZLIB:
        raise _BrokenError(f"compression {compression[:80]}", "JO202")
    try:
        opened = zlib.decompressobj()
        text = opened.decompress(data, LONGEST_BODY)
    except zlib.error as error:
        raise _BrokenError("the body is not zlib") from error
    if not opened.eof:
        raise _BrokenError(f"the body is cut, or longer than {LONGEST_BODY:,} bytes")
    return text


def _parsed(data: bytes, what: str) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise _BrokenError(f"{what} is not JSON") from error


def _looked_into(text: str) -> Any:
    """The body's values, only to be looked at: half a surrogate pair is JSON too, and a long number is no fault."""
    try:
        return json.loads(text, parse_constant=_no_constant, parse_int=lambda digits: int(digits[:18]))
    except (ValueError, RecursionError) as error:
        raise _BrokenError("the body is not JSON") from error


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _BrokenError(f"{what} is no object")
    return value


def _part(envelope: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = envelope.get(key)
    return {} if value is None else _object(value, f"its {key}")


def _embed(body: Any) -> dict[str, Any]:
    if not isinstance(body, list) or len(body) != 3 or [type(part) for part in body] != [list, dict, dict]:
        raise _BrokenError("the body is not [args, kwargs, embed]")
    return dict(body[2])


def _named(facts: Mapping[str, Any], key: str) -> str:
    value = facts.get(key)
    if not isinstance(value, str) or not value or not value.isprintable():
        raise _BrokenError(f"it has no {key}")
    return value


def _time(facts: Mapping[str, Any], key: str) -> dt.datetime | None:
    """A time with its zone; Celery means UTC where none is written."""
    value = facts.get(key)
    if value is None:
        return None
    try:
        time = dt.datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise _BrokenError(f"its {key} is no time") from error
    return time if time.tzinfo else time.replace(tzinfo=dt.UTC)


def _number(facts: Mapping[str, Any], key: str) -> int:
    value = facts.get(key)
    return value if isinstance(value, int) else 0
