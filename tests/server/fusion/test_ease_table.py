"""B, the table of "who took X took Y": EASE, computed by hand and by its properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from itemlens_server.fusion import ease

TAKEN = st.lists(st.tuples(st.sampled_from("uvwxyz"), st.sampled_from("abcdefgh")), min_size=1, max_size=60)


def test_three_items_by_hand() -> None:
    # Two users took a and b, one took c. With lambda 1 the Gram matrix is [[3, 2, 0], [2, 3, 0], [0, 0, 2]];
    # its inverse is [[0.6, -0.4, 0], [-0.4, 0.6, 0], [0, 0, 0.5]]; B_ji = -P_ji / P_ii off the diagonal.
    x = sparse.csr_matrix(np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1]], np.float32))
    expected = np.array([[0, 2 / 3, 0], [2 / 3, 0, 0], [0, 0, 0]])
    np.testing.assert_allclose(ease.fit(x, 1.0), expected, atol=1e-6)


@given(TAKEN, st.floats(0.5, 100.0))
def test_what_an_item_says_of_itself_is_zero(taken: list[tuple[str, str]], regularisation: float) -> None:
    x, _, items = ease.interactions([u for u, _ in taken], [i for _, i in taken])
    b = ease.fit(x, regularisation)
    assert b.shape == (len(items), len(items))
    np.testing.assert_array_equal(np.diag(b), 0.0)
    assert np.isfinite(b).all()


@given(TAKEN)
def test_is_the_ridge_regression_of_each_item_on_the_others(taken: list[tuple[str, str]]) -> None:
    x, _, items = ease.interactions([u for u, _ in taken], [i for _, i in taken])
    dense, b = x.toarray().astype(np.float64), ease.fit(x, 2.0)
    for i in range(len(items)):
        others = [j for j in range(len(items)) if j != i]
        a = dense[:, others]
        solved = np.linalg.solve(a.T @ a + 2.0 * np.eye(len(others)), a.T @ dense[:, i])
        np.testing.assert_allclose(b[others, i], solved, atol=1e-4)


def test_taking_something_twice_counts_once() -> None:
    once, _, _ = ease.interactions(["u", "v"], ["a", "b"])
    twice, _, _ = ease.interactions(["u", "v", "u"], ["a", "b", "a"])
    assert (once != twice).nnz == 0


def test_keeps_the_items_that_are_taken_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ease, "MAX_ITEMS", 2)
    _, _, items = ease.interactions(["u", "v", "w", "u", "v"], ["a", "a", "b", "c", "c"])
    assert items == ["a", "c"]


def test_keeps_the_entries_that_are_largest_in_size() -> None:
    b = np.array([[0.0, 0.1, -0.9, 0.5], [0.2, 0.0, 0.3, 0.0]], np.float32)
    np.testing.assert_array_equal(
        ease.largest(b, 2).toarray(), np.array([[0, 0, -0.9, 0.5], [0.2, 0, 0.3, 0]], np.float32)
    )


def test_a_matrix_that_cannot_be_inverted_is_refused() -> None:
    x = sparse.csr_matrix(np.array([[1, 1]], np.float32))
    with pytest.raises(ValueError, match="lambda"):
        ease.fit(x, -1.0)
