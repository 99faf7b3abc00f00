"""Which of a user's events count: returns, rejections, and the places of what was only looked at."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from itemlens_server.fusion.taken import (
    BOUGHT,
    GLANCE,
    REJECTED,
    RETURNED,
    TAKE,
    kind_of,
    kinds_of,
    newest_items,
    standing,
    without_returned,
)

KINDS = st.sampled_from([GLANCE, TAKE, BOUGHT, RETURNED, REJECTED])
EVENTS = st.lists(st.tuples(KINDS, st.integers(0, 4)), max_size=25)
WEIGHTS = {2: 0.2, 3: 0.5, 4: 0.8, 5: 1.0, 16: 0.6, 17: 0.0}


def stands(*events: tuple[int, str]) -> str:
    """The items of the events that stand, in order."""
    items = np.asarray([ord(item) for _, item in events], np.int32)
    kept = standing(np.asarray([kind for kind, _ in events], np.int8), items)
    return "".join(item for (_, item), own in zip(events, kept.tolist(), strict=True) if own)


def test_a_return_takes_the_last_purchase_before_it_back() -> None:
    assert stands((BOUGHT, "a"), (BOUGHT, "b"), (RETURNED, "a")) == "b"
    assert stands((BOUGHT, "a"), (BOUGHT, "a"), (RETURNED, "a")) == "a"
    assert stands((BOUGHT, "a"), (RETURNED, "a"), (BOUGHT, "a")) == "a"
    assert stands((RETURNED, "a"), (BOUGHT, "a")) == "a"


def test_a_return_leaves_what_led_to_the_purchase() -> None:
    assert stands((GLANCE, "a"), (TAKE, "a"), (BOUGHT, "a"), (RETURNED, "a")) == "aa"


def test_an_item_whose_last_word_is_a_rejection_does_not_count() -> None:
    assert stands((TAKE, "a"), (TAKE, "b"), (REJECTED, "a")) == "b"
    assert stands((TAKE, "a"), (REJECTED, "a"), (GLANCE, "a")) == "aa"
    assert stands((TAKE, "a"), (REJECTED, "a"), (BOUGHT, "a"), (RETURNED, "a")) == "a"


@given(EVENTS)
def test_events_of_other_items_change_nothing(events: list[tuple[int, int]]) -> None:
    kinds = np.asarray([kind for kind, _ in events], np.int8)
    items = np.asarray([item for _, item in events], np.int32)
    kept = standing(kinds, items)
    for item in set(items.tolist()):
        own = items == item
        np.testing.assert_array_equal(standing(kinds[own], items[own]), kept[own])
    assert not kept[kinds >= RETURNED].any()


def test_half_of_the_places_are_for_what_was_more_than_looked_at() -> None:
    def newest(*events: tuple[int, int], most: int = 4) -> list[int]:
        kinds, items = np.asarray(events).T
        kept = newest_items(kinds.astype(np.int8), items.astype(np.int32), most)
        return sorted(set(items.tolist())) if kept is None else kept.tolist()

    glances = [(GLANCE, n) for n in range(10, 20)]
    assert newest((BOUGHT, 1), (TAKE, 2), (TAKE, 3), *glances) == [2, 3, 18, 19]
    assert newest((BOUGHT, 1), *glances) == [1, 17, 18, 19]
    assert newest(*glances) == [16, 17, 18, 19]
    assert newest(*glances, *((TAKE, n) for n in range(9))) == [5, 6, 7, 8]
    assert newest((TAKE, 1), (TAKE, 2)) == [1, 2]


@given(EVENTS, st.integers(1, 4))
def test_the_places_are_all_taken_and_no_more(events: list[tuple[int, int]], most: int) -> None:
    takes = [event for event in events if event[0] < RETURNED]
    kinds = np.asarray([kind for kind, _ in takes], np.int8)
    items = np.asarray([item for _, item in takes], np.int32)
    kept = newest_items(kinds, items, most)
    distinct = len(set(items.tolist()))
    assert (distinct <= most) == (kept is None)
    if kept is not None:
        assert len(kept) == most


def test_what_an_event_is_follows_from_the_weights() -> None:
    assert kinds_of(WEIGHTS) == {2: GLANCE, 3: GLANCE, 4: TAKE, 5: BOUGHT, 6: RETURNED, 7: REJECTED, 16: TAKE}
    assert kind_of(1, WEIGHTS) is None and kind_of(17, WEIGHTS) is None
    assert kind_of(2, {2: 1.0}) == TAKE


def test_a_fit_does_not_learn_from_returned_purchases() -> None:
    events = [
        ("u", "a", 5, 1.0), ("u", "b", 3, 2.0), ("u", "a", 6, 3.0), ("u", "b", 7, 4.0), ("v", "a", 5, 1.0)
    ]  # fmt: skip
    assert [(u, i, t) for u, i, t, _ in without_returned(events, WEIGHTS) if t != 7] == [
        ("u", "b", 3), ("v", "a", 5)
    ]  # fmt: skip
