"""What the clients saw: how long nobody could write or read, which errors there were, what they did not read again.

Times are milliseconds since 1970, durations seconds.  A window is from its begin to before its end; a request belongs
to the window in which it was sent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from towpath.rehearsal.ledger import lines_of

UNKNOWN_SIDE = "nobody"  # where no answer came


@dataclass(frozen=True, slots=True)
class Request:
    """One request of a client."""

    at: int
    ms: int
    what: str
    writes: bool
    status: int
    side: str
    revision: int
    missed: Mapping[str, Any] | None = None

    @property
    def until(self) -> int:
        """When its answer was there."""
        return self.at + self.ms

    @property
    def succeeded(self) -> bool:
        """Whether it did what was asked."""
        return 200 <= self.status < 300

    @property
    def refused(self) -> bool:
        """Whether the gateway or a fence asked to come back later: expected while everything is frozen."""
        return self.status == 503


@dataclass(frozen=True, slots=True)
class Seen:
    """A window as the clients saw it."""

    seconds: float
    requests: int
    no_write: float  # the longest time in which no write succeeded
    no_write_from: int
    no_read: float  # the same of reads
    sides: dict[str, dict[str, int]]  # side -> requests, refused, errors


def read_requests(path: Path) -> list[Request]:
    """Every request, by the time at which it was sent."""
    found = [
        Request(
            int(line["at"]),
            int(line["ms"]),
            str(line["what"]),
            bool(line["writes"]),
            int(line["status"]),
            str(line["side"]) or UNKNOWN_SIDE,
            int(line["revision"]),
            line.get("missed"),
        )
        for line in lines_of(path)
    ]
    return sorted(found, key=lambda one: one.at)


def seen(requests: Sequence[Request], begin: int, end: int) -> Seen:
    """What the clients saw from `begin` to `end`."""
    inside = [one for one in requests if begin <= one.at < end]
    no_write, since = _gap((one.until for one in inside if one.writes and one.succeeded), begin, end)
    no_read, _ = _gap((one.until for one in inside if not one.writes and one.succeeded), begin, end)
    counted: dict[str, Counter[str]] = {}
    for one in inside:
        counts = counted.setdefault(one.side, Counter())
        counts["requests"] += 1
        counts["refused"] += one.refused
        counts["errors"] += not one.succeeded and not one.refused and one.missed is None  # a miss is judged apart
    sides = {side: dict(counts) for side, counts in sorted(counted.items())}
    return Seen((end - begin) / 1000, len(inside), no_write, since, no_read, sides)


def per_second(requests: Iterable[Request]) -> list[dict[str, Any]]:
    """One row for each second and side: requests, writes, statuses, and the slowest answer in milliseconds."""
    rows: dict[tuple[int, str], dict[str, Any]] = {}
    for one in requests:
        row = rows.setdefault(
            (one.at // 1000, one.side),
            {"second": one.at // 1000, "side": one.side, "requests": 0, "writes": 0, "statuses": {}, "slowest_ms": 0},
        )
        row["requests"] += 1
        row["writes"] += one.writes
        row["statuses"][str(one.status)] = row["statuses"].get(str(one.status), 0) + 1
        row["slowest_ms"] = max(row["slowest_ms"], one.ms)
    return [rows[key] for key in sorted(rows)]


def write_seconds(requests: Iterable[Request], path: Path) -> None:
    """The rows of `per_second` as a file of JSON lines."""
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in per_second(requests)))


def broken_promises(requests: Iterable[Request], modes: Mapping[int, str]) -> tuple[list[Request], int]:
    """Reads in which a client did not find what it had written, and how many of that kind are no broken promise.

    `modes`: revision of the setting -> its mode.  Between an abort and the end of the way back everybody reads the old
    side, and what was written on the new one has not been carried back: that wait is told in docs/traffic.md.
    """
    broken, expected = [], 0
    for one in requests:
        if one.missed is None:
            continue
        waits = one.missed["wrote_side"] == "worker" and one.side == "origin" and modes.get(one.revision) == "frozen"
        if waits:
            expected += 1
        else:
            broken.append(one)
    return broken, expected


def first(requests: Iterable[Request], since: int, *, writes: bool, side: str) -> int | None:
    """When the first request sent from `since` on had succeeded on this side; None if none did."""
    times = [
        one.until for one in requests if one.at >= since and one.writes == writes and one.side == side and one.succeeded
    ]
    return min(times, default=None)


def last(requests: Iterable[Request], since: int, before: int, *, side: str) -> int | None:
    """When the last answer of this side came to a request sent from `since` to before `before`; None if none did."""
    return max((one.until for one in requests if since <= one.at < before and one.side == side), default=None)


def _gap(times: Iterable[int], begin: int, end: int) -> tuple[float, int]:
    """The longest stretch without any of these moments, in seconds, and since when."""
    longest, since, before = 0, begin, begin
    for at in (*sorted(at for at in times if at < end), end):
        if at - before > longest:
            longest, since = at - before, before
        before = at
    return longest / 1000, since
