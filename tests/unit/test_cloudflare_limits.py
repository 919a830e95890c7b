"""Limits and prices are data: whole, sourced, and counted right."""

from __future__ import annotations

from dataclasses import fields

import pytest

from towpath.cloudflare.limits import DOCS, FREE, LIMITS, PAID, Evidence, Limits, limit
from towpath.cloudflare.prices import GB, PRICES, TableSize, Use, load_cost, monthly_cost


def test_every_limit_has_one_row_and_a_source() -> None:
    names = [row.name for row in LIMITS]
    assert names == [field.name for field in fields(Limits)]
    for row in LIMITS:
        assert row.source.startswith(DOCS + "/"), row.name
        assert 0 < row.free <= row.paid, row.name
        assert row.title
        assert row.unit


def test_a_limit_that_is_said_to_be_measured_is_enforced_locally() -> None:
    for row in LIMITS:
        if row.evidence is Evidence.MEASURED:
            assert row.local == row.free, row.name


def test_plans() -> None:
    assert (FREE.d1_database_bytes, PAID.d1_database_bytes) == (500_000_000, 10_000_000_000)
    assert FREE.d1_row_bytes == PAID.d1_row_bytes == 2_000_000
    assert limit("d1_row_bytes").local == 8_388_642  # a rehearsal does not prove this limit
    with pytest.raises(KeyError):
        Limits.of("enterprise")


def test_a_million_rows_with_three_indexes() -> None:
    load = load_cost([TableSize("t", 1_000_000, 3)], database_bytes=300_000_000, files=0, file_bytes=0)
    written = next(line for line in load.lines if line.dimension == "D1 rows written")
    assert (written.measured, written.fits_free, written.free_days) == (4_000_000, False, 40)
    assert load.free_days == 40
    assert load.usage_cost == 0.0  # within the paid plan's allowance


def test_beyond_the_allowance_money_is_counted() -> None:
    load = load_cost([TableSize("t", 100_000_000, 0)], database_bytes=9 * GB, files=1_000_001, file_bytes=11 * GB + 1)
    cost = {line.dimension: line.cost for line in load.lines}
    assert cost["D1 rows written"] == 50.0
    assert cost["D1 storage"] == 3.0
    assert cost["R2 class A operations"] == 4.5  # one operation too many costs a whole unit
    assert cost["R2 storage"] == 0.03
    assert load.usage_cost == 57.53


def test_a_months_use_is_compared_with_a_days_allowance() -> None:
    fits = monthly_cost(Use(d1_rows_written=3_000_000, r2_reads=10_000_000))
    assert [line.fits_free for line in fits.lines] == [True, True]
    over = monthly_cost(Use(d1_rows_written=3_000_030))
    assert not over.fits_free
    assert over.lines[0].cost == 0.0


def test_a_dimension_that_is_not_used_has_no_line() -> None:
    assert monthly_cost(Use()).lines == ()
    assert monthly_cost(Use(requests=1)).lines[0].dimension == "Workers requests"


def test_every_price_is_a_use_and_has_a_source() -> None:
    assert {price.name for price in PRICES} == {field.name for field in fields(Use)}
    for price in PRICES:
        assert price.source.startswith("https://developers.cloudflare.com/")
        assert price.free_period in ("day", "month")
        assert not price.whole or price.included % price.per == 0  # so that rounding use or excess is the same
