"""A list for nobody in particular: the best items, of different kinds."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from itemlens_server.fusion.head import unit
from itemlens_server.fusion.spread import LIKENESS, MOST, best_newest_first, pool_size, spread

SHOES, TEAS = [1.0, 0.0], [0.0, 1.0]


def of_kinds(*kinds: list[float]) -> np.ndarray:
    return np.asarray(kinds, np.float32)


def test_the_best_item_is_first_and_another_kind_comes_before_more_of_the_same() -> None:
    alpha = np.asarray([1.0, 0.9, 0.9 - LIKENESS / 2], np.float32)
    assert spread(alpha, of_kinds(SHOES, SHOES, TEAS), 3).tolist() == [0, 2, 1]


def test_what_is_worth_more_than_a_change_stays_where_it_is() -> None:
    alpha = np.asarray([1.0, 0.9, 0.9 - LIKENESS * 1.1], np.float32)
    assert spread(alpha, of_kinds(SHOES, SHOES, TEAS), 3).tolist() == [0, 1, 2]


def test_a_third_of_a_kind_loses_no_more_than_a_second() -> None:
    alpha = np.asarray([1.0, 0.9, 0.8, 0.8 - LIKENESS * 1.1], np.float32)
    assert spread(alpha, of_kinds(SHOES, SHOES, SHOES, TEAS), 4).tolist() == [0, 1, 2, 3]


def test_items_without_content_are_like_nothing() -> None:
    nothing = [0.0, 0.0]
    alpha = np.asarray([1.0, 0.9, 0.8], np.float32)
    assert spread(alpha, of_kinds(nothing, nothing, nothing), 3).tolist() == [0, 1, 2]


def test_of_equal_items_the_newest_is_first() -> None:
    assert best_newest_first(np.asarray([1, 3, 1, 3, 1], np.float32), 4).tolist() == [3, 1, 4, 2]


@given(st.integers(0, 2**32 - 1))
def test_nothing_is_passed_over_that_is_better_by_more_than_likeness_costs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, k = int(rng.integers(1, 60)), int(rng.integers(1, 20))
    alpha = rng.normal(scale=rng.choice([0.1, 1.0]), size=n).astype(np.float32)
    e = unit(rng.normal(size=(n, 3)).astype(np.float32))
    pool = best_newest_first(alpha, pool_size(k))
    places = pool[spread(alpha[pool], e[pool], k)].tolist()
    assert len(places) == len(set(places)) == min(k, n)
    assert places[0] == int(alpha.argmax())
    for place, chosen in enumerate(places):
        left = [alpha[i] for i in range(n) if i not in places[:place]]
        assert alpha[chosen] >= max(left) - LIKENESS - 1e-6


def test_behind_the_first_places_the_best_come_first() -> None:
    alpha = np.linspace(1.0, 0.0, MOST + 20).astype(np.float32)
    alike = of_kinds(*[SHOES] * len(alpha))
    assert spread(alpha, alike, MOST + 10).tolist() == list(range(MOST + 10))
    assert sorted(spread(alpha, alike, 500).tolist()) == list(range(len(alpha)))
