"""Events in columns: codes, baskets, and whether times can be compared between users."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from itemlens_server.fusion.event_log import EventLog

EVENTS = st.lists(
    st.tuples(
        st.sampled_from("uvw"), st.sampled_from("abcde"), st.sampled_from([2, 5, 9]), st.integers(0, 3)
    ),
    max_size=30,
).map(lambda events: sorted(events, key=lambda e: (e[0], e[3])))
WEIGHTS = {2: 0.2, 5: 1.0, 3: 0.0}


def log(*events: tuple[str, str, int, float]) -> EventLog:
    return EventLog.of(events, WEIGHTS)


def test_types_without_weight_are_left_out() -> None:
    events = log(("u", "a", 2, 0), ("u", "b", 3, 0), ("u", "c", 9, 0), ("u", "d", 5, 0))
    assert list(events.item_ids) == ["a", "d"]
    np.testing.assert_allclose(events.strengths, [0.2, 1.0])


def test_codes_of_items_are_in_the_order_of_their_names_whatever_came_first() -> None:
    events = log(("u", "b", 5, 0), ("u", "a", 5, 1), ("v", "b", 5, 0))
    assert list(events.item_ids) == ["a", "b"] and events.items.tolist() == [1, 0, 1]
    assert [events.user_ids[u] for u in events.users] == ["u", "u", "v"]


@given(EVENTS)
def test_a_basket_is_what_a_user_took_at_one_time(events: list[tuple[str, str, int, int]]) -> None:
    own = [e for e in events if e[2] in (2, 5)]
    read = log(*events)
    keys = list(dict.fromkeys((user, time) for user, _, _, time in own))
    assert read.basket_numbers.tolist() == [keys.index((user, time)) for user, _, _, time in own]
    held = read.baskets().toarray()
    assert held.shape == (len(keys), len(read.item_ids))
    for number, key in enumerate(keys):
        items = {i for u, i, _, t in own if (u, t) == key}
        assert {read.item_ids[int(n)] for n in np.flatnonzero(held[number])} == items
        assert set(held[number]) <= {0.0, 1.0}


@given(EVENTS)
def test_takers_are_the_users_of_an_item_each_once(events: list[tuple[str, str, int, int]]) -> None:
    read = log(*events)
    takers = {i: len({u for u, j, t, _ in events if j == i and t in (2, 5)}) for i in read.item_ids}
    assert np.asarray(read.takers().sum(0)).ravel().tolist() == list(takers.values())


@given(EVENTS, st.data())
def test_a_part_keeps_its_codes_until_it_is_compacted(
    events: list[tuple[str, str, int, int]], data: st.DataObject
) -> None:
    read = log(*events)
    kept = np.asarray(data.draw(st.lists(st.booleans(), min_size=len(read), max_size=len(read))), np.bool_)
    part = read.take(kept)
    names = [read.item_ids[i] for i in read.items[kept]]
    assert part.item_ids == read.item_ids and [part.item_ids[i] for i in part.items] == names
    compact = part.compact()
    assert list(compact.item_ids) == sorted(set(names))
    assert [compact.item_ids[i] for i in compact.items] == names


class TestTimes:
    def test_that_only_number_a_users_events_are_an_order(self) -> None:
        events = log(("u", "a", 5, 0), ("u", "b", 5, 1), ("v", "a", 5, 0))
        assert events.times_are_an_order

    def test_of_a_calendar_are_not(self) -> None:
        events = log(("u", "a", 5, 100), ("u", "b", 5, 200), ("v", "a", 5, 130))
        assert not events.times_are_an_order

    def test_of_one_user_are_not(self) -> None:
        assert not log(("u", "a", 5, 0), ("u", "b", 5, 1)).times_are_an_order

    def test_of_no_events_are_not(self) -> None:
        assert not log().times_are_an_order and len(log()) == 0
