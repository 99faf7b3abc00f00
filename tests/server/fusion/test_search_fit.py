"""Weights of searches: what tells more weighs more, and items without a channel are neither favoured nor lost."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from itemlens_server.fusion.channel_data import ChannelData, item_units
from itemlens_server.fusion.head import Array, HeadChannel, unit
from itemlens_server.fusion.held_out import Trial, trials
from itemlens_server.fusion.imputation import with_predictors
from itemlens_server.fusion.measures import recall
from itemlens_server.fusion.search_fit import SearchFit, fit_search, mixes
from itemlens_server.fusion.weights import ChannelWeights

ITEMS, ASKED, WIDTH, SHARED = 1500, 300, 32, 12
PRIORS = {"text": ChannelWeights(10.0, 0.3, 0.2), "image": ChannelWeights(10.0, 0.3, 0.2)}
RAW = {name: HeadChannel(name, np.zeros(WIDTH, np.float32)) for name in PRIORS}
NOISE = {"text": 3.0, "image": 1.8}
"""How far a question is from its item's block: pictures tell more than words."""


def _noise(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    return np.asarray(rng.standard_normal(shape) / np.sqrt(WIDTH), np.float32)


@cache
def catalogue() -> tuple[dict[str, ChannelData], dict[str, Array]]:
    """Items whose channels have some directions in common, and questions about the first ASKED of them."""
    rng = np.random.default_rng(0)
    common = _noise((ITEMS, WIDTH), rng)
    data, queries = {}, {}
    for name in PRIORS:
        own = _noise((ITEMS, WIDTH), rng)
        own[:, :SHARED] = common[:, :SHARED]
        own = unit(own)
        data[name] = ChannelData(own, np.arange(ITEMS))
        queries[name] = own[:ASKED] + np.float32(NOISE[name]) * _noise((ASKED, WIDTH), rng)
    return data, queries


def made() -> tuple[dict[str, HeadChannel], list[Trial]]:
    data, queries = catalogue()
    targets = np.arange(ASKED)
    blocks = {name: item_units(RAW[name], data[name], ITEMS) for name in RAW}
    channels, _ = with_predictors(RAW, blocks, targets)
    return channels, trials(data, ITEMS, targets, queries, seed=0)


@cache
def fitted() -> tuple[dict[str, float], dict[str, SearchFit]]:
    scales, fits = fit_search(*made(), PRIORS)
    return scales, {fit.question: fit for fit in fits}


def test_every_mix_of_channels_has_weights() -> None:
    assert mixes(["text", "image"]) == [("image",), ("text",), ("image", "text")]
    assert mixes(["a"]) == [("a",)]
    assert len(mixes(["a", "b", "c", "d"])) == 4 + 6 + 1
    assert list(fitted()[1]) == ["search:image", "search:text", "search:image+text"]


def test_what_tells_more_weighs_more() -> None:
    both = fitted()[1]["search:image+text"]
    assert both.channels["image"].weight > 1.5 * both.channels["text"].weight
    assert 0 < both.errors["image"].weight < 0.2 * both.channels["image"].weight


def test_an_imputed_block_counts_less_than_the_own_one() -> None:
    for scale in fitted()[0].values():
        assert 0.1 < scale < 0.9


def test_items_without_a_picture_are_found_as_often_as_their_words_allow() -> None:
    # Arrange: half of the items lose their picture.
    scales, fits = fitted()
    channels, (trial,) = made()
    hidden = np.random.default_rng(5).random(ITEMS) < 0.5
    weights = fits["search:image+text"].channels
    w, words, picture = weights["image"], trial.cosines(RAW["text"]), trial.cosines(RAW["image"])
    guess = unit(trial.data["text"].vectors @ channels["image"].predictors["text"])
    imputed = scales["image"] * (unit(trial.queries["image"]) @ guess.T) - w.imputed_threshold
    scores = weights["text"].weight * words
    scores += w.weight * np.where(hidden, imputed, picture - w.threshold).astype(np.float32)
    # Act
    hits = recall(np.asarray(scores, np.float32), trial.targets, 10)
    alone = recall(words, trial.targets, 10)
    # Assert
    lacks = hidden[trial.targets]
    assert hits[lacks].mean() > alone[lacks].mean() - 0.02
    assert hits[~lacks].mean() > alone[~lacks].mean() + 0.2


def test_a_channel_whose_questions_tell_nothing_gets_next_to_no_weight() -> None:
    channels, (trial,) = made()
    lost = {**trial.queries, "image": _noise((ASKED, WIDTH), np.random.default_rng(9))}
    _, fits = fit_search(channels, [replace(trial, queries=lost)], PRIORS)
    both = fits[-1].channels
    assert both["image"].weight < 0.15 * both["text"].weight


def test_where_every_item_is_known_or_predicted_a_channel_adds_nothing_on_average() -> None:
    _, (trial,) = made()
    for fit in fitted()[1].values():
        for name, weights in fit.channels.items():
            assert fit.errors[name].threshold == 0.0  # no item shows what a block is worth
            assert fit.errors[name].imputed_threshold > 0.0
            assert weights.threshold == pytest.approx(float(trial.cosines(RAW[name]).mean()), abs=0.01)


def test_where_nothing_is_predicted_the_threshold_is_what_a_block_is_worth() -> None:
    # An item without the block adds 0, and half of the right answers are such items.
    _, some = made()
    _, fits = fit_search(RAW, some, PRIORS)
    for fit in fits:
        for name, weights in fit.channels.items():
            assert fit.errors[name].threshold > 0.0
            assert weights.threshold > 0.1 + float(some[0].cosines(RAW[name]).mean())


def test_items_that_lack_a_channel_by_nature_do_not_count_against_it() -> None:
    # Most items have no picture. Those are never asked for, so that they must not pass for wrong answers.
    channels, (trial,) = made()
    pictures = trial.data["image"]
    few = {**trial.data, "image": pictures.only(pictures.owners < 600)}
    _, fits = fit_search(channels, [replace(trial, data=few)], PRIORS)
    for fit in fits:
        if "image" in fit.channels:
            few_have, all_have = fit.channels["image"], fitted()[1][fit.question].channels["image"]
            gap = all_have.threshold - all_have.imputed_threshold
            assert few_have.threshold - few_have.imputed_threshold == pytest.approx(gap, abs=0.06)


def test_one_channel_alone_is_fitted_too() -> None:
    data, queries = catalogue()
    some = trials({"text": data["text"]}, ITEMS, np.arange(ASKED), {"text": queries["text"]}, seed=0)
    scales, (fit,) = fit_search({"text": RAW["text"]}, some, {"text": PRIORS["text"]})
    assert scales == {}
    assert fit.channels["text"].weight == pytest.approx(
        fitted()[1]["search:text"].channels["text"].weight, rel=0.3
    )


def test_few_questions_leave_the_weights_near_those_without_data() -> None:
    channels, (trial,) = made()
    queries = {name: q[:2] for name, q in trial.queries.items()}
    _, fits = fit_search(channels, [replace(trial, queries=queries, targets=trial.targets[:2])], PRIORS)
    for fit in fits:
        for name, weights in fit.channels.items():
            assert weights.weight == pytest.approx(PRIORS[name].weight, rel=0.5)


def test_the_same_questions_give_the_same_weights() -> None:
    assert fit_search(*made(), PRIORS)[1] == list(fitted()[1].values())


@pytest.mark.parametrize("count", [1, 2, 100])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_items_that_are_all_equal_give_finite_weights(count: int, value: float) -> None:
    data = {name: ChannelData(np.full((count, WIDTH), value, np.float32), np.arange(count)) for name in RAW}
    targets = np.repeat(np.arange(count), 8)
    queries = {name: np.ones((len(targets), WIDTH), np.float32) for name in RAW}
    some = trials(data, count, targets, queries, seed=0)
    # Sure that an item without the channel is meant: the likelihood is flat there.
    sure = {name: ChannelWeights(36.0, 0.5, 0.4) for name in RAW}
    _, fits = fit_search(RAW, some, sure)
    assert len(fits) == 3
    for fit in fits:
        for weights in (*fit.channels.values(), *fit.errors.values()):
            assert np.isfinite([weights.weight, weights.threshold, weights.imputed_threshold]).all()


def test_without_questions_there_are_no_weights() -> None:
    assert fit_search(RAW, [], PRIORS) == ({}, [])
