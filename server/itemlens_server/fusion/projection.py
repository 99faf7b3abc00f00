"""mu and P of a channel: e = unit(P (v - mu)), from the principal directions of its vectors.

    P = U / sd^p      U: leading eigenvectors of the second moments of v - mu;  sd^2: their eigenvalues

mu is 0 or the mean over the items. p = 0 without a mean and without reduction is the cosine of the raw vectors. p = 1
makes all directions equally strong (whitening); p = 1/2 lies between.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from itemlens_server.fusion.channel_data import ChannelData
from itemlens_server.fusion.head import HeadChannel

Floats = np.ndarray[Any, np.dtype[np.float64]]

MAX_DIMENSION = 512
FLAGS = 2
_AT_ONCE = 4096
SHRINKAGE = 0.1
"""With n vectors, SHRINKAGE / n of the trace is added to each eigenvalue: few vectors tell little about small ones."""


@dataclass(frozen=True)
class Recipe:
    """How mu and P are made. centred: whether mu is the mean. exponent: p."""

    centred: bool = False
    exponent: float = 0.0

    def __str__(self) -> str:
        return f"p {self.exponent:g}{', centred' if self.centred else ''}"


class Directions:
    """Principal directions of one channel, computed once for all recipes and widths."""

    def __init__(self, name: str, data: ChannelData, items: int) -> None:
        self._name, self._count = name, len(data.vectors)
        n, dim = max(self._count, 1), data.vectors.shape[1]
        moments, self._mean, item_mean = np.zeros((dim, dim)), np.zeros(dim), np.zeros(dim)
        # Of an item with many pictures, each weighs less in the mean: the item counts once.
        weights = 1.0 / np.bincount(data.owners, minlength=items)[data.owners]
        for start in range(0, self._count, _AT_ONCE):
            some = data.vectors[start : start + _AT_ONCE].astype(np.float64)
            moments += some.T @ some / n
            self._mean += some.sum(0) / n
            item_mean += weights[start : start + _AT_ONCE] @ some
        self._moments, self._item_mean = moments, item_mean / max(weights.sum(), 1e-12)
        self._spectra: dict[bool, tuple[Floats, Floats, Floats]] = {}

    def channel(self, recipe: Recipe, width: int) -> HeadChannel:
        """Return the channel with the `width` leading directions."""
        mean, values, directions = self._spectrum(recipe.centred)
        sd = np.sqrt(values[:width] + SHRINKAGE / max(self._count, 1) * values.sum())
        sd = np.where(sd > 0, sd, 1.0)  # no vector, or all are equal to the mean
        p = directions[:, :width] / sd**recipe.exponent
        return HeadChannel(self._name, mean.astype(np.float32), np.asarray(p, np.float32))

    def kept(self, recipe: Recipe, width: int) -> float:
        """Return the share of the variance, or of the second moment, that `width` directions keep."""
        _, values, _ = self._spectrum(recipe.centred)
        return float(values[:width].sum() / values.sum()) if values.sum() else 1.0

    def _spectrum(self, centred: bool) -> tuple[Floats, Floats, Floats]:
        """Return mu, and the eigenvalues and eigenvectors of the second moments, the largest first."""
        if centred not in self._spectra:
            mean = self._item_mean if centred else np.zeros_like(self._item_mean)
            # The second moments of v - mean.
            moments = (
                self._moments - np.outer(self._mean, mean) - np.outer(mean, self._mean) + np.outer(mean, mean)
            )
            values, directions = np.linalg.eigh(moments)
            values, directions = np.maximum(values[::-1], 0.0), directions[:, ::-1]
            # The sign of an eigenvector is arbitrary. A fixed sign makes a fit repeatable.
            largest = directions[np.abs(directions).argmax(0), np.arange(len(directions))]
            self._spectra[centred] = mean, values, directions * np.sign(largest)
        return self._spectra[centred]


def equal_widths(dims: Mapping[str, int], most: int = MAX_DIMENSION) -> dict[str, int]:
    """Return equal widths of the channels, so that h with its flags has at most `most` numbers. What a channel of a
    small dimension does not need goes to the others."""
    left = most - FLAGS * len(dims)
    widths: dict[str, int] = {}
    for rank, name in enumerate(sorted(dims, key=lambda n: (dims[n], n))):
        widths[name] = min(dims[name], left // (len(dims) - rank))
        left -= widths[name]
    return {name: widths[name] for name in dims}
