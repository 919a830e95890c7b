"""The gateway's lines over time: how much each side answered, with how many errors, and how fast."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from towpath.cloudflare.d1 import D1
from towpath.percentiles import percentile
from towpath.traffic.requests import ERROR, TABLE

POINTS = 240  # at most, in one series


@dataclass(frozen=True, slots=True)
class Point:
    """One stretch of time at one side: origin, worker, or gateway (refused)."""

    at: float  # seconds since the beginning
    side: str
    rate: float  # requests per second
    errors: int
    p95: int  # milliseconds


def series(d1: D1, since: int, until: int) -> tuple[Point, ...]:
    """All requests from `since` to before `until` (milliseconds since 1970), in at most POINTS stretches."""
    length = max(1000, -(-(until - since) // POINTS))
    rows = d1.query(
        f"""SELECT (at - {since:d}) / {length:d}, side, ms, count(*), sum(status >= {ERROR}) FROM {TABLE}
        WHERE at >= {since:d} AND at < {until:d} GROUP BY 1, 2, 3"""
    ).rows
    counts: dict[tuple[int, str], dict[int, int]] = defaultdict(dict)
    errors: dict[tuple[int, str], int] = defaultdict(int)
    for stretch, side, ms, number, failed in rows:
        counts[int(stretch), str(side)][int(ms)] = int(number)
        errors[int(stretch), str(side)] += int(failed)
    seconds = length / 1000
    return tuple(
        Point(stretch * seconds, side, sum(ms.values()) / seconds, errors[stretch, side], percentile(ms, 95))
        for (stretch, side), ms in sorted(counts.items())
    )
