"""Choices that are made by known weights."""

from __future__ import annotations

import numpy as np

from itemlens_server.fusion.choice import ChoiceSets, Floats

WEIGHTS = np.array([1.5, -0.8, 0.02, 0.0])
UNITS = np.array([1.0, 1.0, 50.0, 1.0], np.float32)
"""The third column has another unit than the others."""


def simulated(sets: int, candidates: int, seed: int = 0, weights: Floats = WEIGHTS) -> ChoiceSets:
    """Choices of one among all candidates by `weights`."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((sets, candidates, len(weights)), np.float32) * UNITS[: len(weights)]
    best = (x @ weights + rng.gumbel(size=(sets, candidates))).argmax(1)
    chosen = np.zeros((sets, candidates), np.float32)
    chosen[np.arange(sets), best] = 1.0
    offsets = np.arange(sets + 1, dtype=np.int64) * candidates
    return ChoiceSets(x.reshape(-1, len(weights)), offsets, chosen.ravel())
