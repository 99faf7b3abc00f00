"""B, the table of "who took X took Y": EASE, computed by hand and by its properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from itemlens_server.fusion import ease

TAKEN = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 7)), min_size=1, max_size=60)


def interactions(taken: list[tuple[int, int]]) -> sparse.csr_matrix:
    x = np.zeros((6, 8), np.float32)
    for user, item in taken:
        x[user, item] = 1
    return sparse.csr_matrix(x[:, x.any(0)])


def test_three_items_by_hand() -> None:
    # Two users took a and b, one took c. With lambda 1 the Gram matrix is [[3, 2, 0], [2, 3, 0], [0, 0, 2]];
    # its inverse is [[0.6, -0.4, 0], [-0.4, 0.6, 0], [0, 0, 0.5]]; B_ji = -P_ji / P_ii off the diagonal.
    x = sparse.csr_matrix(np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1]], np.float32))
    expected = np.array([[0, 2 / 3, 0], [2 / 3, 0, 0], [0, 0, 0]])
    np.testing.assert_allclose(ease.fit(x, 1.0).toarray(), expected, atol=1e-6)


@given(TAKEN, st.floats(0.5, 100.0))
def test_nothing_says_something_of_itself_or_against_another(
    taken: list[tuple[int, int]], regularisation: float
) -> None:
    b = ease.fit(interactions(taken), regularisation)
    assert not b.diagonal().any()
    assert np.isfinite(b.data).all() and (b.data > 0).all()


@given(TAKEN)
def test_is_the_positive_part_of_the_ridge_regression_of_each_item_on_the_others(
    taken: list[tuple[int, int]],
) -> None:
    x = interactions(taken)
    dense, b = x.toarray().astype(np.float64), ease.fit(x, 2.0).toarray()
    for i in range(x.shape[1]):
        others = [j for j in range(x.shape[1]) if j != i]
        a = dense[:, others]
        solved = np.linalg.solve(a.T @ a + 2.0 * np.eye(len(others)), a.T @ dense[:, i])
        np.testing.assert_allclose(b[others, i], np.maximum(solved, 0), atol=1e-4)


@pytest.mark.parametrize("block", [1, 3, 7, 100])
def test_is_the_same_however_many_rows_are_made_at_once(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    x = sparse.random_array((40, 20), density=0.2, rng=np.random.default_rng(0), format="csr")
    x.data[:] = 1
    expected = ease.fit(x, 3.0).toarray()
    monkeypatch.setattr(ease, "_BLOCK", block)
    np.testing.assert_array_equal(ease.fit(x, 3.0).toarray(), expected)


def test_of_nothing_is_empty() -> None:
    assert ease.fit(sparse.csr_matrix((3, 0), dtype=np.float32), 1.0).shape == (0, 0)


def test_the_items_that_are_taken_most_are_chosen_and_those_never_taken_are_not() -> None:
    takers = np.asarray([3, 1, 2, 0])
    assert ease.most_frequent(takers, 2).tolist() == [0, 2]
    assert ease.most_frequent(takers).tolist() == [0, 1, 2]


def test_the_largest_positive_entries_of_a_row_are_kept() -> None:
    b = np.array([[0.0, 0.1, -0.9, 0.5], [0.2, 0.0, 0.3, 0.1], [-1, -1, 0, -1]], np.float32)
    expected = [[0, 0.1, 0, 0.5], [0.2, 0, 0.3, 0], [0, 0, 0, 0]]
    kept = ease.largest_positive(b, 2)
    np.testing.assert_array_equal(kept.toarray(), np.asarray(expected, np.float32))
    assert kept.nnz == 4


def test_a_matrix_that_cannot_be_inverted_is_refused() -> None:
    with pytest.raises(ValueError, match="lambda"):
        ease.fit(sparse.csr_matrix(np.array([[1, 1]], np.float32)), -1.0)
