"""ATTRIBUTE: the values, such as brand or category, that past items share with an item."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from itemlens_server.fusion.head import Array
from itemlens_server.fusion.query import Asking, PastSource
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
        self._here = {
            item_id: position
            for item_id in self.past
            if (position := asking.snapshot.view.position(item_id)) is not None
        }
        # q: sum_j a_j of j's weighted values, by value
        positions = np.asarray(list(self._here.values()), np.int64)
        values = self._values[positions]
        a = np.asarray([self.past[item_id] for item_id in self._here], np.float32) / self._norms(positions)
        weights = a[:, None] * self._idf[values]
        self._q = np.bincount(values.ravel(), weights.ravel(), len(self._idf)).astype(np.float32)
        self._q *= self._idf

    @classmethod
    def available(cls, asking: Asking) -> bool:
        """See PastTerm."""
        return bool(asking.snapshot.view.values.shape[1])

    @property
    def asked(self) -> bool:
        """See Term."""
        return bool(self._here)

    def sums(self, positions: Ints) -> Array:
        """See PastTerm."""
        return np.asarray(self._q[self._values[positions]].sum(1) / self._norms(positions), np.float32)

    def shares(self, position: int) -> Mapping[str, float]:
        """See PastTerm."""
        own = self._values[position]
        shares = {}
        for item_id, past in self._here.items():
            common = np.intersect1d(own, self._values[past])
            product = float(np.square(self._idf[common].astype(np.float64)).sum())
            if product:
                both = self._norms(np.asarray([position, past])).astype(np.float64).prod()
                shares[item_id] = self.past[item_id] * product / float(both)
        return shares

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
