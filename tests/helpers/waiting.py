"""Waiting for what others do: until it is there, never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")
Row = TypeVar("Row")
PATIENCE = 120.0  # seconds: a machine that is busy with other tests is slow, and no budget of time is under test


def until(ask: Callable[[], T], what: str | Callable[[], str], seconds: float = PATIENCE) -> T:
    """Ask again and again; the first answer that is true.  `what` says, or is asked, what did not come."""
    end = time.monotonic() + seconds
    while not (found := ask()):
        assert time.monotonic() < end, what if isinstance(what, str) else what()
        time.sleep(0.02)
    return found


def enough(ask: Callable[[], Sequence[Row]], number: int, what: str) -> Sequence[Row]:
    """The first answer with so many items, or more: what is written behind an answer takes its time."""
    found: Sequence[Row] = ()

    def there() -> bool:
        nonlocal found
        found = ask()
        return len(found) >= number

    until(there, lambda: f"{what}: {list(found)}")
    return found
