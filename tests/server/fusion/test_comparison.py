"""Comparison of systems on the same questions: hits, likelihood, paired intervals and verdicts."""

from __future__ import annotations

import numpy as np
import pytest

from itemlens_server.fusion.comparison import Answers, Collected, Interval, hits, nll


def test_ties_count_by_expectation() -> None:
    scores = np.asarray([1.0, 0.0, 0.0, 0.0, 0.0], np.float32)
    assert hits(scores, np.asarray([0]), 1) == 1.0
    assert hits(scores, np.asarray([3]), 3) == pytest.approx(0.5)  # two of the four places
    assert hits(scores, np.asarray([0, 3]), 3) == pytest.approx(0.75)


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
        assert Interval.of(d * np.nan, np.arange(3)) == Interval(0.0, 0.0, 0.0)

    def test_one_user_has_no_spread(self) -> None:
        assert Interval.of(np.asarray([1.0, 0.0]), np.zeros(2, int)) == Interval(0.5, 0.5, 0.5)


def answers(**measures: dict[str, list[float]]) -> Answers:
    made = {s: {m: np.asarray(v, float) for m, v in own.items()} for s, own in measures.items()}
    count = len(next(iter(next(iter(measures.values())).values())))
    return Answers("next", made, np.arange(count))


class TestVerdict:
    def test_clearly_more_hits_are_better_and_clearly_fewer_worse(self) -> None:
        some = answers(a={"R@20": [1.0] * 30}, b={"R@20": [0.0] * 25 + [1.0] * 5})
        assert (some.verdict("a", "b"), some.verdict("b", "a")) == ("better", "worse")

    def test_a_better_likelihood_helps_only_if_lists_are_not_worse(self) -> None:
        same = answers(a={"R@20": [1.0] * 30, "nll": [1.0] * 30}, b={"R@20": [1.0] * 30, "nll": [2.0] * 30})
        assert same.verdict("a", "b") == "better"
        less = [0.0] * 3 + [1.0] * 27  # 1.8 standard errors
        fewer = answers(a={"R@20": less, "nll": [1.0] * 30}, b={"R@20": [1.0] * 30, "nll": [2.0] * 30})
        assert fewer.verdict("a", "b") == "equal"

    def test_what_is_worse_for_one_kind_of_list_is_worse(self) -> None:
        some = answers(
            a={"R@20": [1.0] * 30, "explore R@20": [0.0] * 30},
            b={"R@20": [0.0] * 30, "explore R@20": [1.0] * 30},
        )
        assert some.verdict("a", "b") == "worse"

    def test_no_difference_is_equal(self) -> None:
        some = answers(a={"R@20": [1.0, 0.0] * 15}, b={"R@20": [0.0, 1.0] * 15})
        assert some.verdict("a", "b") == "equal"


def test_explore_leaves_out_what_the_user_had() -> None:
    collected = Collected("next", 1)
    scores = {"a": np.asarray([3.0, 2.0, 1.0], np.float32)}
    had = np.asarray([True, False, False])
    collected.add(0, scores, np.asarray([1]), had, ["a"])
    collected.add(1, scores, np.asarray([0]), had)
    found = collected.answers()
    assert found.measures["a"]["R@1"].tolist() == [0.0, 1.0]
    assert found.measures["a"]["explore R@1"][0] == 1.0 and np.isnan(found.measures["a"]["explore R@1"][1])
    assert np.isfinite(found.measures["a"]["nll"][0]) and np.isnan(found.measures["a"]["nll"][1])
    assert found.count("a", "explore R@1") == 1
