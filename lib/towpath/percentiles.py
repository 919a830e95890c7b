"""Percentiles by nearest rank: always a value that was measured, never one between two."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeVar

Number = TypeVar("Number", int, float)


def percentile(counts: Mapping[Number, int], percent: float) -> Number:
    """The smallest value that at least `percent` per cent of all are not above; `counts`: how often each value stands.

    Raises ValueError where there is no value.
    """
    rank = max(1, math.ceil(sum(counts.values()) * percent / 100))
    for value in sorted(counts):
        rank -= counts[value]
        if rank <= 0:
            return value
    raise ValueError("no value")
