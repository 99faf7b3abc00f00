"""The EASE yardstick against a case computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from itemlens_bench.quality.behaviour.ease import from_gram


def test_two_items_by_hand() -> None:
    # G = [[2, 1], [1, 1]], G + I = [[3, 1], [1, 2]], its inverse 1/5 [[2, -1], [-1, 3]].
    x = np.asarray([[1.0, 1.0], [1.0, 0.0]])
    b = from_gram(x.T @ x, 1.0)
    assert b == pytest.approx(np.asarray([[0.0, 1 / 3], [1 / 2, 0.0]]))


def test_b_is_the_best_linear_predictor_without_the_item_itself() -> None:
    # EASE solves this: each column is a ridge regression of the item on all others.
    x = (np.random.default_rng(0).random((40, 6)) < 0.4).astype(float)
    b = from_gram(x.T @ x, 2.0)
    for column in range(6):
        others = [n for n in range(6) if n != column]
        a = x[:, others]
        ridge = np.linalg.solve(a.T @ a + 2.0 * np.eye(5), a.T @ x[:, column])
        assert b[others, column] == pytest.approx(ridge)
