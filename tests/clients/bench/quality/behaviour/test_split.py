"""What may be known, and what is asked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from itemlens_bench.quality.behaviour.split import (
    Question,
    each_event_after,
    events,
    first_baskets_after,
    last_baskets,
)
from support.made_up_baskets import ask, split


def asked(questions: tuple[Question, ...]) -> dict[int, list[int]]:
    return {question.user: question.answers.tolist() for question in questions}


def test_events_are_by_user_and_time_and_equal_times_keep_their_order() -> None:
    known = events([1, 0, 1, 1], [5, 6, 7, 8], [2.0, 1.0, 1.0, 2.0])
    assert known.user.tolist() == [0, 1, 1, 1] and known.item.tolist() == [6, 7, 5, 8]
    assert known.of(1).item.tolist() == [7, 5, 8] and not len(known.of(2))
    assert [items.tolist() for items in known.sequences(3)] == [[6], [7, 5, 8], []]


def test_last_baskets_are_asked_and_the_rest_is_known() -> None:
    known, questions = last_baskets(
        split([[[1], [2, 3]], [[4]], [[5], [6], [7]]], 8).events, without_had=True
    )
    assert asked(questions) == {0: [2, 3], 2: [7]}  # user 1 has one basket only
    assert known.item.tolist() == [1, 4, 5, 6]
    assert all(question.without_had for question in questions)


def test_without_baskets_the_last_item_is_asked() -> None:
    known, questions = last_baskets(events([0, 0, 1, 1], [1, 2, 3, 4], [0, 1, 0, 1]), without_had=True)
    assert asked(questions) == {0: [2], 1: [4]} and known.item.tolist() == [1, 3]


def test_first_baskets_after_a_cut_of_users_with_enough_before() -> None:
    known = split([[[1], [2], [3], [4, 5], [6]], [[1], [2]]], 7).events
    before, questions = first_baskets_after(known, cut=3 * 7 * 24 * 3600.0)
    assert asked(questions) == {0: [4, 5]} and before.item.tolist() == [1, 2, 3, 1, 2]
    _, questions = first_baskets_after(known, cut=1 * 7 * 24 * 3600.0, least_baskets=1)
    assert asked(questions) == {0: [2], 1: [2]}


def test_each_liked_event_after_a_global_cut_knows_what_came_before_it() -> None:
    time, value = [0, 1, 2, 6, 7, 8, 0, 9], [1, 1, 1, 5, 2, 4, 1, 5]
    known = events([0] * 6 + [1] * 2, [0, 1, 2, 3, 4, 5, 0, 1], time, value=value)
    before, questions = each_event_after(known, share=0.5, liked=4.0)
    assert before.item.tolist() == [0, 1, 2, 0]
    assert [question.answers.tolist() for question in questions] == [[3], [5]]  # user 1 has one earlier event
    assert [question.since.item.tolist() for question in questions] == [[], [3, 4]]


def test_earlier_is_one_step_before_and_sees_no_answer() -> None:
    later = split([[[1], [2], [3]]], 9, [ask(0, 8)])
    assert asked(later.earlier.questions) == {0: [3]} and later.earlier.events.item.tolist() == [1, 2]


def test_what_is_new_is_asked_without_what_was_had() -> None:
    both = split([[[1], [2], [2, 3]], [[4], [4], [4]]], 9, [ask(0, 1, 7), ask(1, 4)]).new_only()
    assert asked(both.questions) == {0: [7]} and both.questions[0].without_had
    assert asked(both.earlier.questions) == {0: [3]}


def test_had_includes_what_happened_since() -> None:
    question = replace(ask(0, 5), since=events([0], [7], [9.0]))
    assert split([[[1], [2], [1]]], 9).had(question).tolist() == [1, 2, 7]


def test_a_sample_keeps_the_order_and_is_the_same_again() -> None:
    whole = split([[[1]]] * 9, 2, [ask(n, 1) for n in range(9)])
    users = [question.user for question in whole.sample(4, seed=1).questions]
    assert len(users) == 4 and users == sorted(users)
    assert users == [question.user for question in whole.sample(4, seed=1).questions]
    assert whole.sample(9, seed=1) is whole


def test_events_can_be_chosen() -> None:
    known = events([0, 0], [1, 2], [0, 1], kind=["view", "purchase"])
    assert known[np.asarray([False, True])].kind.tolist() == ["purchase"]
