"""Several interests of one user: their separation, and the merge of their lists."""

from __future__ import annotations

from collections import Counter
from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemlens_server.fusion.interests import MAX_INTERESTS, SAME_INTEREST, cluster, merge

LISTS = st.lists(st.lists(st.integers(0, 30), max_size=20, unique=True), min_size=1, max_size=5)


@given(LISTS, st.data())
def test_a_merged_list_has_no_item_twice_and_stops_only_when_all_are_used_up(
    lists: list[list[int]], data: st.DataObject
) -> None:
    weights = data.draw(st.lists(st.floats(0.01, 1.0), min_size=len(lists), max_size=len(lists)))
    k = data.draw(st.integers(0, 40))
    merged = merge(lists, weights, k)
    items = [item for item, _ in merged]
    assert len(set(items)) == len(items) == min(k, len(set().union(*lists)))
    for item, n in merged:
        assert item in lists[n]
    for n, ranking in enumerate(lists):
        own = [item for item, m in merged if m == n]
        assert own == [item for item in ranking if item in own]  # each list keeps its order


@given(st.lists(st.floats(0.05, 1.0), min_size=1, max_size=5), st.integers(1, 60))
def test_places_are_shared_out_in_proportion_to_weights(weights: list[float], k: int) -> None:
    # Lists without common items, long enough for any k.
    lists = [list(range(100 * n, 100 * n + 60)) for n in range(len(weights))]
    given_ = Counter(n for _, n in merge(lists, weights, k))
    for n, weight in enumerate(weights):
        assert abs(given_[n] - k * weight / sum(weights)) <= 1 + 1e-9


def test_by_hand() -> None:
    # Due after each place: .62 .38, 1.24 .76, 1.86 1.14, 2.48 1.52; then the second list is used up.
    merged = merge([[1, 2, 3, 4], [9, 1, 8]], [0.62, 0.38], 6)
    assert merged == [(1, 0), (9, 1), (2, 0), (8, 1), (3, 0), (4, 0)]


def test_one_list_stays_as_it_is() -> None:
    assert merge([[3, 1, 2]], [1.0], 2) == [(3, 0), (1, 0)]


class TestCluster:
    """Evidence is in nats: what an item adds to the log-odds of another; about 0 if they have nothing in common."""

    @staticmethod
    def evidence(groups: list[int], within: float, between: float) -> np.ndarray:
        same = np.equal.outer(groups, groups)
        return np.where(same, within, between).astype(np.float64)

    def test_groups_that_are_unlike_are_told_apart(self) -> None:
        groups = [0, 1, 0, 2, 1, 0]
        clusters = cluster(self.evidence(groups, 4.0, 0.1))
        assert sorted(map(sorted, clusters)) == [[0, 2, 5], [1, 4], [3]]

    @pytest.mark.parametrize("within", [SAME_INTEREST + 0.1, 3.0, 20.0])
    def test_what_is_alike_is_one_interest(self, within: float) -> None:
        assert cluster(self.evidence([0] * 6, within, 0.0)) == [[0, 1, 2, 3, 4, 5]]

    def test_what_differs_little_in_a_catalogue_of_like_items_is_not_one_interest(self) -> None:
        assert len(cluster(self.evidence(list(range(4)), 4.0, SAME_INTEREST - 0.1))) == 4

    def test_outliers_do_not_make_two_large_groups_one(self) -> None:
        # Five interests at most: two groups of four, and eight items like nothing else.
        groups = [0] * 4 + [1] * 4 + list(range(2, 10))
        clusters = cluster(self.evidence(groups, 4.0, 0.0))
        assert len(clusters) == MAX_INTERESTS
        [first] = [c for c in clusters if 0 in c]
        [second] = [c for c in clusters if 4 in c]
        assert first is not second and {0, 1, 2, 3} <= set(first) and {4, 5, 6, 7} <= set(second)

    @pytest.mark.parametrize("most", [1, 2, 5])
    def test_there_are_never_more_than_asked_for(self, most: int) -> None:
        clusters = cluster(self.evidence(list(range(12)), 4.0, 0.0), most)
        assert len(clusters) <= most
        assert sorted(chain.from_iterable(clusters)) == list(range(12))

    @given(st.integers(1, 30), st.integers(0, 2**32 - 1))
    def test_every_item_is_in_exactly_one(self, count: int, seed: int) -> None:
        e = np.random.default_rng(seed).normal(size=(count, 4))
        clusters = cluster(e @ e.T)
        assert sorted(chain.from_iterable(clusters)) == list(range(count))
        assert 1 <= len(clusters) <= MAX_INTERESTS
