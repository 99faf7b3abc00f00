"""Each yardstick against a case computed by hand, and its choice of parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from itemlens_bench.quality.behaviour import ease_lists, own_frequency, popularity, tifu_knn
from itemlens_bench.quality.behaviour.compare import measure
from itemlens_bench.quality.behaviour.ease_lists import Ease, OwnAndEase
from itemlens_bench.quality.behaviour.histories import basket_ages
from itemlens_bench.quality.behaviour.metrics import Scores, places
from itemlens_bench.quality.behaviour.own_frequency import OwnFrequency
from itemlens_bench.quality.behaviour.popularity import Popularity
from itemlens_bench.quality.behaviour.split import events
from itemlens_bench.quality.behaviour.tifu_knn import TifuKnn
from itemlens_bench.quality.behaviour.tuning import Yardstick, best
from support.made_up_baskets import ask, split

BASKETS = [[[0, 1], [1], [1, 2]], [[0], [2]], [[3]]]
"""User 0 has three baskets, user 1 two, user 2 one; basket n is of week n."""


def test_popularity_counts_users_once() -> None:
    scores = Popularity().fit(split(BASKETS, 5))([ask(0), ask(2)])
    assert scores.tolist() == [[2, 1, 2, 1, 0]] * 2


def test_lately_popular_is_of_the_newest_part_of_the_time() -> None:
    # Weeks 0 to 2; the last half is what came after the end of week 1.
    assert Popularity(0.5).fit(split(BASKETS, 5))([ask(0)]).tolist() == [[0, 1, 1, 0, 0]]


def test_ages_count_baskets_from_the_users_newest() -> None:
    assert basket_ages(split(BASKETS, 4).events).tolist() == [2, 2, 1, 0, 0, 1, 0, 0]


def test_own_frequency_decays_by_basket_or_by_week() -> None:
    known, asked = split(BASKETS, 5), [ask(0), ask(1), ask(2)]
    by_basket = OwnFrequency(0.5, fill=False).fit(known)(asked)
    assert by_basket.tolist() == [[0.25, 1.75, 1, 0, 0], [0.5, 0, 1, 0, 0], [0, 0, 0, 1, 0]]
    by_week = OwnFrequency(0.5, by_week=True, fill=False).fit(known)(asked)
    assert by_week.tolist() == [[0.25, 1.75, 1, 0, 0], [0.25, 0, 0.5, 0, 0], [0, 0, 0, 0.25, 0]]


def test_popularity_comes_behind_what_the_user_had_and_breaks_ties() -> None:
    [scores] = OwnFrequency().fit(split(BASKETS, 5))([ask(1)])
    assert np.argsort(-scores, kind="stable").tolist() == [0, 2, 1, 3, 4]
    assert (
        scores == pytest.approx([1, 0, 1, 0, 0], abs=2e-6) and scores[0] == scores[2] > scores[1] > scores[4]
    )


def test_ease_by_hand() -> None:
    # Two users: {0, 1}, {0}. G + I = [[3, 1], [1, 2]], so B = [[0, 1/3], [1/2, 0]]; see test_ease.
    known = split([[[0], [1]], [[0]]], 2)
    scores = Ease(1.0).fit(known)([ask(0), ask(1)])
    assert scores == pytest.approx(np.asarray([[1 / 2, 1 / 3], [0, 1 / 3]]))
    newest = Ease(1.0, window=1).fit(known)([ask(0)])
    assert newest == pytest.approx(np.asarray([[1 / 2, 0]]))
    decayed = Ease(1.0, decay=0.5).fit(known)([ask(0)])
    assert decayed == pytest.approx(np.asarray([[1 / 2, 1 / 6]]))


def test_a_history_goes_up_to_the_question() -> None:
    known = split([[[0], [1]], [[0]]], 2)
    question = replace(ask(1), since=events([1], [1], [9.0]))
    assert Ease(1.0, window=1).fit(known)([question]) == pytest.approx(np.asarray([[1 / 2, 0]]))


def test_a_history_can_count_by_kind_of_event() -> None:
    # EASE of {0, 1}, {0} as above; user 0 bought 0 after viewing it and viewed 1 only: 1 and .2.
    known = split([[[0], [1]], [[0]]], 2)
    seen = events([0, 0, 0, 1], [0, 0, 1, 0], [0, 1, 2, 0], kind=["view", "purchase", "view", "purchase"])
    scores = Ease(1.0, by_kind=True).fit(replace(known, events=seen))([ask(0)])
    assert scores == pytest.approx(np.asarray([[0.2 / 2, 1 / 3]]))


def test_own_frequency_and_ease_are_added() -> None:
    known = split([[[0], [1]], [[0]]], 2)
    own, ease = OwnFrequency(0.5, fill=False), Ease(1.0)
    scores = OwnAndEase(own, ease, 3.0).fit(known)([ask(0)])
    assert scores == pytest.approx(np.asarray([[0.5 + 3 / 2, 1 + 3 / 3]]))


def test_tifu_vectors_decay_within_groups_and_between_them() -> None:
    # Three baskets in groups of two: [first], [second, third]. Of two groups, the older counts .1 / 2, the newer 1 / 2.
    vectors = (
        TifuKnn(group=2, within=0.5, between=0.1).vectors(split([[[0], [1], [2]], [[0, 3]]], 4)).toarray()
    )
    assert vectors == pytest.approx(np.asarray([[0.05, 0.5 / 4, 1 / 4, 0], [1, 0, 0, 1]]))


def test_tifu_mixes_in_the_nearest_users() -> None:
    known = split([[[0]], [[0, 1]], [[2]], [[2, 3]]], 4)
    option = TifuKnn(group=1, within=1, between=1, neighbours=1, own=0.7)
    assert option.fit(known)([ask(0), ask(3)]) == pytest.approx(np.asarray([[1, 0.3, 0, 0], [0, 0, 1, 0.7]]))
    # Two neighbours of user 0: user 1 at distance 1 and user 2 at distance 2 of users 2 and 3 (2 and 3).
    two = replace(option, neighbours=2).fit(known)([ask(0)])
    assert two == pytest.approx(np.asarray([[0.7 + 0.15, 0.15, 0.15, 0]]))


def test_options_say_the_same_as_their_fit() -> None:
    rng = np.random.default_rng(0)
    baskets = [[rng.permutation(9)[:3].tolist() for _ in range(rng.integers(1, 6))] for _ in range(30)]
    known = split(baskets, 9, [ask(n, int(rng.integers(9))) for n in range(0, 30, 3)], timed=True)
    grids: list[Sequence[tuple[Yardstick, Scores]]] = [
        list(popularity.options(known)),
        list(own_frequency.options(known)),
        list(ease_lists.sums(known, OwnFrequency(), Ease(1.0))),
    ]
    for options in grids:
        assert len({option for option, _ in options}) == len(options) > 1
        for option, scores in options:
            assert scores(known.questions) == pytest.approx(option.fit(known)(known.questions), abs=1e-5)


def test_tuned_ease_is_not_worse_than_its_defaults() -> None:
    rng = np.random.default_rng(0)
    baskets = [[[int(i)] for i in rng.permutation(12)[:6] // (1 + n % 2)] for n in range(40)]
    known = split(baskets, 12, [ask(n, int(rng.integers(12))) for n in range(40)])

    def recall(option: Ease) -> float:
        return float(places(option.fit(known), known).recall(3).mean())

    tuned = ease_lists.tuned(known, lambda p: p.recall(3), lambdas=(1.0, 30.0))
    for regularisation in (1.0, 30.0):
        for window, decay in ((None, 1.0), (50, 0.9)):
            assert recall(tuned) >= recall(Ease(regularisation, window, decay))


def test_tuned_tifu_is_not_worse_than_a_step_away() -> None:
    rng = np.random.default_rng(0)
    baskets = [[rng.permutation(9)[:3].tolist() for _ in range(1 + n % 5)] for n in range(30)]
    known = split(baskets, 9, [ask(n, int(rng.integers(9))) for n in range(30)])

    def recall(option: TifuKnn) -> float:
        return float(places(option.fit(known), known).recall(2).mean())

    tuned = tifu_knn.tuned(known, lambda p: p.recall(2))
    assert recall(tuned) >= recall(TifuKnn(neighbours=100))
    for name, choices in tifu_knn.STEPS.items():
        assert all(recall(tuned) >= recall(replace(tuned, **{name: choice})) for choice in choices)
    assert all(recall(tuned) >= recall(replace(tuned, own=own)) for own in tifu_knn.OWN)


def test_the_best_option_is_chosen_and_the_first_of_equal_ones() -> None:
    known = split(BASKETS, 4, [ask(0, 1), ask(2, 3)])
    options = [OwnFrequency(decay, fill=False) for decay in (0.0, 1.0, 0.9)]  # 0: the newest basket only
    found = best(((o, o.fit(known)) for o in options), known, lambda p: p.recall(1))
    assert found == options[1]
    with pytest.raises(ValueError, match="no options"):
        best([], known, lambda p: p.recall(1))


def test_tuning_never_sees_the_answers() -> None:
    """With other answers the same parameters are chosen."""
    rng = np.random.default_rng(1)
    baskets = [[rng.permutation(6)[:2].tolist() for _ in range(4)] for _ in range(20)]
    chosen = []
    for answer in (0, 5):
        known = split(baskets, 6, [ask(n, answer) for n in range(20)])
        chosen.append([m.yardstick for m in measure(known, lambda p: p.recall(2))])
    assert chosen[0] == chosen[1] and len(chosen[0]) == 6


def test_baskets_have_all_yardsticks_and_lists_of_what_is_new_fewer() -> None:
    baskets = [[[n % 4, 4], [n % 3], [n % 4, 5]] for n in range(12)]
    known = split(baskets, 7, [ask(n, n % 4) for n in range(12)])
    names = [m.name for m in measure(known, lambda p: p.recall(1))]
    assert names == [
        "popularity",
        "EASE",
        "own frequency",
        "personal top frequency",
        "own frequency + EASE",
        "TIFU-KNN",
    ]
    new = split(baskets, 7, [ask(n, 6) for n in range(12)]).new_only()
    assert [m.name for m in measure(new, lambda p: p.recall(1))] == ["popularity", "EASE", "TIFU-KNN"]


def test_repeats_are_what_own_frequency_finds() -> None:
    baskets = [[[n % 7, 7], [n % 7], [n % 7]] for n in range(20)]
    known = split(baskets, 8, [ask(n, n % 7) for n in range(20)])
    found = {m.name: m.places.recall(1).mean() for m in measure(known, lambda p: p.recall(1))}
    assert found["own frequency"] == found["TIFU-KNN"] == 1.0 > found["popularity"]
