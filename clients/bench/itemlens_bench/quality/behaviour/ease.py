"""EASE in closed form, in an implementation that shares no code with the server.

H. Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019: B = I - P / diag(P) with P the inverse of the
Gram matrix of the 0/1 user-item matrix plus lambda. Row j is what having taken j says about the other items.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import get_lapack_funcs

F = TypeVar("F", np.float32, np.float64)

BLOCK = 1024
"""Rows that are mirrored at a time."""


def from_gram(gram: NDArray[F], regularisation: float) -> NDArray[F]:
    """B from the items' Gram matrix x' x, in its precision; in the memory of one copy.

    Raises:
        numpy.linalg.LinAlgError: the Gram matrix plus lambda is not positive definite.
    """
    cholesky, inverse = get_lapack_funcs(("potrf", "potri"), (gram,))
    p = np.array(gram, order="F")
    p[np.diag_indices_from(p)] += regularisation
    p, failed = cholesky(p, lower=1, overwrite_a=1)
    if failed:
        raise np.linalg.LinAlgError(f"the Gram matrix plus {regularisation:g} is not positive definite")
    p, _ = inverse(p, lower=1, overwrite_c=1)
    for start in range(0, len(p), BLOCK):  # LAPACK fills the lower triangle only
        p[:start, start : start + BLOCK] = p[start : start + BLOCK, :start].T
        block = p[start : start + BLOCK, start : start + BLOCK]
        block[:] = np.tril(block) + np.tril(block, -1).T
    p /= -np.diag(p).copy()[None, :]
    np.fill_diagonal(p, 0.0)
    return np.asarray(p)
