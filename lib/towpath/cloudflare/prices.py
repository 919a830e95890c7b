"""What it costs: prices and allowances as data, a month and the load itself as pure functions of measured numbers.

Read 2026-11 from the pages named in PRICES.  The paid plan has a base price of 5 USD a month, in which the allowances
of Workers, D1 and KV are included; R2's allowances belong to both plans and its use is rounded up to whole units.
Planning documents often give D1's free allowance of 5 M rows read and 100,000 rows written for a month: it is for a
day.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

DOCS = "https://developers.cloudflare.com"
BASE_PRICE = 5.0  # USD a month, Workers Paid
GB = 1000**3
MILLION = 1_000_000
DAYS = 30  # of a month, to compare a daily allowance with a month's use


@dataclass(frozen=True, slots=True)
class Price:
    """One dimension of billing.

    `free` is the free plan's allowance per `free_period`; `included` the paid plan's per month; above it `price` USD is
    paid per `per` units, in whole such units where `whole` says so.  `stock` is stored (GB-months), else it is counted.
    """

    name: str
    title: str
    unit: str
    free: int
    free_period: str  # day or month
    included: int
    price: float
    per: int
    source: str
    stock: bool = False
    whole: bool = False


_WORKERS, _D1 = DOCS + "/workers/platform/pricing/", DOCS + "/d1/platform/pricing/"
_KV, _R2, _QUEUES = DOCS + "/kv/platform/pricing/", DOCS + "/r2/pricing/", DOCS + "/queues/platform/pricing/"

PRICES: tuple[Price, ...] = (
    Price("d1_rows_read", "D1 rows read", "rows", 5 * MILLION, "day", 25_000 * MILLION, 0.001, MILLION, _D1),
    Price("d1_rows_written", "D1 rows written", "rows", 100_000, "day", 50 * MILLION, 1.0, MILLION, _D1),
    Price("d1_bytes", "D1 storage", "bytes", 5 * GB, "month", 5 * GB, 0.75, GB, _D1, stock=True),
    Price("r2_bytes", "R2 storage", "bytes", 10 * GB, "month", 10 * GB, 0.015, GB, _R2, stock=True, whole=True),
    Price("r2_writes", "R2 class A operations", "requests", MILLION, "month", MILLION, 4.5, MILLION, _R2, whole=True),
    Price(
        "r2_reads",
        "R2 class B operations",
        "requests",
        10 * MILLION,
        "month",
        10 * MILLION,
        0.36,
        MILLION,
        _R2,
        whole=True,
    ),
    Price("requests", "Workers requests", "requests", 100_000, "day", 10 * MILLION, 0.30, MILLION, _WORKERS),
    Price("cpu_ms", "Workers CPU time", "ms", 10 * 100_000, "day", 30 * MILLION, 0.02, MILLION, _WORKERS),
    Price("kv_reads", "KV reads", "keys", 100_000, "day", 10 * MILLION, 0.50, MILLION, _KV),
    Price("kv_writes", "KV writes", "keys", 1000, "day", MILLION, 5.0, MILLION, _KV),
    Price("kv_bytes", "KV storage", "bytes", GB, "month", GB, 0.50, GB, _KV, stock=True),
    Price("queue_operations", "Queues operations", "operations", 10_000, "day", MILLION, 0.40, MILLION, _QUEUES),
)
_BY_NAME = {price.name: price for price in PRICES}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an estimate."""

    dimension: str
    measured: int
    unit: str
    included_free: int  # in `period`
    period: str  # day or month: the period of the free allowance
    included_paid: int  # in a month
    fits_free: bool  # within the free plan, where a day's share of a month is compared with a day's allowance
    free_days: int  # days that the free plan needs for it; 1 where it fits, or where time does not help
    cost: float  # USD on the paid plan, without its base price
    source: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """A table of lines and its sum."""

    title: str
    lines: tuple[Line, ...]

    @property
    def fits_free(self) -> bool:
        """True if the free plan is enough."""
        return all(line.fits_free for line in self.lines)

    @property
    def free_days(self) -> int:
        """Days that the free plan needs."""
        return max((line.free_days for line in self.lines), default=1)

    @property
    def usage_cost(self) -> float:
        """USD on the paid plan beyond its allowances, without its base price."""
        return round(sum(line.cost for line in self.lines), 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What an application uses in a month; bytes are what it keeps."""

    d1_bytes: int = 0
    d1_rows_read: int = 0
    d1_rows_written: int = 0
    r2_bytes: int = 0
    r2_writes: int = 0
    r2_reads: int = 0
    requests: int = 0
    cpu_ms: int = 0
    kv_bytes: int = 0
    kv_reads: int = 0
    kv_writes: int = 0
    queue_operations: int = 0


@dataclass(frozen=True, slots=True)
class TableSize:
    """A table as the source measures it: rows, and the indexes that every row is written to as well."""

    name: str
    rows: int
    indexes: int


def monthly_cost(use: Use) -> Estimate:
    """What a month of this use costs on top of what the plan includes; one line for each dimension that is used."""
    lines = [_line(price, int(getattr(use, price.name)), monthly=True) for price in PRICES]
    return Estimate("a month of use", tuple(line for line in lines if line.measured))


def load_cost(tables: Iterable[TableSize], *, database_bytes: int, files: int, file_bytes: int) -> Estimate:
    """What moving these rows and files costs once, with the proof that reads every row and every file back.

    Rows written are rows x (1 + indexes): D1 counts index rows too.  Rows read are one for each row and check: the page
    digests of the proof and the foreign keys.  A file is one write and two reads (existence before, content after).
    """
    sizes = list(tables)
    rows = sum(table.rows for table in sizes)
    measured = {
        "d1_rows_written": sum(table.rows * (1 + table.indexes) for table in sizes),
        "d1_rows_read": 2 * rows,
        "d1_bytes": database_bytes,
        "r2_writes": files,
        "r2_reads": 2 * files,
        "r2_bytes": file_bytes,
    }
    return Estimate("the load", tuple(_line(_BY_NAME[name], value, monthly=False) for name, value in measured.items()))


def _line(price: Price, measured: int, *, monthly: bool) -> Line:
    share = measured / DAYS if monthly and price.free_period == "day" else measured
    daily = price.free_period == "day"
    days = max(1, math.ceil(measured / price.free)) if daily and not monthly else 1
    return Line(
        dimension=price.title,
        measured=measured,
        unit=price.unit,
        included_free=price.free,
        period=price.free_period,
        included_paid=price.included,
        fits_free=share <= price.free,
        free_days=days,
        cost=_cost(price, measured),
        source=price.source,
    )


def _cost(price: Price, measured: int) -> float:
    over = max(0, measured - price.included)
    units = math.ceil(over / price.per) if price.whole else over / price.per
    return round(units * price.price, 6)
