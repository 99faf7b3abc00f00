"""The EASE yardstick against a case computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from itemlens_bench.quality import ease
from itemlens_bench.quality.ease import Next, Taken


def test_two_items_by_hand() -> None:
    # G = [[2, 1], [1, 1]], G + I = [[3, 1], [1, 2]], its inverse 1/5 [[2, -1], [-1, 3]].
    x = np.asarray([[1.0, 1.0], [1.0, 0.0]])
    b = ease.ease(x, 1.0)
    assert b == pytest.approx(np.asarray([[0.0, 1 / 3], [1 / 2, 0.0]]))


def test_b_is_the_best_linear_predictor_without_the_item_itself() -> None:
    # EASE solves this: each column is a ridge regression of the item on all others.
    x = (np.random.default_rng(0).random((40, 6)) < 0.4).astype(float)
    b = ease.ease(x, 2.0)
    for column in range(6):
        others = [n for n in range(6) if n != column]
        a = x[:, others]
        ridge = np.linalg.solve(a.T @ a + 2.0 * np.eye(5), a.T @ x[:, column])
        assert b[others, column] == pytest.approx(ridge)


def test_shares_decay_from_the_newest_and_repeats_move_up() -> None:
    events = [Taken("u", item, 0.0, weight=w) for item, w in [("a", 1.0), ("b", 0.5), ("a", 0.2), ("c", 1.0)]]
    assert ease.shares(events) == pytest.approx({"c": 1.0, "a": 0.9, "b": 0.5 * 0.81})
    assert list(ease.shares(events, window=2)) == ["c", "a"]


def test_questions_are_later_wanted_events_of_users_with_a_history() -> None:
    events = [
        *(Taken("known", f"i{n}", n) for n in range(3)),
        Taken("new", "i0", 2),
        Taken("known", "i3", 10, wanted=False),
        Taken("new", "i1", 11),
        Taken("known", "i4", 12),
    ]
    past = [event for event in events if event.time < 10]
    asked = ease.questions(past, [event for event in events if event.time >= 10])
    assert [(q.user, q.answer) for q in asked] == [("known", "i4")]
    # Events after the split but before the question are in the history, too.
    assert [event.item for event in asked[0].history] == ["i0", "i1", "i2", "i3"]


def test_a_split_keeps_equal_times_together() -> None:
    events = [Taken("u", str(n), time) for n, time in enumerate([3, 1, 2, 2, 2])]
    past, later = ease.split(events, 0.6)
    assert [e.time for e in past] == [1] and [e.time for e in later] == [2, 2, 2, 3]


def test_hits_leave_out_what_was_seen() -> None:
    items = {"a": 0, "b": 1, "c": 2}
    b = np.asarray([[0.0, 0.9, 0.5], [0.9, 0.0, 0.1], [0.5, 0.1, 0.0]])
    asked = [
        Next("u", (Taken("u", "a", 0), Taken("u", "b", 1)), "c"),
        Next("u", (Taken("u", "a", 0),), "c"),
        Next("u", (Taken("u", "a", 0),), "unknown"),
    ]
    assert ease.hits(asked, items, 1, b).tolist() == [1.0, 0.0, 0.0]
    assert ease.popular(asked, items, 1, np.asarray([3.0, 2.0, 1.0])).tolist() == [1.0, 0.0, 0.0]
