"""Lists of each item's takers: what a change costs its writer, and what others read meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from itemlens_server.fusion.counts.events import Events
from itemlens_server.fusion.counts.histories import Histories
from itemlens_server.fusion.counts.taker_lists import Take, TakerLists

ITEM = 0


def taken_by_all(users: int) -> TakerLists:
    """The lists of one item that all users took."""
    ones = np.ones(users, np.int64)
    events = Events.of(ones, ones.astype(np.float64), ones, np.zeros(users, np.int32), ones.astype(np.int8))
    return TakerLists.of(Histories.of([f"u{n}" for n in range(users)], events))


def test_a_taker_of_a_popular_item_is_taken_away_quickly() -> None:
    """A loop in Python over 100,000 takers takes 3 ms or more."""
    lists = taken_by_all(100_000)
    gone = [(user, ITEM) for user in range(99_999, 99_599, -1)]
    began = time.thread_time()
    lists.change(gone, [])
    assert time.thread_time() - began < 0.4
    assert lists.of_both(0, [0]) == [100_000 - 400]


def test_a_user_is_taken_away_wherever_the_list_has_it() -> None:
    for user in range(3):
        lists = taken_by_all(3)
        lists.change([(user, ITEM)], [])
        assert lists.of_both(0, [0]) == [2]
        lists.change([(other, ITEM) for other in range(3) if other != user], [])
        assert lists.of_both(0, [0]) == [0]


def test_who_reads_does_not_wait_for_a_whole_change() -> None:
    lists, read = taken_by_all(3), list[int]()

    def reading(change: list[Take]) -> Iterator[Take]:
        for part in change:
            read.extend(readers.submit(lists.of_both, 0, [0]).result(timeout=10))
            yield part

    with ThreadPoolExecutor(1) as readers:
        lists.change(reading([(0, ITEM), (1, ITEM)]), reading([(1, ITEM), (5, ITEM)]))
    assert read == [3, 2, 1, 2] and lists.of_both(0, [0]) == [3]
