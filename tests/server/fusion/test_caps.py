"""Caps: no list has more of one value than a cap allows, and what it leaves out had no room."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from itemlens_server.fusion.caps import FREE, Caps
from itemlens_server.fusion.interests import merge
from itemlens_server.fusion.rows import Ints

ROWS = 12
ALL = np.arange(ROWS)
CODES = st.lists(st.integers(FREE, 2), min_size=ROWS, max_size=ROWS).map(lambda c: np.asarray(c, np.int64))
CAPS = st.lists(st.tuples(st.integers(1, 3), CODES), min_size=1, max_size=3).map(
    lambda caps: Caps([most for most, _ in caps], [codes for _, codes in caps])
)
ORDER = st.permutations(range(ROWS)).map(lambda rows: np.asarray(rows, np.int64))
LISTS = st.lists(ORDER, min_size=1, max_size=3)


def most_of_a_value(caps: Caps, rows: list[int]) -> list[int]:
    """By cap, how often the most frequent value is in a list."""
    counts = [np.unique(codes[rows][codes[rows] != FREE], return_counts=True)[1] for codes in caps.codes]
    return [int(count.max(initial=0)) for count in counts]


def is_allowed(caps: Caps, rows: list[int]) -> bool:
    return all(count <= most for count, most in zip(most_of_a_value(caps, rows), caps.most, strict=True))


def one_by_one(caps: Caps, order: Ints, k: int) -> list[int]:
    """The first rows of an order that the caps allow together, looked at one after the other."""
    found: list[int] = []
    for row in order.tolist():
        if len(found) < k and is_allowed(caps, [*found, row]):
            found.append(row)
    return found


@given(CAPS, LISTS, st.integers(0, ROWS + 2))
def test_no_value_is_there_more_often_than_its_cap_allows(caps: Caps, lists: list[Ints], k: int) -> None:
    rows = [row for row, _ in merge(lists, [1 / len(lists)] * len(lists), k, caps)]
    assert len(set(rows)) == len(rows) <= k and is_allowed(caps, rows)
    left = sorted(set(ALL.tolist()) - set(rows))
    room = [row for row in left if is_allowed(caps, [*rows, row])]
    assert caps.with_room(np.asarray(left, np.int64), rows).tolist() == room
    assert len(rows) == k or not room
    assert len(rows) <= caps.longest(np.ones(ROWS, np.bool_))


@given(CAPS, ORDER, st.integers(0, 4), st.integers(0, ROWS))
def test_items_that_have_places_besides_count(caps: Caps, order: Ints, placed: int, k: int) -> None:
    besides = one_by_one(caps, order[::-1], placed)
    rows = [row for row, _ in merge([order], [1.0], k, caps, besides)]
    expected = list(besides)
    for row in order.tolist():
        if len(expected) < len(besides) + k and row not in besides and is_allowed(caps, [*expected, row]):
            expected.append(row)
    assert rows == expected[len(besides) :]


@given(CAPS, ORDER, st.integers(0, ROWS))
def test_an_item_is_passed_over_by_the_first_cap_without_room(caps: Caps, order: Ints, k: int) -> None:
    listed = one_by_one(caps, order, k)
    others = np.setdiff1d(ALL, listed)
    left_out = caps.full(others, listed)
    expected: list[list[int]] = [[] for _ in caps.codes]
    for row in others.tolist():
        single = [Caps([m], [c]) for m, c in zip(caps.most, caps.codes, strict=True)]
        first = next((n for n, cap in enumerate(single) if not is_allowed(cap, [*listed, row])), None)
        if first is not None:
            expected[first].append(row)
    assert [rows.tolist() for rows in left_out] == expected


@given(CAPS, ORDER, st.integers(0, ROWS))
def test_of_one_list_the_best_that_are_allowed_are_taken_in_order(caps: Caps, order: Ints, k: int) -> None:
    assert [row for row, _ in merge([order], [1.0], k, caps)] == one_by_one(caps, order, k)


@given(CODES, st.integers(1, 3))
def test_one_cap_is_filled_as_far_as_it_can_be(codes: Ints, most: int) -> None:
    caps = Caps([most], [codes])
    assert caps.longest(np.ones(ROWS, np.bool_)) == len(one_by_one(caps, ALL, ROWS))


@given(CAPS, ORDER, st.integers(0, 4), st.integers(0, 99))
def test_any_number_of_the_free_rows_may_join_a_list(caps: Caps, order: Ints, length: int, seed: int) -> None:
    listed = one_by_one(caps, order, length)
    others = np.setdiff1d(ALL, listed)
    free = caps.free(others, listed, np.random.default_rng(seed)).tolist()
    assert free == sorted(free) and set(free) <= set(others.tolist())
    assert is_allowed(caps, [*listed, *free])
    assert bool(free) == bool(len(caps.with_room(others, listed)))
    if len(caps.codes) == 1:  # of one cap as many as it has room for
        assert len(listed) + len(free) == caps.longest(np.ones(ROWS, np.bool_))


def test_more_is_asked_of_an_index_where_values_are_shared() -> None:
    mask = np.ones(ROWS, np.bool_)
    variants = Caps([1], [np.arange(ROWS) // 4])
    assert variants.wanted(10, mask) == 40
    assert Caps([4], [np.arange(ROWS) // 4]).wanted(10, mask) == 10
    assert Caps([1], [np.full(ROWS, FREE)]).wanted(10, mask) == 10
    assert Caps((), ()).wanted(9000, mask) == 9000


def test_shares_hold_although_the_best_of_one_list_are_of_one_value() -> None:
    """The 200 best of the first list are of one value, of which a list may have three."""
    codes = np.concatenate([np.zeros(200, np.int64), np.arange(1, 101), np.full(100, FREE)])
    first, second = np.arange(300), np.arange(300, 400)
    places = merge([first, second], [0.8, 0.2], 10, Caps([3], [codes]))
    assert [n for _, n in places].count(0) == 8


@given(CAPS, ORDER, st.lists(st.tuples(st.booleans(), st.integers(0, ROWS - 1)), max_size=30))
def test_room_follows_rows_that_join_and_leave(
    caps: Caps, order: Ints, steps: list[tuple[bool, int]]
) -> None:
    listed: list[int] = []
    room = caps.room(listed)
    for joins, row in steps:
        if joins:
            room.join(row)
            listed.append(row)
        elif row in listed:
            room.leave(row)
            listed.remove(row)
        assert order[room.has(order)].tolist() == caps.with_room(order, listed).tolist()
