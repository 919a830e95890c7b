"""Percentiles by nearest rank: what the definition says, for any counts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towpath.percentiles import percentile


@pytest.mark.parametrize(
    ("counts", "percent", "expected"),
    [
        ({5: 1}, 50, 5),
        ({5: 1}, 0, 5),
        ({1: 1, 2: 1}, 50, 1),
        ({1: 1, 2: 1}, 51, 2),
        ({1: 95, 9: 5}, 95, 1),
        ({1: 94, 9: 6}, 95, 9),
        ({1: 7, 2: 93}, 7, 1),  # 0.07 * 100 is a little more than 7
        ({2: 1, 1: 1}, 100, 2),
        ({1: 0, 2: 1}, 50, 2),
    ],
)
def test_percentiles_are_by_nearest_rank(counts: dict[int, int], percent: float, expected: int) -> None:
    assert percentile(counts, percent) == expected


@given(st.lists(st.integers(0, 50) | st.floats(0, 50), min_size=1), st.integers(1, 100))
def test_the_value_stands_at_its_rank(values: list[float], percent: int) -> None:
    found = percentile({value: values.count(value) for value in values}, percent)
    below, upto = (sum(value < found for value in values), sum(value <= found for value in values))
    assert found in values
    assert below * 100 < percent * len(values) <= upto * 100


@pytest.mark.parametrize("counts", [{}, {5: 0}])
def test_nothing_has_no_percentile(counts: dict[int, int]) -> None:
    with pytest.raises(ValueError, match="no value"):
        percentile(counts, 50)
