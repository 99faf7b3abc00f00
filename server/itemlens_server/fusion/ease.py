"""B, the directed item-item table of "who took X took Y": EASE in closed form.

H. Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019: with the Gram matrix G of the user-item
matrix and P = inverse(G + lambda I), B = I - P / diag(P). Only the largest positive entries of a row are kept.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from scipy.linalg import lapack

KEPT_PER_ROW = 400
# Most items of a dense inverse: 12,500 take 625 MB and some 15 seconds of two cores.
MAX_ITEMS = 12_500
_BLOCK = 512

Dense = np.ndarray[Any, np.dtype[np.float32]]


def most_frequent(counts: np.ndarray[Any, Any], most: int = MAX_ITEMS) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return which of the `counts` are largest, at most `most`, ascending. Zeros are left out."""
    columns = np.argsort(-counts, kind="stable")[:most]
    return np.sort(columns[counts[columns] > 0])


def fit(x: sparse.csr_matrix, regularisation: float, kept: int = KEPT_PER_ROW) -> sparse.csr_matrix:
    """Return B for the 0/1 user-item matrix `x` [users, n] as `of_gram` does. The peak of memory is one dense matrix of
    float32 [n, n] besides the sparse Gram matrix."""
    return of_gram(gram_of(x), regularisation, kept)


def gram_of(x: sparse.csr_matrix) -> Dense:
    """Return the Gram matrix of `x` [users, n], float32 [n, n] in Fortran's order."""
    return np.asfortranarray((x.T @ x).toarray(order="F"), np.float32)


def of_gram(gram: Dense, regularisation: float, kept: int = KEPT_PER_ROW) -> sparse.csr_matrix:
    """Return B, CSR float32 [n, n], entry [j, i] what having j adds to i.

    Of each row the `kept` largest entries are there, if they are positive. gram: float32 [n, n] in Fortran's order, of
    which the lower triangle is read; it is overwritten.

    Raises:
        ValueError: lambda is too small for the Gram matrix.
    """
    n = len(gram)
    if not n:
        return sparse.csr_matrix((0, 0), dtype=np.float32)
    gram[np.diag_indices_from(gram)] += regularisation
    factor, info = lapack.spotrf(gram, lower=1, overwrite_a=1)
    if info:
        raise ValueError(f"the Gram matrix is not positive definite (lambda {regularisation})")
    inverse, _ = lapack.spotri(factor, lower=1, overwrite_c=1)
    diagonal = np.diag(inverse).copy()
    rows = []
    for start in range(0, n, _BLOCK):
        stop = min(start + _BLOCK, n)
        block = np.empty((stop - start, n), np.float32)
        # Only the lower triangle is valid: columns after the block are rows of it.
        block[:, :stop] = inverse[start:stop, :stop]
        block[:, stop:] = inverse[stop:, start:stop].T
        own = block[:, start:stop]
        own[:] = np.tril(own) + np.tril(own, -1).T
        block /= -diagonal
        block[np.arange(stop - start), np.arange(start, stop)] = 0.0
        rows.append(largest_positive(block, kept))
    return sparse.vstack(rows, "csr")


def largest_positive(rows: Dense, kept: int) -> sparse.csr_matrix:
    """Return the `kept` largest entries of each row, if they are positive, as CSR float32."""
    if rows.shape[1] > kept:
        columns = np.argpartition(-rows, kept - 1, axis=1)[:, :kept]
        columns.sort(axis=1)
    else:
        columns = np.broadcast_to(np.arange(rows.shape[1]), rows.shape)
    values = np.take_along_axis(rows, columns, axis=1)
    starts = (
        np.arange(0, columns.size + 1, columns.shape[1]) if columns.shape[1] else np.zeros(len(rows) + 1, int)
    )
    table = sparse.csr_matrix(
        (np.maximum(values, 0).ravel(), columns.ravel(), starts), rows.shape, np.float32
    )
    table.eliminate_zeros()
    return table
