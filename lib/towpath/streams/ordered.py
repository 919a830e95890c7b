"""Two lists in ascending order of their keys, side by side, in one pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar


class Keyed(Protocol):
    """Something that is ordered by its key."""

    @property
    def key(self) -> str:
        """What it is ordered by, each key once."""


Left = TypeVar("Left", bound=Keyed)
Right = TypeVar("Right", bound=Keyed)


def side_by_side(left: Iterable[Left], right: Iterable[Right]) -> Iterator[tuple[Left | None, Right | None]]:
    """Each key of either list in ascending order, with what both hold under it; None where one has no such key."""
    lefts, rights = iter(left), iter(right)
    one, other = next(lefts, None), next(rights, None)
    while one is not None or other is not None:
        if other is None or (one is not None and one.key < other.key):
            yield one, None
            one = next(lefts, None)
        elif one is None or other.key < one.key:
            yield None, other
            other = next(rights, None)
        else:
            yield one, other
            one, other = next(lefts, None), next(rights, None)
