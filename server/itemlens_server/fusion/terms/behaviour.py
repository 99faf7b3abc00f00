"""The term BEHAVIOUR: w_B sum_j a_j B_ji, "who took these took that"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

import numpy as np
from scipy import sparse

from itemlens_server.fusion.head import HISTORY, Array, Head
from itemlens_server.fusion.item_to_item import ItemToItem
from itemlens_server.fusion.parts import Part
from itemlens_server.fusion.query import Asking
from itemlens_server.fusion.ranking import top
from itemlens_server.fusion.rows import Ints
from itemlens_server.fusion.snapshot import Snapshot
from itemlens_server.fusion.terms.term import Histories, Term

BEHAVIOUR = "BEHAVIOUR"


class Behaviour(Term):
    """The behaviour term. It is the same for every interest, so the table is read once for each query.

    past: a_j of the past and liked items; those of one source add up to its weight.
    """

    kinds: ClassVar[tuple[str, ...]] = (BEHAVIOUR,)
    phrases: ClassVar[Mapping[str, Mapping[str, str]]] = {
        BEHAVIOUR: {"en": "people who took {} took this next", "zh": "选过{}的人接着选了它"}
    }

    def __init__(
        self, snapshot: Snapshot, table: ItemToItem, weight: float, past: Mapping[str, float]
    ) -> None:
        self._snapshot, self._table, self._weight, self.past = snapshot, table, weight, past
        self._totals = table.scores(past)

    @classmethod
    def bind(cls, asking: Asking) -> Self | None:
        """See Term."""
        query, table = asking.query, asking.snapshot.item_to_item
        if table is None:
            return None
        known = {i: a for i, a in asking.shares.items() if i in table.rows or i in asking.here}
        past: dict[str, float] = {}
        for amounts, weight in (
            (known, query.weight("history")),
            (dict.fromkeys(asking.liked, 1.0), query.weight("liked")),
        ):
            if weight and amounts:
                mass = sum(amounts.values())
                for item_id, amount in amounts.items():
                    past[item_id] = past.get(item_id, 0.0) + weight * amount / mass
        fitted = query.weights(asking.snapshot.head, HISTORY).behaviour
        weight = fitted if query.behaviour_weight is None else query.behaviour_weight
        return cls(asking.snapshot, table, weight, past) if past else None

    def scores(self, interest: int, positions: Ints) -> Array:
        """See Term."""
        if self._totals is None or not self._weight:
            return np.zeros(len(positions), np.float32)
        rows = self._snapshot.table_rows[positions]
        totals = np.where(rows >= 0, self._totals[rows], np.float32(0))
        return np.asarray(np.float32(self._weight) * totals, np.float32)

    def candidates(self, depth: int) -> Ints:
        """See Term."""
        if self._totals is None or not self._weight:
            return np.zeros(0, np.int64)
        best = top(self._totals, depth)
        return self._snapshot.positions(self._table.item_ids[row] for row in best if self._totals[row] > 0)

    def by_source(self, interest: int, position: int) -> list[Part]:
        """See Term."""
        if not self._weight:
            return []
        item_id = self._snapshot.view.item_ids[position]
        values = {past: self._weight * a * self._table.entry(past, item_id) for past, a in self.past.items()}
        return [Part(BEHAVIOUR, value, past_item_id=past) for past, value in values.items() if value]

    def named_items(self) -> list[str]:
        """See Term."""
        return list(self.past)

    @classmethod
    def history_scores(cls, histories: Histories, head: Head) -> Array:
        """See Term."""
        table = histories.table
        assert table is not None
        rows, columns, values = [], [], []
        for n, past in enumerate(histories.past):
            total = sum(past.values())
            for item_id, a in past.items():
                if item_id in table.rows:
                    rows.append(n)
                    columns.append(table.rows[item_id])
                    values.append(a / total)
        shape = (len(histories.past), len(table.item_ids))
        shares = sparse.csr_matrix((np.asarray(values, np.float32), (rows, columns)), shape)
        return np.asarray((shares @ table.table).toarray(), np.float32)
