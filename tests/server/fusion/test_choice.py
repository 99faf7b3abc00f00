"""The conditional logit: known weights come back from simulated choices."""

from __future__ import annotations

import numpy as np
import pytest

from itemlens_server.fusion.choice import ChoiceSets, Floats, fit_choices, set_nll
from support.simulated_choices import WEIGHTS, simulated


def sampled(whole: ChoiceSets, probabilities: np.ndarray, seed: int = 1) -> ChoiceSets:
    """The chosen ones of each set, and others with their probability."""
    kept = np.flatnonzero(
        (np.random.default_rng(seed).random(len(probabilities)) < probabilities) | (whole.chosen > 0)
    )
    offsets = np.searchsorted(kept, whole.offsets).astype(np.int64)
    return ChoiceSets(
        whole.x[kept], offsets, whole.chosen[kept], np.log(probabilities[kept]).astype(np.float32)
    )


def test_known_weights_come_back_with_honest_errors() -> None:
    errors = np.stack(
        [
            (fitted.weights - WEIGHTS) / fitted.standard_errors
            for seed in range(40)
            for fitted in [fit_choices(simulated(500, 20, seed), l2=0.01)]
        ]
    )
    assert np.abs(errors.mean(0)).max() < 0.5  # the mean of 40 deviates by 0.16
    assert 0.85 < errors.std() < 1.15


def test_a_sample_of_the_candidates_gives_the_same_weights_only_with_log_q() -> None:
    whole = simulated(3000, 200)
    # What is liked is sampled more often, as candidates from an index are.
    probabilities = 1 / (1 + np.exp(2.0 - 2.0 * whole.x[:, 0]))
    some = sampled(whole, probabilities)
    assert len(some.x) < 0.3 * len(whole.x)
    fitted = fit_choices(some)
    np.testing.assert_allclose(fitted.weights, WEIGHTS, atol=4 * fitted.standard_errors.max())
    naive = fit_choices(ChoiceSets(some.x, some.offsets, some.chosen))
    assert naive.weights[0] < WEIGHTS[0] - 0.3


def test_sets_may_differ_in_length_and_have_several_chosen_ones() -> None:
    a, b = simulated(400, 30, 1), simulated(600, 10, 2)
    both = ChoiceSets(
        np.concatenate([a.x, b.x]),
        np.concatenate([a.offsets, b.offsets[1:] + len(a.x)]),
        np.concatenate([2 * a.chosen, b.chosen]),
    )
    fitted = fit_choices(both)
    assert fitted.nll == pytest.approx(
        (2 * set_nll(a, fitted.weights).sum() + set_nll(b, fitted.weights).sum()) / (2 * 400 + 600)
    )
    np.testing.assert_allclose(fitted.weights, WEIGHTS, atol=0.2)


def test_the_fit_is_a_minimum_of_the_penalised_likelihood() -> None:
    sets, l2 = simulated(200, 10), 20.0
    x = sets.x.astype(np.float64).reshape(200, 10, -1)
    sd = np.sqrt(((x - x.mean(1, keepdims=True)) ** 2).mean((0, 1)))

    def loss(w: Floats) -> float:
        return float(set_nll(sets, w).sum() + l2 / 2 * ((w * sd) ** 2).sum())

    fitted = fit_choices(sets, l2)
    least = loss(fitted.weights)
    for column in range(sets.columns):
        for step in (-0.05, 0.05):
            other = fitted.weights.copy()
            other[column] += step / sd[column]
            assert loss(other) > least


def test_separable_data_give_bounded_weights() -> None:
    sets = simulated(500, 20)
    x = sets.x.copy()
    x[:, 0] = sets.chosen  # the column names the chosen one
    fitted = fit_choices(ChoiceSets(x, sets.offsets, sets.chosen), l2=0.1)
    assert fitted.converged
    assert 5 < fitted.weights[0] < 30
    assert np.isfinite(fitted.standard_errors).all()


def test_a_column_that_is_constant_within_sets_gets_no_weight() -> None:
    sets = simulated(300, 20)
    x = sets.x.copy()
    x[:, 1] = 7.3
    x[:, 2] = np.repeat(np.random.default_rng(0).standard_normal(300), 20)  # differs between sets only
    fitted = fit_choices(ChoiceSets(x, sets.offsets, sets.chosen))
    assert fitted.weights[1] == fitted.weights[2] == 0.0
    assert fitted.standard_errors[1] == fitted.standard_errors[2] == 0.0
    prior = np.array([0.0, 0.4, 0.0, 0.0])
    assert fit_choices(ChoiceSets(x, sets.offsets, sets.chosen), prior=prior).weights[1] == 0.4


def test_equal_columns_share_the_weight() -> None:
    sets = simulated(2000, 20, weights=WEIGHTS[:2])
    doubled = ChoiceSets(np.hstack([sets.x, sets.x[:, :1]]), sets.offsets, sets.chosen)
    once, twice = fit_choices(sets, l2=0.01), fit_choices(doubled, l2=0.01)
    assert twice.weights[0] == pytest.approx(twice.weights[2], abs=1e-3)
    assert twice.weights[0] + twice.weights[2] == pytest.approx(once.weights[0], abs=1e-3)


def test_a_large_mean_of_a_column_does_not_matter() -> None:
    sets = simulated(500, 20)
    shifted = ChoiceSets(sets.x + np.float32(1000.0), sets.offsets, sets.chosen)
    np.testing.assert_allclose(fit_choices(shifted).weights, fit_choices(sets).weights, atol=2e-3)


def test_a_strong_l2_pulls_to_the_prior() -> None:
    prior = np.array([0.5, 0.5, 0.01, 0.5])
    np.testing.assert_allclose(fit_choices(simulated(100, 10), 1e7, prior=prior).weights, prior, rtol=1e-2)


def test_a_weight_that_may_not_be_negative_stays_at_0() -> None:
    sets = simulated(500, 20)
    fitted = fit_choices(sets, nonnegative=[True, True, True, True])
    assert fitted.converged
    assert fitted.weights[1] == 0.0
    assert fitted.standard_errors[1] == 0.0
    without = fit_choices(sets.select([0, 2, 3]), nonnegative=[True, True, True])
    np.testing.assert_allclose(fitted.weights[[0, 2, 3]], without.weights, atol=1e-4)


def test_the_same_data_give_the_same_bits() -> None:
    assert np.array_equal(fit_choices(simulated(300, 50)).weights, fit_choices(simulated(300, 50)).weights)


def test_part_of_the_sets() -> None:
    sets = sampled(simulated(50, 20), np.full(1000, 0.5))
    numbers = np.array([3, 17, 4])
    part = sets.take(numbers)
    nll = set_nll(sets, WEIGHTS)
    np.testing.assert_allclose(set_nll(part, WEIGHTS), nll[numbers])
    np.testing.assert_allclose(set_nll(sets.take(nll > 1), WEIGHTS), nll[nll > 1])


@pytest.mark.parametrize("sets", [1, 5000])
def test_chunks_cover_all_rows_once(sets: int) -> None:
    whole = simulated(sets, 20)
    rows = [n for _, r in whole.chunks() for n in range(r.start, r.stop)]
    assert rows == list(range(sets * 20))


def test_what_cannot_be_fitted_is_refused() -> None:
    sets = simulated(3, 4)
    with pytest.raises(ValueError, match="positive"):
        fit_choices(sets, l2=0.0)
    with pytest.raises(ValueError, match="chosen"):
        fit_choices(ChoiceSets(sets.x, sets.offsets, np.zeros(12, np.float32)))
    with pytest.raises(ValueError, match="empty"):
        ChoiceSets(sets.x, np.array([0, 4, 4, 12]), sets.chosen)
    with pytest.raises(ValueError, match="finite"):
        ChoiceSets(np.full_like(sets.x, np.nan), sets.offsets, sets.chosen)
