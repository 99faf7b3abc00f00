"""Predictors between channels: kept where they find items that they do not know."""

from __future__ import annotations

import numpy as np

from itemlens_server.fusion.channel_data import Bools
from itemlens_server.fusion.head import Array, HeadChannel, unit
from itemlens_server.fusion.imputation import predictor, refitted, with_predictors

CHANNELS = {name: HeadChannel(name, np.zeros(8, np.float32)) for name in ("text", "image")}


def blocks(items: int, related: bool = True) -> dict[str, tuple[Array, Bools]]:
    rng = np.random.default_rng(0)
    text = unit(rng.standard_normal((items, 8)).astype(np.float32))
    turn = np.linalg.qr(rng.standard_normal((8, 8)))[0].astype(np.float32)
    image = text @ turn if related else unit(rng.standard_normal((items, 8)).astype(np.float32))
    return {"text": (text, np.ones(items, bool)), "image": (image, np.ones(items, bool))}


def test_what_depends_linearly_is_predicted() -> None:
    some = blocks(400)
    text, image = some["text"][0], some["image"][0]
    guess = unit(text[300:] @ predictor(text[:300], image[:300]))
    assert (guess * image[300:]).sum(1).min() > 0.97


def test_predictors_that_find_held_out_items_are_kept() -> None:
    channels, tried = with_predictors(CHANNELS, blocks(400), np.arange(100))
    assert set(channels["image"].predictors) == {"text"} and set(channels["text"].predictors) == {"image"}
    assert all(t.kept and t.hits > 0.9 and t.tested == 100 and t.chance == 0.1 for t in tried)


def test_unrelated_channels_predict_nothing() -> None:
    channels, tried = with_predictors(CHANNELS, blocks(400, related=False), np.arange(100))
    assert channels == CHANNELS
    assert not any(t.kept for t in tried)


def test_too_few_items_with_both_channels_predict_nothing() -> None:
    some = blocks(400)
    some["image"][1][150:] = False
    channels, tried = with_predictors(CHANNELS, some, np.arange(50))
    assert channels == CHANNELS
    assert [t.tested for t in tried] == [0, 0]


def test_in_the_end_all_items_teach() -> None:
    some = blocks(400)
    tried, _ = with_predictors(CHANNELS, some, np.arange(150))
    final = refitted(tried, some)
    expected = predictor(some["text"][0], some["image"][0])
    np.testing.assert_array_equal(final["image"].predictors["text"], expected)
    assert not np.array_equal(tried["image"].predictors["text"], expected)
