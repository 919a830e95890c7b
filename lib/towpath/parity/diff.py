"""Two trees, and every place at which they differ; with a third one, which of these differences are noise.

Two values are equal when JSON would write them alike: 1 is not 1.0 and not true, the order of an object's keys does not
count, the order of a list does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from towpath.parity.paths import MISSING, Missing, Path, at

_TIME = re.compile(r"\d{4}-\d\d-\d\d(?:([ T])\d\d:\d\d(?::\d\d(?:\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?")
_UUID = re.compile(r"[0-9a-f]{8}(-?)[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{12}", re.IGNORECASE)
Same = Callable[[Path, Any, Any], bool]


@dataclass(frozen=True, slots=True)
class Change:
    """One place with both its values; MISSING where a side has none."""

    path: Path
    before: Any
    after: Any


def same(path: Path, one: Any, other: Any) -> bool:  # noqa: ARG001 - a rule may know the place
    """Whether two values that hold no others are equal."""
    if type(one) is not type(other):
        return False
    return repr(one) == repr(other) if isinstance(one, float) else bool(one == other)


def changes(before: Any, after: Any, equal: Same = same, path: Path = ()) -> Iterator[Change]:
    """Every place at which two trees differ, the deepest that says it; nothing if and only if they are equal."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in [*before, *(name for name in after if name not in before)]:
            yield from changes(before.get(name, MISSING), after.get(name, MISSING), equal, (*path, name))
    elif isinstance(before, list) and isinstance(after, list):
        for number in range(max(len(before), len(after))):
            left = before[number] if number < len(before) else MISSING
            right = after[number] if number < len(after) else MISSING
            yield from changes(left, right, equal, (*path, number))
    elif not equal(path, before, after):
        yield Change(path, before, after)


def kind(value: Any) -> str:
    """What a value is, in a word."""
    if value is None:
        return "null"
    if isinstance(value, Missing):
        return "missing"
    if isinstance(value, bool):
        return "boolean"
    names = {int: "number", float: "number", str: "text", list: "list", dict: "object", bytes: "bytes"}
    return names[type(value)]


def sort(value: Any) -> str:
    """What sort of value it is, more closely: times and ids by how they are written, numbers with a point or none."""
    if isinstance(value, str):
        if found := _TIME.fullmatch(value):
            return f"time{found[1] or ''}{(found[2] or '')[:1].replace('-', '+')}"
        return f"id{found[1]}" if (found := _UUID.fullmatch(value)) else "text"
    return "integer" if type(value) is int else kind(value)


def _is_of(value: Any, sorts: set[str]) -> bool:
    """Whether a value is of one of these sorts; a text may be any, and some languages write 1.0 as 1."""
    found = sort(value)
    return found in sorts or (isinstance(value, str) and "text" in sorts) or (found == "integer" and "number" in sorts)


def without_noise(first: Any, second: Any, new: Any, equal: Same = same) -> tuple[list[Change], list[Change]]:
    """(differences, noise): how `new` differs from `first`, and how `first` and `second` differ.

    Noise is what two answers of one side give differently.  A difference is left out only at or below such a place, and
    only if the new side has there what one of the two others has: a time for a time, not nothing for a time.
    """
    noise = list(changes(first, second, equal))
    sorts = {one.path: {sort(one.before), sort(one.after)} for one in noise}

    def is_noise(path: Path) -> bool:
        heads = (path[:length] for length in range(len(path) + 1))
        return any(_is_of(at(new, head), sorts[head]) for head in heads if head in sorts)

    return [one for one in changes(first, new, equal) if not is_noise(one.path)], noise
