"""The gateway's lines: how many requests each side answered, how many with errors, and how long they took.

Times are whole milliseconds until the first byte of the answer, seen by the gateway.  Percentiles are exact, by nearest
rank, over the histogram that D1 counts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from towpath.cloudflare.d1 import D1
from towpath.percentiles import percentile
from towpath.traffic.watch import Sample

TABLE = "_towpath_requests"
SHOWN = 3  # routes, where the worst are named
ERROR = 500  # from this status on; the gateway's own 502 counts for the side that did not answer
CREATE = (
    f"""CREATE TABLE IF NOT EXISTS {TABLE} (
      at INTEGER NOT NULL, route TEXT NOT NULL, side TEXT NOT NULL, method TEXT NOT NULL, status INTEGER NOT NULL,
      ms INTEGER NOT NULL, bucket INTEGER, revision INTEGER NOT NULL, lost INTEGER NOT NULL DEFAULT 0
    ) STRICT""",
    f"CREATE INDEX IF NOT EXISTS {TABLE}_at ON {TABLE} (at)",
)


@dataclass(frozen=True, slots=True)
class Group:
    """Requests of one side, and of one route unless `route` is ""; times in milliseconds."""

    side: str
    route: str
    requests: int
    errors: int
    p50: int
    p95: int
    p99: int
    slowest: int

    @property
    def error_rate(self) -> float:
        """Errors of all requests, 0.0 … 1.0."""
        return self.errors / self.requests


@dataclass(frozen=True, slots=True)
class Window:
    """All requests of a window of time.  `lost`: lines that the gateway could not write."""

    sides: tuple[Group, ...]  # origin, worker, gateway (refused), as far as there are any
    routes: tuple[Group, ...]
    lost: int
    newest: int  # milliseconds since 1970; 0 without any line

    def side(self, name: str) -> Group | None:
        """One side's requests; None if it had none."""
        return next((group for group in self.sides if group.side == name), None)

    def worst(self, side: str, *, slower_than: int | None = None) -> list[str]:
        """The routes of a side with the most errors, or those with the highest p95 above a limit, in words."""
        mine = [group for group in self.routes if group.side == side]
        if slower_than is None:
            failed = sorted((group for group in mine if group.errors), key=lambda group: -group.errors)
            return [f"{group.route}: {group.errors} of {group.requests} with errors" for group in failed[:SHOWN]]
        slow = sorted((group for group in mine if group.p95 > slower_than), key=lambda group: -group.p95)
        return [f"{group.route}: p95 {group.p95} ms of {group.requests}" for group in slow[:SHOWN]]


def prepare(d1: D1) -> None:
    """Create the table of the lines; may be repeated."""
    d1.batch(CREATE, idempotent=True)


def forget(d1: D1, before: int, *, at_once: int = 10_000) -> int:
    """Delete lines older than `before` (milliseconds since 1970), some at once, and say how many."""
    gone = 0
    old = f"SELECT rowid FROM {TABLE} WHERE at < {before:d} LIMIT {at_once:d}"
    while deleted := d1.batch([f"DELETE FROM {TABLE} WHERE rowid IN ({old})"])[0].changes:
        gone += deleted
    return gone


def window(d1: D1, since: int, until: int, *, revision: int = 0) -> Window:
    """The requests that came in from `since` to before `until` (milliseconds since 1970), of `revision` on."""
    where = f"at >= {since:d} AND at < {until:d} AND revision >= {revision:d}"
    counted, told = d1.batch(
        [
            f"SELECT side, route, status >= {ERROR}, ms, count(*) FROM {TABLE} WHERE {where} GROUP BY 1, 2, 3, 4",
            f"SELECT coalesce(sum(lost), 0), coalesce(max(at), 0) FROM {TABLE} WHERE {where}",
        ],
        idempotent=True,
    )
    sides: dict[tuple[str, str], _Histogram] = defaultdict(_Histogram)
    routes: dict[tuple[str, str], _Histogram] = defaultdict(_Histogram)
    for side, route, failed, ms, number in counted.rows:
        for histogram in (sides[side, ""], routes[side, route]):
            histogram.add(int(ms), int(number), bool(failed))
    lost, newest = told.rows[0]
    return Window(_groups(sides), _groups(routes), int(lost), int(newest))


def sample(d1: D1, since: int, now: int, *, revision: int, p95_ms: int) -> Sample:
    """What the new side answered from `since` to `now` (milliseconds since 1970), of `revision` on: for the watch."""
    new = f"side = 'worker' AND at >= {since:d} AND revision >= {revision:d}"
    row = d1.query(
        f"""SELECT count(*) FILTER (WHERE {new}), count(*) FILTER (WHERE {new} AND status >= {ERROR}),
          count(*) FILTER (WHERE {new} AND ms > {p95_ms:d}), coalesce(sum(lost), 0), coalesce(max(at), {since:d})
        FROM {TABLE} WHERE at >= {since:d}"""
    ).rows[0]
    number, errors, slow, lost, newest = (int(value) for value in row)
    return Sample((now - since) / 1000, number, errors, slow, lost, (now - newest) / 1000)


class _Histogram:
    def __init__(self) -> None:
        self.counts: dict[int, int] = defaultdict(int)
        self.errors = 0

    def add(self, ms: int, number: int, failed: bool) -> None:
        self.counts[ms] += number
        self.errors += number * failed

    def group(self, side: str, route: str) -> Group:
        p50, p95, p99 = (percentile(self.counts, percent) for percent in (50, 95, 99))
        return Group(side, route, sum(self.counts.values()), self.errors, p50, p95, p99, max(self.counts))


def _groups(histograms: Mapping[tuple[str, str], _Histogram]) -> tuple[Group, ...]:
    found: Iterable[tuple[tuple[str, str], _Histogram]] = sorted(histograms.items(), key=lambda item: item[0])
    return tuple(histogram.group(*names) for names, histogram in found)
