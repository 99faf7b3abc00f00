"""Prediction of a channel's block from the others', for items that lack it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from itemlens_server.fusion.channel_data import Bools, Ints
from itemlens_server.fusion.head import Array, HeadChannel, unit
from itemlens_server.fusion.measures import recall

RIDGE = 3e-4
MINIMUM_PAIRS = 200
MINIMUM_LIFT = 3.0
"""A predictor must find the right item this many times as often as chance."""
K = 10
MAX_TESTED = 2000


@dataclass(frozen=True)
class Prediction:
    """How a predictor did on items that it does not know: recall at K among `tested` items; 0 of 0 if too few items
    have both channels."""

    source: str
    target: str
    hits: float
    tested: int
    kept: bool

    @property
    def chance(self) -> float:
        """The recall of guessing."""
        return min(1.0, K / max(self.tested, 1))


def predictor(source: Array, target: Array) -> Array:
    """Return W such that unit(source @ W) predicts the target block, float32 [source width, target width].

    source, target: blocks of items that have both, float32 [items, width]. Canonical correlation analysis
    (H. Hotelling, 1936): with whitened directions A, B and correlations S, W = A S B^T. Its R@10 on fashion is 0.44,
    against 0.37 for the best ridge regression.
    """
    x, y = source.astype(np.float64), target.astype(np.float64)
    n = len(x)
    cx = np.linalg.cholesky(x.T @ x / n + RIDGE * np.eye(x.shape[1]))
    cy = np.linalg.cholesky(y.T @ y / n + RIDGE * np.eye(y.shape[1]))
    whitened = np.linalg.solve(cx, x.T @ y / n) @ np.linalg.inv(cy).T
    left, correlations, right = np.linalg.svd(whitened, full_matrices=False)
    a, b = np.linalg.solve(cx.T, left), np.linalg.solve(cy.T, right.T)
    return np.asarray((a * correlations) @ b.T, np.float32)


def with_predictors(
    channels: Mapping[str, HeadChannel], blocks: Mapping[str, tuple[Array, Bools]], targets: Ints
) -> tuple[dict[str, HeadChannel], list[Prediction]]:
    """Return the channels with a predictor from each other channel that finds held-out items, and how each did.

    blocks: e_c of all items by channel, float32 [items, width], and which items have it. targets: the items to hold
    out, int64; the predictors are not fitted to them.
    """
    made, tried = dict(channels), []
    for target in channels:
        for source in channels:
            if source == target:
                continue
            w, prediction = _tested(source, target, blocks, targets)
            tried.append(prediction)
            if prediction.kept and w is not None:
                predictors = {**made[target].predictors, source: w}
                made[target] = replace(made[target], predictors=predictors)
    return made, tried


def refitted(
    channels: Mapping[str, HeadChannel], blocks: Mapping[str, tuple[Array, Bools]]
) -> dict[str, HeadChannel]:
    """Return the channels with the same predictors, fitted to all items."""
    made = {}
    for name, channel in channels.items():
        predictors = {}
        for source in channel.predictors:
            both = blocks[source][1] & blocks[name][1]
            predictors[source] = predictor(blocks[source][0][both], blocks[name][0][both])
        made[name] = replace(channel, predictors=predictors)
    return made


def _tested(
    source: str, target: str, blocks: Mapping[str, tuple[Array, Bools]], targets: Ints
) -> tuple[Array | None, Prediction]:
    (x, has_source), (y, has_target) = blocks[source], blocks[target]
    both = has_source & has_target
    test = np.zeros_like(both)
    test[targets] = True
    train, held_out = np.flatnonzero(both & ~test), np.flatnonzero(both & test)[:MAX_TESTED]
    if len(train) < MINIMUM_PAIRS or not len(held_out):
        return None, Prediction(source, target, 0.0, 0, False)
    w = predictor(x[train], y[train])
    scores = y[held_out] @ unit(x[held_out] @ w).T
    hits = float(recall(scores, np.arange(len(held_out)), K).mean())
    chance = min(1.0, K / len(held_out))
    return w, Prediction(source, target, hits, len(held_out), hits >= MINIMUM_LIFT * chance)
