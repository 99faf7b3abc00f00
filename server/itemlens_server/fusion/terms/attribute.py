"""ATTRIBUTE: the values, such as brand or category, that past items share with an item."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from itemlens_server.fusion.head import Array
from itemlens_server.fusion.past_source import PastSource
from itemlens_server.fusion.query import Asking
from itemlens_server.fusion.ranking import top
from itemlens_server.fusion.rows import Ints
from itemlens_server.fusion.terms.past_term import PastTerm

ATTRIBUTE = "ATTRIBUTE"


class Attribute(PastTerm):
    """phi_ji = sum over shared values of idf^2 / (|j| |i|), the cosine of the items' values weighted by idf."""

    kind = ATTRIBUTE
    kinds: ClassVar[tuple[str, ...]] = (ATTRIBUTE,)
    phrases: ClassVar[Mapping[str, Mapping[str, str]]] = {
        ATTRIBUTE: {"en": "it has much in common with {}", "zh": "它与{}有许多共同点"}
    }

    def __init__(self, asking: Asking, source: PastSource) -> None:
        super().__init__(asking, source)
        self._idf, self._values = asking.snapshot.idf, asking.snapshot.view.values
        self._here = np.flatnonzero(source.positions >= 0)
        # q: sum_j a_j of j's weighted values, by value
        positions = source.positions[self._here]
        self._past_values, self._past_norms = self._values[positions], self._norms(positions)
        a = self.amounts[self._here].astype(np.float32) / self._past_norms
        weights = a[:, None] * self._idf[self._past_values]
        self._q = np.bincount(self._past_values.ravel(), weights.ravel(), len(self._idf)).astype(np.float32)
        self._q *= self._idf

    @classmethod
    def available(cls, asking: Asking) -> bool:
        """See PastTerm."""
        return bool(asking.snapshot.view.values.shape[1])

    @property
    def asked(self) -> bool:
        """See Term."""
        return bool(len(self._here))

    def sums(self, positions: Ints) -> Array:
        """See PastTerm."""
        return np.asarray(self._q[self._values[positions]].sum(1) / self._norms(positions), np.float32)

    def shares(self, position: int) -> Mapping[str, float]:
        """See PastTerm."""
        squares = np.zeros(len(self._idf))
        own = self._values[position]
        squares[own] = np.square(self._idf[own].astype(np.float64))
        norms = self._past_norms.astype(np.float64) * float(self._norms(np.asarray([position]))[0])
        return self.named(self._here, self.amounts[self._here] * squares[self._past_values].sum(1) / norms)

    def candidates(self, depth: int) -> Ints:
        """See Term."""
        alive = np.flatnonzero(self.snapshot.view.alive)
        sums = self.sums(alive)
        best = top(sums, depth)
        return np.sort(alive[best[sums[best] > 0]])

    def _norms(self, positions: Ints) -> Array:
        """Return the length of each item's weighted values; 1 if it has none. (The value 0, "none", has idf 0.)"""
        squares = np.square(self._idf)[self._values[positions]].sum(1)
        return np.asarray(np.sqrt(np.where(squares > 0, squares, 1)), np.float32)
