"""Weights without events: nats by the spread of cosines, and a balance of items with and without a channel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from itemlens_server.fusion.default_weights import (
    DISLIKE_DEVIATIONS,
    DISLIKE_NATS,
    PAST_NATS,
    balanced,
    default_questions,
    restated,
    search_priors,
    spreads,
)
from itemlens_server.fusion.head import Array, HeadChannel, unit
from itemlens_server.fusion.imputation import predictor
from itemlens_server.fusion.weights import DISLIKE, NEXT, SIMILAR, ColumnWeights, QuestionWeights

ITEMS, TYPES, WIDTH = 1200, 40, 24
Blocks = dict[str, tuple[Array, np.ndarray]]


def blocks(lack: float = 0.0) -> Blocks:
    """Texts and pictures of items of 40 types, partly the same for both; a share lacks the picture."""
    rng = np.random.default_rng(0)
    kinds = rng.integers(TYPES, size=ITEMS)
    centres, own = rng.normal(size=(2, TYPES, WIDTH)), rng.normal(size=(ITEMS, WIDTH))
    has = rng.random(ITEMS) >= lack
    made = {}
    for n, name in enumerate(("text", "image")):
        e = unit((centres[n][kinds] + 0.7 * own + 0.7 * rng.normal(size=own.shape)).astype(np.float32))
        there = has if name == "image" else np.ones(ITEMS, bool)
        made[name] = (e * there[:, None], there)
    return made


def channels(of: Blocks, predict: bool) -> dict[str, HeadChannel]:
    made = {name: HeadChannel(name, np.zeros(WIDTH, np.float32)) for name in of}
    if predict:
        both = of["text"][1] & of["image"][1]
        w = predictor(of["text"][0][both], of["image"][0][both])
        made["image"] = replace(made["image"], predictors={"text": w}, imputed_scale=0.7)
    return made


def test_evidence_is_0_on_average_and_so_many_nats_a_deviation() -> None:
    found = blocks()
    spread = spreads(channels(found, False), found)
    weights = spread["text"].weights(PAST_NATS)
    e = found["text"][0]
    evidence = (weights.weight * (e @ e.T - weights.threshold))[~np.eye(ITEMS, dtype=bool)]
    assert evidence.mean() == pytest.approx(0.0, abs=0.02)
    assert evidence.std() == pytest.approx(PAST_NATS, rel=0.02)


def test_a_dislike_takes_nothing_from_ordinary_items() -> None:
    found = blocks()
    made = channels(found, False)
    dislike = default_questions(made, found, spreads(made, found))[DISLIKE].of("text")
    e = found["text"][0]
    evidence = dislike.weight * (e @ e.T - dislike.threshold)
    assert (evidence > 0).mean() < 0.1
    assert dislike.weight * spreads(made, found)["text"].sd == pytest.approx(DISLIKE_NATS)
    assert DISLIKE_DEVIATIONS > 1


def test_a_picture_says_more_than_words() -> None:
    found = blocks()
    priors = search_priors({"text": "text", "image": "image"}, spreads(channels(found, False), found))
    assert priors["image"].weight > priors["text"].weight > 0


@pytest.mark.parametrize("predict", [True, False])
def test_items_without_a_picture_get_their_share_of_the_places(predict: bool) -> None:
    found = blocks(lack=0.5)
    made = channels(found, predict)
    weights = default_questions(made, found, spreads(made, found))[NEXT].channels
    (text, _), (image, has) = found["text"], found["image"]
    guess = unit(text @ made["image"].predictors["text"]) if predict else np.zeros_like(text)
    rng, shares = np.random.default_rng(1), []
    for _ in range(300):
        near = np.argsort(-(text @ text[rng.integers(ITEMS)]))[:25]
        past = rng.permutation(near)[:6]
        words, shown = unit(text[past].sum(0)), unit(image[past].sum(0))
        w, v = weights["text"], weights["image"]
        own = v.weight * (image @ shown - v.threshold)
        imputed = v.weight * (0.7 * guess @ shown - v.imputed_threshold) if predict else 0.0
        scores = w.weight * (text @ words) + np.where(has, own, imputed)
        scores[past] = -np.inf
        shares.append((~has[np.argsort(-scores)[:2]]).mean())
    assert 0.38 < np.mean(shares) < 0.62


@pytest.mark.parametrize("kind", ["one item", "equal items", "few items", "one channel"])
def test_degenerate_catalogues_have_finite_weights(kind: str) -> None:
    full = blocks()
    count = {"one item": 1, "few items": 7}.get(kind, ITEMS)
    found = {name: (e[:count], has[:count]) for name, (e, has) in full.items()}
    if kind == "equal items":
        found = {name: (np.repeat(e[:1], ITEMS, axis=0), has) for name, (e, has) in full.items()}
    if kind == "one channel":
        del found["image"]
    made = channels(found, False)
    for weights in default_questions(made, found, spreads(made, found)).values():
        for channel in weights.channels.values():
            assert np.isfinite([channel.weight, channel.threshold, channel.imputed_threshold]).all()
    if kind in ("one item", "equal items"):  # nothing tells the items apart
        assert default_questions(made, found, spreads(made, found))[NEXT].of("text").weight == 0.0


def test_similar_is_next_without_repeats_and_the_prior() -> None:
    columns = {
        "BEHAVIOUR": ColumnWeights(new=2.0, had=-1.0),
        "REPEAT.had": ColumnWeights(had=3.0),
        "POPULARITY.all": ColumnWeights(new=1.0),
    }
    similar = restated(QuestionWeights({}, columns, {"BEHAVIOUR": 0.9}))
    assert similar.columns == {"BEHAVIOUR": ColumnWeights(new=2.0, had=2.0)}
    assert similar.decay("BEHAVIOUR") == 1.0
    assert SIMILAR in default_questions({}, {}, {})


def test_the_balance_is_the_same_each_time() -> None:
    found = blocks(lack=0.5)
    made = channels(found, True)
    weights = {name: s.weights(PAST_NATS) for name, s in spreads(made, found).items()}
    assert balanced("image", made, found, weights) == balanced("image", made, found, weights)
