"""Percentiles, spreads and shares."""

from __future__ import annotations

import numpy as np
import pytest

from itemlens_bench.speed.figures import Spread, milliseconds, percentile, shares


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = np.arange(1.0, 101.0)
    assert [percentile(values, q) for q in (50, 90, 99, 99.9)] == [50, 90, 99, 100]


def test_a_percentile_of_nothing_is_not_a_number() -> None:
    assert np.isnan(percentile(np.zeros(0), 99))


def test_latencies_are_shown_in_milliseconds() -> None:
    assert milliseconds(np.full(10, 0.25), (50, 99.9)) == {"p50 ms": 250.0, "p99.9 ms": 250.0}


def test_a_spread_has_the_median_and_the_extremes_of_the_rounds() -> None:
    assert Spread.of([3.0, 1.0, 2.0, 10.0, 2.5]) == Spread(2.5, 1.0, 10.0)


def test_a_share_is_taken_within_each_round_so_that_a_slow_round_slows_both_sides() -> None:
    # The machine was twice as slow in the second round; the share does not show it.
    assert shares([95.0, 47.5, 96.0], [100.0, 50.0, 100.0]).median == pytest.approx(0.95)


def test_shares_need_the_same_rounds() -> None:
    with pytest.raises(ValueError):
        shares([1.0], [1.0, 2.0])
