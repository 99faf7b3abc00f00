"""The closed-form arrays of a head: means, principal directions, predictors of absent channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from itemlens_server.fusion.head import Array, HeadChannel, unit

MAX_DIMENSION = 512
CCA_RIDGE = 3e-4
MINIMUM_PAIRS = 200
# With fewer items, the mean is what they have in common; without it only noise would be left.
MINIMUM_ITEMS = 5


@dataclass(frozen=True)
class ChannelData:
    """Raw vectors of one channel: float32 [vectors, dim], and the item that each belongs to, int64 [vectors]."""

    vectors: Array
    owners: np.ndarray[tuple[int], np.dtype[np.int64]]

    def item_means(self, items: int) -> tuple[Array, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
        """Return the mean vector of each item, [items, dim], and which items have one."""
        counts = np.bincount(self.owners, minlength=items)
        sums = np.zeros((items, self.vectors.shape[1]), np.float64)
        np.add.at(sums, self.owners, self.vectors)
        return (sums / np.maximum(counts, 1)[:, None]).astype(np.float32), counts > 0


def project(name: str, data: ChannelData, items: int, width: int) -> tuple[HeadChannel, float]:
    """Return mu and P of a channel, with the share of the variance that P keeps.

    mu is the mean over items, so that an item with many pictures counts once. P contains the principal directions of
    all vectors. If few vectors span fewer directions, random orthogonal ones are added, so that the new directions of
    later items are kept.
    """
    means, has = data.item_means(items)
    dim = data.vectors.shape[1]
    mean = means[has].mean(0) if has.sum() >= MINIMUM_ITEMS else np.zeros(dim, np.float32)
    centred = (data.vectors - mean).astype(np.float64)
    values, directions = np.linalg.eigh(centred.T @ centred / max(len(centred), 1))
    values, directions = np.maximum(values[::-1], 0.0), directions[:, ::-1]
    rank = int((values > 1e-9 * max(values[0], 1e-30)).sum())
    principal = directions[:, : min(width, rank)]
    # The sign of an eigenvector is arbitrary. A fixed sign makes a fit repeatable.
    largest = principal[np.abs(principal).argmax(0), np.arange(principal.shape[1])]
    p = _filled_up(principal * np.sign(largest), min(width, dim))
    kept = float(values[: principal.shape[1]].sum() / values.sum()) if values.sum() else 1.0
    return HeadChannel(name, mean, np.asarray(p, np.float32)), kept


def _filled_up(directions: np.ndarray, width: int) -> np.ndarray:
    """Return the orthonormal `directions` [dim, n] with random orthogonal ones added, up to `width`."""
    missing = width - directions.shape[1]
    if missing <= 0:
        return directions
    noise = np.random.default_rng(0).standard_normal((len(directions), missing))
    noise -= directions @ (directions.T @ noise)
    return np.concatenate([directions, np.linalg.qr(noise)[0]], axis=1)


def widths(dims: Mapping[str, int], most: int = MAX_DIMENSION) -> dict[str, int]:
    """Return the width of each channel, so that h has at most `most` numbers. Small channels leave room to others."""
    left, open_channels = most - 2 * len(dims), dict(dims)
    widths_by_name: dict[str, int] = {}
    while open_channels:
        share = left // len(open_channels)
        small = {n: d for n, d in open_channels.items() if d <= share} or open_channels
        for name, dim in small.items():
            widths_by_name[name] = min(dim, share)
            left -= widths_by_name[name]
            del open_channels[name]
            if small is open_channels:
                break
    return {name: widths_by_name[name] for name in dims}


def item_units(channel: HeadChannel, data: ChannelData, items: int) -> tuple[Array, np.ndarray]:
    """Return e_c of each item, float32 [items, width] (zeros if the item has none), and which items have it."""
    e = unit(channel.project(data.vectors))
    sums = np.zeros((items, e.shape[1]), np.float32)
    np.add.at(sums, data.owners, e)
    return unit(sums), np.bincount(data.owners, minlength=items) > 0


def predictor(source: Array, target: Array) -> Array:
    """Return W such that unit(source @ W) predicts the target block, float32 [source width, target width].

    Canonical correlation analysis (H. Hotelling, 1936): with whitened directions A, B and correlations S,
    W = A S B^T. Its R@10 on fashion is 0.44, against 0.37 for the best ridge regression.
    """
    x, y = source.astype(np.float64), target.astype(np.float64)
    n = len(x)
    cx = np.linalg.cholesky(x.T @ x / n + CCA_RIDGE * np.eye(x.shape[1]))
    cy = np.linalg.cholesky(y.T @ y / n + CCA_RIDGE * np.eye(y.shape[1]))
    whitened = np.linalg.solve(cx, x.T @ y / n) @ np.linalg.inv(cy).T
    left, correlations, right = np.linalg.svd(whitened, full_matrices=False)
    a, b = np.linalg.solve(cx.T, left), np.linalg.solve(cy.T, right.T)
    return np.asarray((a * correlations) @ b.T, np.float32)


def recall(scores: Array, target: Sequence[int] | np.ndarray, k: int) -> np.ndarray:
    """Return the hit rate at k of each row's target column, float64 [rows]. Ties count by expectation."""
    x = scores[np.arange(len(scores)), np.asarray(target)][:, None]
    better = (scores > x + 1e-6).sum(1)
    tied = (np.abs(scores - x) <= 1e-6).sum(1)
    return np.asarray(np.clip((k - better) / np.maximum(tied, 1), 0.0, 1.0))
