"""What the terms over past items share: S_i = sum_j a_j phi_ji, a transform, and parts by past item.

    evidence_i = w (g(S_i) - theta),     part of j = w g(S_i) a_j phi_ji / S_i

All phi are positive or 0. The parts add up; where g bends they are shares of the term and not what the item would lose
without j. A part without a past item is the threshold, -w theta.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import ClassVar, Self

import numpy as np
from scipy import sparse

from itemlens_server.fusion.head import Array
from itemlens_server.fusion.parts import Floats, Part
from itemlens_server.fusion.past_source import PastSource
from itemlens_server.fusion.query import Asking
from itemlens_server.fusion.ranking import top_positive
from itemlens_server.fusion.rows import Ints
from itemlens_server.fusion.terms.term import Term
from itemlens_server.fusion.weights import States


class PastTerm(Term):
    """A term of one column over the past or liked items of a query. It is the same for every interest."""

    kind: ClassVar[str]
    decays = True

    def __init__(self, asking: Asking, source: PastSource) -> None:
        self.snapshot = asking.snapshot
        self.source = source
        self.amounts = source.past.amounts(source.weights.decay(self.kind))
        self._weights = source.weights.column(self.kind)
        self._by_state = self._weights.by_state * np.float32(source.weight)

    @classmethod
    def bind(cls, asking: Asking) -> Sequence[Self]:
        """See Term."""
        used = (s for s in (asking.history, asking.liked) if s.weight and s.weights.column(cls.kind).used)
        return [term for source in used if (term := cls.over(asking, source)) is not None]

    @classmethod
    def over(cls, asking: Asking, source: PastSource) -> Self | None:
        """Return the term over a source; None without past items, or if the collection lacks what it needs. It is made
        once, since a past is long."""
        if not (len(source.past) and cls.available(asking)):
            return None
        key = (cls.kind, id(source))
        if key not in asking.bound:
            asking.bound[key] = cls(asking, source)
        term = asking.bound[key]
        assert isinstance(term, cls)
        return term

    @classmethod
    @abstractmethod
    def available(cls, asking: Asking) -> bool:
        """Return whether the collection has what the term needs."""

    @abstractmethod
    def sums(self, positions: Ints) -> Array:
        """Return S of the items at `positions`, float32 [positions]."""

    @abstractmethod
    def shares(self, position: int) -> Mapping[str, float]:
        """Return a_j phi_ji by past item, for those that are not 0. They add up to S."""

    def columns(self, interest: int, positions: Ints) -> Mapping[str, Array]:
        """See Term."""
        return {self.kind: self.sums(positions)}

    def evidence(self, interest: int, positions: Ints, states: States) -> Array:
        """See Term."""
        bent = self._weights.transform(self.sums(positions))
        return np.asarray(self._by_state[states] * (bent - np.float32(self._weights.neutral)), np.float32)

    def by_source(self, interest: int, position: int, state: int) -> list[Part]:
        """See Term."""
        weight = float(self._by_state[state])
        if not weight:
            return []
        shares = self.shares(position)
        total = sum(shares.values())
        bent, is_share = float(self._weights.transform(np.asarray([total]))[0]), not self.linear
        parts = [
            Part(self.kind, weight * bent * share / total, past_item_id=past, is_share=is_share)
            for past, share in shares.items()
        ]
        threshold = -weight * self._weights.neutral
        return [*parts, Part(self.kind, threshold)] if threshold else parts

    def named(self, numbers: Ints, shares: Floats) -> dict[str, float]:
        """Return shares of past items by id, without those that are 0. numbers: of the items, int64 [shares]."""
        ids, some = self.source.past.item_ids, np.flatnonzero(shares)
        return {ids[n]: share for n, share in zip(numbers[some].tolist(), shares[some].tolist(), strict=True)}

    @property
    def linear(self) -> bool:
        """Whether its parts are what their removal takes away."""
        return self._weights.transform.linear


class TableTerm(PastTerm):
    """A term over a table of item by item."""

    table_name: ClassVar[str]

    def __init__(self, asking: Asking, source: PastSource) -> None:
        super().__init__(asking, source)
        tables = asking.snapshot.tables
        assert tables is not None
        self._tables = tables
        self._known = np.flatnonzero(source.rows >= 0)
        self._rows = source.rows[self._known]
        self._own = tables.table_rows(self.table_name, self._rows)
        # In float32, as all scores are: in float64, the rows would be copied once more, at four times the time.
        totals = self._own.T @ self.amounts[self._known].astype(np.float32)
        # The last entry, 0, is of items that are not in the tables.
        self._totals: Array = np.append(totals, np.float32(0))

    @property
    def asked(self) -> bool:
        """See Term."""
        return bool(len(self._known))

    @classmethod
    def available(cls, asking: Asking) -> bool:
        """See PastTerm."""
        return asking.snapshot.tables is not None

    def sums(self, positions: Ints) -> Array:
        """See PastTerm."""
        return np.asarray(self._totals[self.snapshot.table_rows[positions]])

    def shares(self, position: int) -> Mapping[str, float]:
        """See PastTerm."""
        number = int(self.snapshot.table_rows[position])
        if number < 0:
            return {}
        column = self._columns
        entries = slice(column.indptr[number], column.indptr[number + 1])
        phis = np.zeros(column.shape[0])
        phis[column.indices[entries]] = column.data[entries]
        of_past = phis if self._is_fresh else phis[self._rows]
        return self.named(self._known, self.amounts[self._known] * of_past)

    @cached_property
    def _columns(self) -> sparse.csc_matrix:
        """By column, which is read to explain a score: the whole table, or the rows of the past if some are fresh."""
        return self._own.tocsc() if self._is_fresh else self._tables.columns[self.table_name]

    @cached_property
    def _is_fresh(self) -> bool:
        return self._tables.has_fresh(self.table_name, self._rows)

    def candidates(self, depth: int, eligible: Ints) -> Ints:
        """See Term."""
        return top_positive(self._totals[self.snapshot.table_rows[eligible]], eligible, depth)
