"""Items without events get their share of the places, at random ones, in proportion to their probability."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemlens_server.fusion.exploration import POOL, order, places, pool

SEEDS = st.integers(0, 2**32 - 1)


@given(k=st.integers(0, 100), share=st.floats(0, 1), seed=SEEDS)
def test_places_are_in_the_list_and_their_number_is_the_share_rounded_up_or_down(
    k: int, share: float, seed: int
) -> None:
    found = places(k, share, np.random.default_rng(seed))
    assert len(set(found.tolist())) == len(found) and all(0 <= place < k for place in found)
    assert abs(len(found) - share * k) < 1


def test_on_average_each_place_has_the_share() -> None:
    random = np.random.default_rng(1)
    counts = np.zeros(10)
    for _ in range(4000):
        counts[places(10, 0.13, random)] += 1
    # Four standard errors.
    assert counts / 4000 == pytest.approx(np.full(10, 0.13), abs=4 * (0.13 * 0.87 / 4000) ** 0.5)


@given(size=st.integers(0, 3 * POOL), seed=SEEDS)
def test_the_pool_has_all_items_or_some_of_them_once(size: int, seed: int) -> None:
    positions = 7 * np.arange(size)
    found = pool(positions, np.random.default_rng(seed))
    assert len(found) == min(size, POOL) and (np.diff(found) > 0).all() and np.isin(found, positions).all()


def test_an_item_is_drawn_first_as_often_as_it_is_probable() -> None:
    random, p = np.random.default_rng(1), np.asarray([0.5, 0.3, 0.15, 0.05])
    log_p = np.log(p).astype(np.float32) - np.float32(7)  # whatever the sum
    first = np.bincount([order(log_p, random)[0] for _ in range(4000)], minlength=4) / 4000
    assert first == pytest.approx(p, abs=4 * (0.25 / 4000) ** 0.5)


@given(log_p=st.lists(st.floats(-80, 0, width=32), max_size=30), seed=SEEDS)
def test_every_item_is_drawn_once(log_p: list[float], seed: int) -> None:
    drawn = order(np.asarray(log_p, np.float32), np.random.default_rng(seed))
    assert sorted(drawn.tolist()) == list(range(len(log_p)))
