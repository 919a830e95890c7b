"""The forms in which a value of Redis stands in KV; the whole table is in docs/keys.md.

    string   its bytes, as they are
    hash     {"field": "value", …}, fields in the order of their bytes; [[field, value], …] if a field is not UTF-8
    list     ["element", …]
    set      ["member", …], in the order of their bytes
    zset     [["member", "score"], …], in Redis' order: by score, then by the member's bytes
    stream   [["id", [["field", "value"], …]], …]

In the JSON forms a text is a JSON string; bytes that are not UTF-8 are {"base64": "…"}.  A score is the shortest
decimal text that gives the same double again, `inf` and `-inf` included.
"""

from __future__ import annotations

import base64
import codecs
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import orjson

from towpath.errors import BadInput

Pair = tuple[bytes, bytes]
_STREAM_ID = re.compile(rb"\d{1,20}-\d{1,20}")
Value = Any  # bytes; dict of bytes; list or set of bytes; list of (member, score); list of (id, list of pairs)


@dataclass(frozen=True, slots=True)
class Encoded:
    """A value as KV holds it; `encoding`: "" text, "binary" bytes that are no text, "base64" JSON with such members."""

    type: str
    value: bytes
    encoding: str

    @property
    def metadata(self) -> dict[str, str]:
        """What is stored beside the value, so that a reader knows what it is."""
        return {"type": self.type, **({"encoding": self.encoding} if self.encoding else {})}


def encode(type: str, value: Value) -> Encoded:
    """Bring a value of Redis into its form; `type` as TYPE tells it.

    string: bytes.  hash: dict of bytes.  list, set: iterable of bytes.  zset: pairs of bytes and float, in order.
    stream: pairs of an id (bytes) and a list of pairs of bytes, in order.
    """
    if type == "string":
        return Encoded(type, bytes(value), "" if _is_text(value) else "binary")
    members = _Members()
    plain = _TO_JSON[type](value, members)
    return Encoded(type, orjson.dumps(plain), "base64" if members.binary else "")


def decode(type: str, value: bytes) -> Value:
    """The value of Redis that this form stands for; hash as dict, set as set, list, zset and stream as lists.

    Raises BadInput when the text is not the form of that type.
    """
    if type == "string":
        return value
    try:
        return _FROM_JSON[type](
            orjson.loads(value.removeprefix(codecs.BOM_UTF8))
        )  # every reader of KV's texts drops it
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadInput(
            f"the value is not the form of a {type}", object=type, next="see the forms in docs/keys.md"
        ) from error


def canonical(type: str, value: bytes) -> Encoded | None:
    """A value of KV as `encode` would have written it, however its JSON was written; None for an empty collection.

    Redis has no empty collections: such a key is not there.  Raises BadInput when the value is not the form of that
    type, or is one that Redis cannot hold: a member twice, a score that is no number, ids that do not ascend.
    """
    plain = decode(type, value)
    if type == "string":
        return encode(type, plain)
    if type == "zset":
        plain = sorted(plain, key=lambda pair: (pair[1], pair[0]))
    if problem := _impossible(type, plain, len(orjson.loads(value.removeprefix(codecs.BOM_UTF8)))):
        raise BadInput(f"Redis cannot hold it: {problem}", object=type, next="correct the value in KV")
    return encode(type, plain) if plain else None


def _impossible(type: str, plain: Any, members: int) -> str:
    if type in ("hash", "set") and len(plain) != members:
        return "the same member stands in it twice"
    if type == "zset" and len({member for member, _ in plain}) != members:
        return "the same member stands in it twice"
    if type == "zset" and any(number != number for _, number in plain):
        return "a score is no number"
    if type == "stream":
        ids = [tuple(map(int, id.split(b"-"))) if _STREAM_ID.fullmatch(id) else (0, 0) for id, _ in plain]
        if any(one >= other for one, other in pairwise([(0, 0), *ids])):
            return "its ids do not ascend"
        if not all(fields for _, fields in plain):
            return "an entry has no field"
    return ""


def score(value: float) -> str:
    """A score as text: 1, 1.5, -0, 1e+21, inf."""
    return repr(float(value)).removesuffix(".0")


def _is_text(value: bytes) -> bool:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


class _Members:
    """Bytes as JSON, and whether one of them was not UTF-8."""

    def __init__(self) -> None:
        self.binary = False

    def __call__(self, value: bytes) -> str | dict[str, str]:
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            self.binary = True
            return {"base64": base64.b64encode(value).decode()}


def _hash(value: dict[bytes, bytes], text: _Members) -> Any:
    pairs = [(text(field), text(content)) for field, content in sorted(value.items())]
    return dict(pairs) if all(isinstance(field, str) for field, _ in pairs) else pairs


def _pairs(value: Iterable[Pair], text: _Members) -> list[Any]:
    return [[text(field), text(content)] for field, content in value]


_TO_JSON: dict[str, Callable[[Any, _Members], Any]] = {
    "hash": _hash,
    "list": lambda value, text: [text(member) for member in value],
    "set": lambda value, text: [text(member) for member in sorted(value)],
    "zset": lambda value, text: [[text(member), score(number)] for member, number in value],
    "stream": lambda value, text: [[id.decode("ascii"), _pairs(fields, text)] for id, fields in value],
}


def _bytes(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode()
    (name,) = value
    return base64.b64decode(value[name], validate=True) if name == "base64" else _bytes(None)


def _listed(value: Any) -> list[Any]:
    """A text can be gone through like a list, and an object, too; neither is one."""
    if not isinstance(value, list):
        raise TypeError("no list")
    return value


def _from_pairs(value: Any) -> list[Pair]:
    return [(_bytes(field), _bytes(content)) for field, content in map(_listed, _listed(value))]


def _number(value: Any) -> float:
    if isinstance(value, bool):
        raise TypeError("no number")
    return float(value)


_FROM_JSON: dict[str, Callable[[Any], Any]] = {
    "hash": lambda value: dict(_from_pairs([*map(list, value.items())] if isinstance(value, dict) else value)),
    "list": lambda value: [_bytes(member) for member in _listed(value)],
    "set": lambda value: {_bytes(member) for member in _listed(value)},
    "zset": lambda value: [(_bytes(member), _number(number)) for member, number in map(_listed, _listed(value))],
    "stream": lambda value: [(id.encode(), _from_pairs(fields)) for id, fields in map(_listed, _listed(value))],
}
