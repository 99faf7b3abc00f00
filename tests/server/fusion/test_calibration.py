"""Probabilities of single choices become those of baskets."""

from __future__ import annotations

import numpy as np
import pytest

from itemlens_server.fusion.calibration import calibrate
from itemlens_server.fusion.choice import ChoiceSets
from itemlens_server.fusion.weights import Calibration, QuestionWeights

SETS, ITEMS = 4000, 40
ALPHA = np.linspace(3, -3, ITEMS).astype(np.float32)
P = np.exp(ALPHA) / np.exp(ALPHA).sum()


def sets(chosen: np.ndarray) -> ChoiceSets:
    """`SETS` choices among the same items. chosen: bool [sets, items]."""
    x = np.tile(ALPHA[:, None], (SETS, 1))
    return ChoiceSets(x, np.arange(SETS + 1) * ITEMS, chosen.astype(np.float32).ravel())


def test_where_one_item_is_chosen_they_stay() -> None:
    rng = np.random.default_rng(0)
    chosen = np.zeros((SETS, ITEMS), bool)
    chosen[np.arange(SETS), rng.choice(ITEMS, SETS, p=P)] = True
    calibrated = calibrate(sets(chosen), np.ones(1))(P.astype(np.float64))
    np.testing.assert_allclose(calibrated[:10], P[:10], rtol=0.15)


def test_where_baskets_are_chosen_they_are_the_shares_of_baskets_with_the_item() -> None:
    rng = np.random.default_rng(0)
    baskets = rng.multinomial(6, P.astype(np.float64) / P.sum(dtype=np.float64), SETS) > 0
    calibrated = calibrate(sets(baskets), np.ones(1))(P.astype(np.float64))
    np.testing.assert_allclose(calibrated[:15], baskets.mean(0)[:15], rtol=0.15)


@pytest.mark.parametrize("chosen", [False, True])
def test_where_nothing_or_everything_is_chosen_they_are_finite(chosen: bool) -> None:
    calibrated = calibrate(sets(np.full((SETS, ITEMS), chosen)), np.ones(1))(np.asarray([0.0, 0.1, 1.0]))
    assert np.isfinite(calibrated).all() and (np.diff(calibrated) >= 0).all()


def test_they_are_kept_with_the_weights() -> None:
    weights = QuestionWeights(choices=3, calibration=Calibration(0.5, 0.9))
    assert QuestionWeights.from_json(weights.to_json()) == weights
