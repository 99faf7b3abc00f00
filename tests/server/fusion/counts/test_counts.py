"""Counts that follow the events: whatever happened to the events, they equal a count of those that are left."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from itemlens_server.fusion import taken
from itemlens_server.fusion.counts import successions
from itemlens_server.fusion.counts.comparison import differences, digest
from itemlens_server.fusion.counts.counted import Counted, since
from itemlens_server.fusion.counts.counts import Counts, Event
from itemlens_server.fusion.counts.matrices import Square
from itemlens_server.fusion.event_log import SECONDS_PER_DAY, EventLog
from itemlens_server.fusion.tables import Tables
from itemlens_server.fusion.weights import TableRules
from support.sizes import size
from support.stories import BOUNDS, EVENT, STEPS, Added, Forgotten, Step, Story, recount


@contextmanager
def most_items(most: int) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(taken, "MOST_PAST", most)
        yield


def assert_popularity(counts: Counts, days: int) -> None:
    """What is read without a lock says the same as the copy."""
    counted = counts.counted()
    codes = np.asarray([counts.code(item_id) for item_id in counted.item_ids], np.int64)
    for number in (days, 3 * days):
        takers, recent = counts.popularity(codes, number)
        assert takers.tolist() == counted.takers.tolist()
        assert recent.tolist() == since(counted, counted.last_day - number).tolist()


def taken_with(counts: Counts, item_id: str) -> dict[str, int]:
    """How many users took an item and each other one."""
    counted = counts.counted()
    return _row(counted, counted.pairs(slice(0, len(counted.item_ids))), item_id)


def assert_users_of_both(counts: Counts, expected: Counted) -> None:
    """What is read of single pairs equals a recount of them."""
    names = expected.item_ids
    pairs = expected.pairs(slice(0, len(names))).toarray().astype(int).tolist()
    for item_id, row in zip(names, pairs, strict=True):
        assert counts.users_of_both(item_id, names) == row


def taken_after(counts: Counts, item_id: str) -> dict[str, int]:
    """The amounts of what was taken soon after an item."""
    counted = counts.counted()
    return _row(counted, counted.ordered(slice(0, len(counted.item_ids))), item_id)


def _row(counted: Counted, table: sparse.csr_matrix, item_id: str) -> dict[str, int]:
    row = table.toarray()[counted.item_ids.index(item_id)].tolist()
    return {name: int(n) for name, n in zip(counted.item_ids, row, strict=True) if n and name != item_id}


def assert_same(one: Counted, other: Counted) -> None:
    assert differences(one, other) == [] and digest(one) == digest(other)
    n = len(one.item_ids)
    for columns in (np.arange(n), np.arange(0, n, 2)):
        np.testing.assert_array_equal(np.tril(one.gram(columns)), np.tril(other.gram(columns)))
        pairs = one.pairs(slice(0, n)).toarray()[np.ix_(columns, columns)]
        np.testing.assert_array_equal(np.tril(one.gram(columns)), np.tril(pairs))


@given(STEPS, BOUNDS, st.sampled_from([2, 4, 1000]), st.booleans())
@settings(max_examples=size(80, 200), deadline=None)
def test_any_story_ends_in_the_counts_of_the_events_that_are_left(
    steps: list[Step], bound: int, most: int, mixed: bool
) -> None:
    with most_items(most):
        story = Story(bound, mixed)
        for step in steps:
            story.tell(step)
            assert_popularity(story.counts, 2)
        expected = recount(story.events, mixed)
        assert_same(story.counts.counted(), expected)
        assert_users_of_both(story.counts, expected)
        state = story.counts.state()
        if state.item_ids:
            fewest = bound if story.counts.pairs is not None else 0
            assert_users_of_both(Counts.restored(state, fewest), expected)


@given(st.lists(EVENT, max_size=25), st.randoms(use_true_random=False), BOUNDS, st.sampled_from([3, 1000]))
@settings(max_examples=size(40, 80), deadline=None)
def test_the_order_of_arrival_and_the_size_of_batches_do_not_matter(
    events: list[tuple[str, str, int]], random: Random, bound: int, most: int
) -> None:
    numbered = [(u, i, float(t), n) for n, (u, i, t) in enumerate(events)]
    with most_items(most):
        expected = recount(numbered)
        random.shuffle(numbered)
        counts = Counts(bound)
        while numbered:
            size = random.randint(1, 5)
            counts.add(numbered[:size])
            numbered = numbered[size:]
        assert_same(counts.counted(), expected)


@given(STEPS)
@settings(max_examples=size(30, 60), deadline=None)
def test_pairs_in_small_parts_are_the_same(steps: list[Step]) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(successions, "_AT_A_TIME", 3)
        story = Story()
        story.tell(*steps)
        assert_same(story.counts.counted(), recount(story.events))


@given(STEPS)
@settings(max_examples=50, deadline=None)
def test_what_was_added_and_taken_away_again_leaves_no_trace(steps: list[Step]) -> None:
    story = Story()
    story.tell(*steps)
    before = story.counts.counted()
    story.counts.add(
        [("secret", item, 1e9 + n, 10**6 + n) for n, item in enumerate(["a", "only-secret", "b"])]
    )
    assert "only-secret" in story.counts.counted().item_ids
    story.counts.remove("secret", range(10**6, 10**6 + 3))
    assert_same(story.counts.counted(), before)


@given(st.lists(EVENT, min_size=1, max_size=15), st.data())
@settings(max_examples=60, deadline=None)
def test_counts_that_differ_are_told_apart(events: list[tuple[str, str, int]], data: st.DataObject) -> None:
    one, other = Story(), Story()
    one.tell(Added(events))
    other.tell(Added(events), Added([data.draw(EVENT)]))
    found = differences(one.counts.counted(), other.counts.counted())
    changed = differences(recount(one.events), recount(other.events))
    assert found == changed
    assert (digest(one.counts.counted()) == digest(other.counts.counted())) == (not found)


def test_by_hand() -> None:
    counts = Counts()
    day = SECONDS_PER_DAY
    counts.add([("u", "a", 0.0, 1), ("u", "b", 0.0, 2), ("u", "c", 9 * day, 3), ("v", "a", 3 * day, 4)])
    counted = counts.counted()
    assert counted.item_ids == ("a", "b", "c") and counted.takers.tolist() == [2, 1, 1]
    assert since(counted, counted.last_day - 9).tolist() == [1, 0, 1]
    assert taken_with(counts, "a") == {"b": 1, "c": 1}
    assert taken_after(counts, "a") == {"c": 1024} and taken_after(counts, "c") == {}
    counts.add([("u", "a", 10 * day, 5)])
    assert taken_after(counts, "c") == {"a": 1024} and taken_with(counts, "a") == {"b": 1, "c": 1}


def test_pairs_count_users_once_and_ordered_pairs_every_time() -> None:
    counts = Counts()
    counts.add([("u", item, float(n), n) for n, item in enumerate("abab")])
    assert taken_with(counts, "a") == {"b": 1}
    assert taken_after(counts, "a") == {"b": 1024 + 1024 + 369}


def test_only_the_newest_items_of_a_user_count() -> None:
    with most_items(2):
        counts = Counts()
        counts.add([("u", item, float(n), n) for n, item in enumerate("abcb")])
        assert counts.counted().item_ids == ("b", "c")
        counts.remove("u", [2])
        assert counts.counted().item_ids == ("a", "b")


def test_an_event_counts_once_however_often_it_arrives() -> None:
    counts = Counts()
    for _ in range(3):
        counts.add([("u", "a", 1.0, 1), ("u", "b", 2.0, 2)])
        counts.add([("u", "b", 2.0, 2)])
    assert len(counts.histories.get("u")) == 2 and taken_after(counts, "a") == {"b": 1024}


def test_a_copy_does_not_change() -> None:
    story = Story()
    story.tell(Added([("u", "a", 1), ("u", "b", 2), ("v", "a", 1), ("v", "c", 4)]))
    copy, events = story.counts.counted(), list(story.events)
    story.tell(Added([("w", "a", 5), ("w", "d", 6)]), Forgotten("u"))
    assert_same(copy, recount(events))


@given(STEPS, BOUNDS)
@settings(max_examples=40, deadline=None)
def test_tables_are_those_of_all_events_to_the_bit(steps: list[Step], bound: int) -> None:
    story, rules = Story(bound), TableRules(2.0, 0.6, 2.0)
    story.tell(*steps)
    own = Tables.of(story.counts.counted(), rules)
    ordered = sorted(story.events, key=lambda event: (event[0], event[2], event[3]))
    fitted = Tables.fit(EventLog.of(((u, i, 1, t) for u, i, t, _ in ordered), {1: 1.0}), rules)
    assert tuple(own.item_ids) == tuple(fitted.item_ids)
    for one, other in ((own.behaviour, fitted.behaviour), (own.sequence, fitted.sequence)):
        np.testing.assert_array_equal(one.toarray(), other.toarray())
    np.testing.assert_array_equal(own.takers, fitted.takers)
    np.testing.assert_array_equal(own.recent, fitted.recent)


@given(STEPS, BOUNDS, st.booleans())
@settings(max_examples=40, deadline=None)
def test_takers_alone_are_those_of_all_counts(steps: list[Step], bound: int, mixed: bool) -> None:
    story, rules = Story(bound, mixed), TableRules(recent_days=2.0, trend_days=1.0, of_pairs=False)
    story.tell(*steps)
    alone, every = story.counts.counted_takers(), story.counts.counted()
    assert (list(alone.item_ids), alone.last_day) == (list(every.item_ids), every.last_day)
    own, fitted = Tables.of_takers(alone, rules), Tables.of(recount(story.events, mixed), rules)
    for name in ("takers", "recent", "trend"):
        np.testing.assert_array_equal(getattr(own, name), getattr(fitted, name))
    assert own.item_ids == fitted.item_ids and not own.behaviour.nnz and not own.sequence.nnz


def test_random_events_of_many_users_and_items() -> None:
    rng = np.random.default_rng(5)
    counts, events = Counts(), list[Event]()
    for start in range(0, 20_000, 1000):
        new = [
            (f"u{u}", f"i{i}", float(t), start + n)
            for n, (u, i, t) in enumerate(
                zip(
                    rng.integers(0, 150, 1000),
                    rng.zipf(1.4, 1000) % 700,
                    rng.integers(0, 300, 1000) * SECONDS_PER_DAY,
                    strict=True,
                )
            )
        ]
        counts.add(new)
        events += new
        gone = f"u{rng.integers(0, 150)}"
        numbers = [number for user, _, _, number in events if user == gone and rng.random() < 0.7]
        counts.remove(gone, numbers)
        events = [event for event in events if event[3] not in set(numbers)]
    assert_same(counts.counted(), recount(events))
    pairs = Counter(
        pair
        for user in {event[0] for event in events}
        for pair in combinations(sorted({event[1] for event in events if event[0] == user}), 2)
    )
    (one, other), users = pairs.most_common(1)[0]
    assert taken_with(counts, one)[other] == taken_with(counts, other)[one] == users


class TestUsersOfBoth:
    BOTH = pytest.mark.parametrize("bound", [100, 0])

    @BOTH
    def test_are_nobody_for_items_that_nobody_took(self, bound: int) -> None:
        counts = Counts(bound)
        assert counts.users_of_both("a", ["b"]) == [0]
        counts.add([("u", "a", 0.0, 1)])
        assert counts.users_of_both("a", ["b", "a"]) == [0, 1] and counts.users_of_both("b", ["a"]) == [0]
        assert counts.users_of_both("a", []) == []

    @BOTH
    def test_leave_no_trace_of_a_user_who_is_gone(self, bound: int) -> None:
        counts = Counts(bound)
        counts.add([("u", "a", 0.0, 1), ("u", "b", 0.0, 2)])
        counts.remove("u", [1, 2])
        counts.add([("v", "b", 0.0, 3), ("v", "c", 0.0, 4)])
        assert counts.users_of_both("b", ["a", "b", "c"]) == [0, 1, 1]

    def test_are_the_same_where_the_matrices_are_left(self) -> None:
        counts = Counts(bound=3)
        for user in range(5):
            counts.add([(f"u{user}", item, 0.0, 10 * user + n) for n, item in enumerate("abc")])
        assert counts.pairs is not None and counts.users_of_both("a", "bc") == [5, 5]
        counts.add([("u0", "d", 1.0, 100)])
        assert counts.pairs is None and counts.users_of_both("a", "bcd") == [5, 5, 1]

    @BOTH
    def test_are_never_more_than_there_were_while_they_change(self, bound: int) -> None:
        """One of 20 users gives both items to another and back, each time in one change."""
        counts = Counts(bound)
        for user in range(20):
            counts.add([(f"u{user}", "a", 0.0, 2 * user), (f"u{user}", "b", 0.0, 2 * user + 1)])
        stop, seen = threading.Event(), Counter[int]()

        def read() -> None:
            while not stop.is_set():
                seen[counts.users_of_both("a", ["b"])[0]] += 1

        reader = threading.Thread(target=read)
        reader.start()
        for _ in range(1000):
            counts.merge("u0", "v")
            counts.merge("v", "u0")
        stop.set()
        reader.join()
        assert seen and seen.keys() <= {19, 20}


@pytest.mark.parametrize("newer_order", [False, True])
def test_a_copy_is_of_one_moment_unless_ordered_pairs_may_be_newer(
    monkeypatch: pytest.MonkeyPatch, newer_order: bool
) -> None:
    """Events arrive while the ordered pairs, which take longest, are copied: a digest must not be of a mixture."""
    counts = Counts()
    counts.add([("u", item, 1e9 + n, n) for n, item in enumerate("ab")])
    before, copy, writers = digest(counts.counted()), Square.nonzero, []

    def slowly(self: Square, items: int) -> sparse.csr_matrix:
        writer = threading.Thread(
            target=counts.add, args=([("v", i, 2e9 + n, 9 + n) for n, i in enumerate("ab")],)
        )
        writer.start()
        writers.append(writer)
        writer.join(0.5)
        return copy(self, items)

    with monkeypatch.context() as patched:
        patched.setattr(Square, "nonzero", slowly)
        copied = counts.counted(newer_order)
    writers[0].join()
    assert (digest(copied) == before) is not newer_order
    assert digest(counts.counted()) != before
