"""A value for a JSON schema: its example, its default, its first enumerated value, or the smallest that it allows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from towpath.routes.openapi import Document, resolved

DEEPEST = 8
_FORMATS = {
    "date": "2026-01-02",
    "date-time": "2026-01-02T03:04:05Z",
    "time": "03:04:05Z",
    "duration": "PT1H",
    "email": "towpath@example.org",
    "hostname": "example.org",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.org/",
    "uuid": "00000000-0000-4000-8000-000000000001",
}


class Unmakeable(Exception):
    """No value can be made: somebody has to give an example."""


class Values:
    """Makes values; `sample` gives the placeholder of a field by its name, None where there is none.

    `word` is what stands for a text.
    """

    def __init__(self, document: Document, sample: Callable[[str], str | None], word: str = "towpath") -> None:
        self._document, self._sample, self._word = document, sample, word

    def value(self, schema: Any, name: str, depth: int = 0) -> Any:
        """A value for a schema.  Raises Unmakeable."""
        if depth > DEEPEST:
            raise Unmakeable(f"{name}: the schema holds itself")
        plain = self.merged(schema)
        if (placed := self._sample(name)) is not None:
            return placed
        for key in ("example", "const", "default"):
            if plain.get(key) is not None:
                return plain[key]
        for key in ("examples", "enum"):
            if isinstance(plain.get(key), list) and plain[key]:
                return plain[key][0]
        return self._made(plain, name, depth)

    def merged(self, schema: Any) -> dict[str, Any]:
        """A schema with its reference followed, its allOf put together, and the first of its alternatives taken."""
        plain = resolved(self._document, schema)
        for part in plain.pop("allOf", ()):
            more = self.merged(part)
            both = {key: {**plain.get(key, {}), **more.get(key, {})} for key in ("properties",) if key in more}
            required = [*plain.get("required", []), *more.get("required", [])]
            plain = {**more, **plain, **both, **({"required": required} if required else {})}
        for key in ("anyOf", "oneOf"):
            options = [self.merged(one) for one in plain.pop(key, ())]
            chosen = next((one for one in options if one.get("type") != "null"), options[0] if options else {})
            plain = {**chosen, **plain}
        if isinstance(plain.get("type"), list):
            plain["type"] = next((one for one in plain["type"] if one != "null"), "null")
        return plain

    def _made(self, plain: Mapping[str, Any], name: str, depth: int) -> Any:
        kind = plain.get("type") or ("object" if "properties" in plain else None)
        if kind == "object":
            properties = plain.get("properties", {})
            required = plain.get("required") or list(properties)[:1]  # nothing at all would change nothing
            return {key: self.value(properties.get(key, {}), key, depth + 1) for key in required}
        if kind == "array":
            return [self.value(plain.get("items", {}), name, depth + 1)] * int(plain.get("minItems", 0))
        if kind in ("integer", "number"):
            return _number(plain, kind)
        if kind == "boolean":
            return False
        if kind == "string":
            return _text(plain, name, self._word)
        return None if kind == "null" else self._word


def _number(plain: Mapping[str, Any], kind: str) -> int | float:
    step = plain.get("multipleOf", 1)
    least = plain.get("minimum", plain.get("exclusiveMinimum", 0))
    most = plain.get("maximum", plain.get("exclusiveMaximum"))
    value = least if "minimum" in plain or "exclusiveMinimum" not in plain else least + step
    if "minimum" not in plain and most is not None and value > most:
        value = most
    value = -(-value // step) * step
    return int(value) if kind == "integer" or float(value).is_integer() else float(value)


def _text(plain: Mapping[str, Any], name: str, word: str) -> str:
    if plain.get("pattern"):
        raise Unmakeable(f"{name} must fit a pattern: give an example")
    if (form := plain.get("format")) in _FORMATS:
        return _FORMATS[form]
    text = word.ljust(int(plain.get("minLength", 0)), "-")
    return text[: int(plain["maxLength"])] if "maxLength" in plain else text
