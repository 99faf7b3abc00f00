"""Candidates of a question: the best ones for certain, the others with a known probability."""

from __future__ import annotations

import numpy as np

from itemlens_server.fusion.sampling import BEST_OF_RANKING, DRAWN, sample_candidates

SCORES = np.random.default_rng(0).standard_normal((8, 5000)).astype(np.float32) * 3
TARGETS = np.arange(8) * 7


def test_the_best_of_every_ranking_and_the_right_answer_are_there() -> None:
    sample = sample_candidates([SCORES, -SCORES], TARGETS)
    for question, target in enumerate(TARGETS):
        rows = slice(sample.offsets[question], sample.offsets[question + 1])
        items = sample.items[rows].tolist()
        ranked = np.argsort(-SCORES[question]).tolist()
        assert {*ranked[:BEST_OF_RANKING], *ranked[-BEST_OF_RANKING:], target} <= set(items)
        assert len(items) == len(set(items))
        assert len(items) in (2 * BEST_OF_RANKING + DRAWN, 2 * BEST_OF_RANKING + DRAWN + 1)
        assert sample.items[rows][sample.chosen[rows] > 0].tolist() == [target]


def test_log_q_makes_up_for_what_was_not_drawn() -> None:
    sample = sample_candidates([SCORES], TARGETS)
    alpha = sample.sets([SCORES]).x[:, 0]
    estimated = np.add.reduceat(np.exp(alpha - sample.log_q), sample.offsets[:-1])
    np.testing.assert_allclose(np.log(estimated), np.log(np.exp(SCORES).sum(1)), atol=0.15)


def test_of_a_small_catalogue_all_items_are_there() -> None:
    sample = sample_candidates([SCORES[:, :40]], TARGETS % 40)
    assert len(sample.items) == 8 * 40
    assert not sample.log_q.any()


def test_columns_are_the_sampled_numbers_of_matrices() -> None:
    sample = sample_candidates([SCORES], TARGETS)
    sets = sample.sets([SCORES, 2 * SCORES])
    first = sample.offsets[3]
    assert sets.x[first].tolist() == [SCORES[3, sample.items[first]], 2 * SCORES[3, sample.items[first]]]
