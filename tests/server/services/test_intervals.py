"""Intervals of rates over users: they cover the truth as often as they say."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from itemlens_server.services.intervals import Rate, ratio, share

WORLDS = 600


def users(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Answers, clicked answers and revenue of users, who differ much in how often they come and click. A share of .2
    of all answers is clicked, and an answer brings 1.5, on average."""
    answers = 1.0 + rng.poisson(6, count)
    likes = rng.beta(0.5, 2, count)
    clicked = rng.binomial(answers.astype(int), likes).astype(float)
    revenue = clicked * rng.gamma(2.0, 3.75, count)
    return answers, clicked, revenue


def test_they_cover_the_truth_nineteen_times_in_twenty() -> None:
    rng = np.random.default_rng(0)
    hits, naive_hits, covered = 0, 0, 0
    for _ in range(WORLDS):
        answers, clicked, revenue = users(rng, 150)
        of_clicks, of_revenue = share(clicked, answers), ratio(revenue, answers)
        assert of_clicks.low is not None and of_clicks.high is not None
        assert of_revenue.low is not None and of_revenue.high is not None
        hits += of_clicks.low <= 0.2 <= of_clicks.high
        covered += of_revenue.low <= 1.5 <= of_revenue.high
        naive = binomtest(int(clicked.sum()), int(answers.sum())).proportion_ci(method="wilson")
        naive_hits += naive.low <= 0.2 <= naive.high
    assert 0.92 < hits / WORLDS < 0.98 and 0.91 < covered / WORLDS < 0.98
    assert naive_hits / WORLDS < 0.8  # what an interval over answers would say


def test_of_independent_answers_it_is_wilsons() -> None:
    rng = np.random.default_rng(1)
    clicked = (rng.random(4000) < 0.03).astype(float)
    rate = share(clicked, np.ones(4000))
    wilson = binomtest(int(clicked.sum()), 4000).proportion_ci(method="wilson")
    assert (rate.low, rate.high) == pytest.approx((wilson.low, wilson.high), rel=0.02)


@pytest.mark.parametrize("hit", [0.0, 1.0])
def test_of_none_or_all_each_user_counts_once(hit: float) -> None:
    rate = share(hit * np.full(30, 50.0), np.full(30, 50.0))
    wilson = binomtest(int(30 * hit), 30).proportion_ci(method="wilson")
    assert rate.value == hit
    assert (rate.low, rate.high) == pytest.approx((wilson.low, wilson.high), abs=0.02)


def test_of_sums_that_are_the_same_for_all_users_there_is_none() -> None:
    counts = np.asarray([5.0, 2.0, 1.0])
    assert ratio(np.zeros(3), counts) == Rate(0.0)
    same = ratio(3.1 * counts, counts)
    assert same.value == pytest.approx(3.1) and same.low is same.high is None


def test_no_end_is_below_the_least_that_can_be() -> None:
    rate = ratio(np.asarray([1.0, *[0.0] * 9]), np.ones(10), least=0.0)
    assert rate.value == 0.1 and rate.low == 0.0
    assert rate.high is not None and rate.high > 0.3
    below = ratio(np.asarray([1.0, *[0.0] * 9]), np.ones(10)).low
    assert below is not None and below < 0


def test_of_nothing_there_is_none_and_of_one_user_no_interval() -> None:
    empty = np.zeros(0)
    assert share(empty, empty) == ratio(empty, empty) == Rate()
    assert share(np.ones(1), np.full(1, 4.0)) == ratio(np.ones(1), np.full(1, 4.0)) == Rate(0.25)
