"""Recall and NDCG by hand; ties count as if they were broken at random."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, permutations

import numpy as np
import pytest

from itemlens_bench.quality.behaviour.metrics import Scores, places
from itemlens_bench.quality.behaviour.split import Question
from support.made_up_baskets import ask, split


def constant(*scores: float) -> Scores:
    return lambda questions: np.repeat(np.asarray([scores]), len(questions), axis=0)


def test_one_answer_by_hand() -> None:
    found = places(constant(0.9, 0.8, 0.7, 0.6), split([[[3]]], 4, [ask(0, 2)]))
    assert [found.recall(k).tolist() for k in (2, 3)] == [[0.0], [1.0]]
    assert found.ndcg(2).tolist() == [0.0] and found.ndcg(3) == pytest.approx(1 / np.log2(4))


def test_a_basket_by_hand() -> None:
    # The answers stand first and third: 1 + 1/2 of 1 + 1/log2(3).
    found = places(constant(0.9, 0.8, 0.7, 0.6), split([[[3]]], 4, [ask(0, 0, 2)]))
    assert found.recall(2).tolist() == [0.5] and found.recall(3).tolist() == [1.0]
    assert found.ndcg(3) == pytest.approx(1.5 / (1 + 1 / np.log2(3)))
    assert found.ndcg(1) == pytest.approx(1.0)


def test_what_was_had_is_left_out_only_where_the_question_says_so() -> None:
    whole = split([[[0]]], 3, [ask(0, 1, without_had=True), ask(0, 1)])
    assert places(constant(0.9, 0.8, 0.7), whole).recall(1).tolist() == [1.0, 0.0]


def test_an_answer_that_is_left_out_is_not_found() -> None:
    found = places(constant(0.9, 0.8), split([[[0]]], 2, [ask(0, 0, without_had=True)]))
    assert found.recall(1).tolist() == [0.0]


def test_ties_are_the_mean_over_all_orders() -> None:
    scores, answers, k = [0.5, 0.7, 0.5, 0.5, 0.1], [0, 3], 3
    found = places(constant(*scores), split([[[1]]], 5, [ask(0, *answers)]))
    recalls, gains = [], []
    for order in permutations(range(5)):
        if all(scores[a] >= scores[b] for a, b in pairwise(order)):
            places_of = [order.index(answer) for answer in answers]
            recalls.append(sum(place < k for place in places_of) / 2)
            gains.append(sum(1 / np.log2(place + 2) for place in places_of if place < k))
    assert found.recall(k) == pytest.approx(np.mean(recalls))
    assert found.ndcg(k) == pytest.approx(np.mean(gains) / (1 + 1 / np.log2(3)))


def test_no_questions_are_an_error() -> None:
    with pytest.raises(ValueError, match="made up has no questions"):
        places(constant(1.0), split([[[0]]], 1))


def test_questions_keep_their_order_across_batches() -> None:
    def own_number(questions: Sequence[Question]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        return np.eye(1200)[[question.user for question in questions]]

    whole = split([[[0]]] * 1200, 1200, [ask(n, n if n % 3 else 0) for n in range(1200)])
    expected = [float(n % 3 != 0 or n == 0) for n in range(1200)]
    assert np.floor(places(own_number, whole).recall(1)).tolist() == expected
