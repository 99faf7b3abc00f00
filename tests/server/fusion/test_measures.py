"""How well questions are answered: gains, hits, likelihood and paired intervals."""

from __future__ import annotations

import numpy as np
import pytest

from itemlens_server.fusion.measures import Interval, gains, hits, nll, recall


def test_gain_falls_with_the_rank_and_ties_count_by_their_mean_rank() -> None:
    scores = np.array([[3.0, 2.0, 1.0], [1.0, 2.0, 3.0], [1.0, 1.0, 1.0]], np.float32)
    np.testing.assert_allclose(gains(scores, np.zeros(3, np.int64)), [1.0, 0.5, 1 / np.log2(3)])


def test_recall_counts_ties_by_expectation() -> None:
    scores = np.array([[3.0, 2.0, 1.0, 0.0], [1.0, 2.0, 3.0, 0.0], [1.0, 1.0, 1.0, 2.0]], np.float32)
    np.testing.assert_allclose(recall(scores, np.zeros(3, np.int64), 2), [1.0, 0.0, 1 / 3])


def test_ties_count_by_expectation() -> None:
    scores = np.asarray([1.0, 0.0, 0.0, 0.0, 0.0], np.float32)
    assert hits(scores, np.asarray([0]), 1) == 1.0
    assert hits(scores, np.asarray([3]), 3) == pytest.approx(0.5)  # two of the four places
    assert hits(scores, np.asarray([0, 3]), 3) == pytest.approx(0.75)
    left_out = np.asarray([1.0, -np.inf, -np.inf], np.float32)
    assert hits(left_out, np.asarray([0]), 1) == 1.0


def test_the_likelihood_is_that_of_the_softmax() -> None:
    scores = np.log(np.asarray([0.5, 0.3, 0.2], np.float32))
    assert nll(scores, np.asarray([0])) == pytest.approx(-np.log(0.5), abs=1e-6)
    assert nll(scores + 1000, np.asarray([1, 2])) == pytest.approx(-np.log([0.3, 0.2]).mean(), abs=1e-3)


class TestInterval:
    def test_contains_the_mean_of_the_differences(self) -> None:
        d = np.random.default_rng(0).normal(0.1, 1.0, 500)
        found = Interval.of(d, np.arange(500))
        assert found.mean == pytest.approx(d.mean()) and found.low < found.mean < found.high
        assert found.high - found.low == pytest.approx(2 * 1.96 / np.sqrt(500), rel=0.15)

    def test_questions_of_one_user_are_not_independent(self) -> None:
        d = np.repeat(np.random.default_rng(0).normal(size=50), 10)
        alone, grouped = Interval.of(d, np.arange(500)), Interval.of(d, np.repeat(np.arange(50), 10))
        assert grouped.high - grouped.low > 2 * (alone.high - alone.low)

    def test_questions_that_do_not_count_are_left_out(self) -> None:
        d = np.asarray([1.0, np.nan, 3.0])
        assert Interval.of(d, np.arange(3)).mean == 2.0

    def test_no_question_and_one_user_say_nothing(self) -> None:
        nothing = Interval.of(np.asarray([np.nan]), np.arange(1))
        one = Interval.of(np.asarray([1.0, 1.0]), np.zeros(2, int))
        assert (one.mean, one.better, nothing.mean, nothing.worse) == (1.0, False, 0.0, False)
        assert one.error == nothing.error == np.inf
