"""Caps: no list has more of one value than a cap allows, and what it leaves out had no room."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from itemlens_server.fusion.caps import FREE, Caps
from itemlens_server.fusion.interests import merge

ROWS = 12
CODES = st.lists(st.integers(FREE, 2), min_size=ROWS, max_size=ROWS).map(lambda c: np.asarray(c, np.int64))
CAPS = st.lists(st.tuples(st.integers(1, 3), CODES), min_size=1, max_size=3).map(
    lambda caps: Caps([most for most, _ in caps], [codes for _, codes in caps])
)
LISTS = st.lists(st.permutations(range(ROWS)), min_size=1, max_size=3)


def most_of_a_value(caps: Caps, rows: list[int]) -> list[int]:
    """By cap, how often the most frequent value is in a list."""
    counts = [np.unique(codes[rows][codes[rows] != FREE], return_counts=True)[1] for codes in caps.codes]
    return [int(count.max(initial=0)) for count in counts]


@given(CAPS, LISTS, st.integers(0, ROWS + 2))
def test_no_value_is_there_more_often_than_its_cap_allows(caps: Caps, lists: list[list[int]], k: int) -> None:
    rows = [row for row, _ in merge(lists, [1 / len(lists)] * len(lists), k, caps)]
    assert len(set(rows)) == len(rows) <= k
    assert all(count <= most for count, most in zip(most_of_a_value(caps, rows), caps.most, strict=True))
    if len(rows) < k:  # nothing that is left has room
        counting = caps.counting()
        for row in rows:
            counting.take(row)
        assert not any(counting.has_room(row) for row in set(range(ROWS)) - set(rows))


@given(CAPS, st.permutations(range(ROWS)), st.integers(0, ROWS))
def test_of_one_list_the_best_that_are_allowed_are_taken_in_order(
    caps: Caps, order: list[int], k: int
) -> None:
    found = caps.first(order, k)
    assert found == [row for row, _ in merge([order], [1.0], k, caps)]
    assert found == [row for row in order if row in set(found)]
    if order and k:
        assert found[0] == order[0]


@given(CAPS, st.lists(st.integers(0, ROWS - 1), unique=True, max_size=4), st.integers(0, 99))
def test_any_number_of_the_free_rows_may_join_a_list(caps: Caps, listed: list[int], seed: int) -> None:
    start = caps.first(listed, ROWS)
    mask = np.ones(ROWS, np.bool_)
    mask[start] = False
    free = np.flatnonzero(caps.free(mask, start, np.random.default_rng(seed))).tolist()
    assert set(free) <= set(np.flatnonzero(mask).tolist())
    counts = most_of_a_value(caps, [*start, *free])
    assert all(count <= most for count, most in zip(counts, caps.most, strict=True))


def test_more_is_asked_of_an_index_where_values_are_shared() -> None:
    mask = np.ones(ROWS, np.bool_)
    variants = Caps([1], [np.arange(ROWS) // 4])
    assert variants.wanted(10, mask) == 40
    assert Caps([4], [np.arange(ROWS) // 4]).wanted(10, mask) == 10
    assert Caps([1], [np.full(ROWS, FREE)]).wanted(10, mask) == 10
