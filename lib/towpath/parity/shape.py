"""Whether answers are of one shape, whatever they say: status, media type, and the names and kinds of their JSON.

For sides that do not hold the same any more.  What tells nothing of the shape is no difference: an empty list, null in
the place of a value, more or fewer items, a name that only some items have.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from towpath.parity.diff import kind
from towpath.parity.paths import BODY, HEADERS, STATUS, shown

TYPE = "content-type"  # the header without its parameters, as `typed` leaves it
JSON = "JSON"


def typed(tree: dict[str, Any]) -> dict[str, Any]:
    """A tree whose content type is its media type alone; every kind of JSON is one, and nothing is of no type."""
    headers = dict(tree[HEADERS])
    named = headers.pop(TYPE, "").partition(";")[0].strip().lower()
    if named and tree[BODY] != b"":
        headers[TYPE] = JSON if named == "application/json" or named.endswith("+json") else named
    return {**tree, HEADERS: headers}


def unlike(old: Sequence[Any], new: Any) -> list[str]:
    """What the new tree has otherwise than each of the old ones, in words without values; empty where it is alike."""
    *statuses, status = (str(tree[STATUS] or "no answer") for tree in (*old, new))
    if not new[STATUS] or status not in statuses:  # then all the rest is another answer's
        return [f"{_or(statuses)} and {status}"]
    *types, found = (tree[HEADERS].get(TYPE, "no type") for tree in (*old, new))
    wrong = [] if found in types else [f"{_or(types)} and {found}"]
    return wrong + list(_unlike([tree[BODY] for tree in old], [new[BODY]], "$"))


def _unlike(old: Sequence[Any], new: Sequence[Any], place: str) -> Iterator[str]:
    """All values that stand at a place, or at the same place of any item of a list, on either side."""
    kinds = [dict.fromkeys(kind(value) for value in values if value is not None) for values in (old, new)]
    if all(kinds) and not kinds[0].keys() & kinds[1].keys():
        yield f"{place} {_or(kinds[0])} and {_or(kinds[1])}"
        return
    objects = [[value for value in values if isinstance(value, dict)] for values in (old, new)]
    if all(objects):
        for name in dict.fromkeys(name for values in objects for value in values for name in value):
            there = [[value[name] for value in values if name in value] for values in objects]
            below = place + shown((BODY, name)).removeprefix("$")
            if all(there):
                yield from _unlike(there[0], there[1], below)
            elif len(there[0]) == len(objects[0]) or len(there[1]) == len(objects[1]):
                yield f"{below} {'only new' if there[1] else 'only old'}"
    items = [[item for value in values if isinstance(value, list) for item in value] for values in (old, new)]
    if all(items):
        yield from _unlike(items[0], items[1], f"{place}[*]")


def _or(words: Iterable[str]) -> str:
    return " or ".join(dict.fromkeys(words))
