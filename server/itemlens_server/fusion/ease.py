"""B, the directed item-item table of "who took X took Y": EASE in closed form.

H. Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019: with the Gram matrix G of the user-item
matrix and P = inverse(G + lambda I), B = I - P / diag(P). Only the largest entries of a row are kept.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from scipy.linalg import lapack

KEPT_PER_ROW = 200
MAX_ITEMS = 6000


def interactions(users: list[str], items: list[str]) -> tuple[sparse.csr_matrix, list[str], list[str]]:
    """Return the 0/1 user-item matrix of parallel lists, with its users and its items (the MAX_ITEMS most frequent)."""
    user_ids, rows = np.unique(np.asarray(users, object), return_inverse=True)
    item_ids, columns = np.unique(np.asarray(items, object), return_inverse=True)
    x = sparse.csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), (len(user_ids), len(item_ids)))
    x.data[:] = 1.0
    if len(item_ids) > MAX_ITEMS:
        kept = np.sort(np.argsort(-np.asarray(x.sum(0)).ravel(), kind="stable")[:MAX_ITEMS])
        x, item_ids = x[:, kept], item_ids[kept]
    return x, user_ids.tolist(), item_ids.tolist()


def fit(x: sparse.csr_matrix, regularisation: float) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return B of EASE for the user-item matrix `x` [users, n], float32 [n, n] with a zero diagonal."""
    gram = np.asfortranarray((x.T @ x).toarray(), np.float32)
    gram[np.diag_indices_from(gram)] += regularisation
    factor, info = lapack.spotrf(gram, lower=1, overwrite_a=1)
    if info:
        raise ValueError(f"the Gram matrix is not positive definite (lambda {regularisation})")
    inverse, _ = lapack.spotri(factor, lower=1, overwrite_c=1)
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    b = -inverse / np.diag(inverse)[None, :]
    np.fill_diagonal(b, 0.0)
    return np.asarray(b, np.float32)


def largest(b: np.ndarray[Any, np.dtype[np.float32]], kept: int = KEPT_PER_ROW) -> sparse.csr_matrix:
    """Return `b` as CSR with only the `kept` entries of each row with the largest absolute values."""
    if b.shape[1] > kept:
        b = b.copy()
        small = np.argpartition(-np.abs(b), kept, axis=1)[:, kept:]
        np.put_along_axis(b, small, 0.0, axis=1)
    table = sparse.csr_matrix(b)
    table.eliminate_zeros()
    return table
