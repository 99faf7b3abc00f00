"""ATTRIBUTE: the values, such as brand or category, that past items share with an item."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import ClassVar

import numpy as np

from itemlens_server.fusion.head import Array
from itemlens_server.fusion.past_source import PastSource
from itemlens_server.fusion.query import Asking
from itemlens_server.fusion.ranking import top_positive
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
        self._values, self._columns = asking.snapshot.view.values, asking.snapshot.view.columns
        self._here = np.flatnonzero(source.positions >= 0)
        # q: sum_j a_j of j's weighted values, by value
        columns, idf = self._columns[source.positions[self._here]], self._values.idf
        self._past_codes, self._past_norms = self._values.codes[:, columns].T, self._values.norms[columns]
        a = self.amounts[self._here].astype(np.float32) / self._past_norms
        weights = a[:, None] * idf[self._past_codes]
        self._q = np.bincount(self._past_codes.ravel(), weights.ravel(), len(idf)).astype(np.float32) * idf

    @classmethod
    def available(cls, asking: Asking) -> bool:
        """See PastTerm."""
        return bool(len(asking.snapshot.view.values.codes))

    @property
    def asked(self) -> bool:
        """See Term."""
        return bool(len(self._here))

    @cached_property
    def _all(self) -> Array:
        """S of each column of values, float32 [columns]."""
        return np.asarray(self._values.sums(self._q) / self._values.norms, np.float32)

    def sums(self, positions: Ints) -> Array:
        """See PastTerm."""
        return np.asarray(self._all[self._columns[positions]])

    def shares(self, position: int) -> Mapping[str, float]:
        """See PastTerm."""
        column = self._columns[position]
        own, idf = self._values.codes[:, column], self._values.idf
        squares = np.zeros(len(idf))
        squares[own] = np.square(idf[own].astype(np.float64))
        norms = self._past_norms.astype(np.float64) * float(self._values.norms[column])
        return self.named(self._here, self.amounts[self._here] * squares[self._past_codes].sum(1) / norms)

    def candidates(self, depth: int, eligible: Ints) -> Ints:
        """See Term."""
        return top_positive(self.sums(eligible), eligible, depth)
