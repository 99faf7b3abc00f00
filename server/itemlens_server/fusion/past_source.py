"""Past, liked or disliked items of a query as a source of the terms over past items, looked up in a snapshot."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from itemlens_server.fusion.past import Past
from itemlens_server.fusion.rows import Ints
from itemlens_server.fusion.snapshot import Snapshot
from itemlens_server.fusion.weights import QuestionWeights

_NONE = np.zeros(0, np.int64)


@dataclass(frozen=True)
class PastSource:
    """Items that were taken, are liked or are disliked, with the weights of their question.

    positions: of the items in the view, -1 for those that are not there; int64 [items]
    rows:      of the items in the tables, -1 for those without events; int64 [items]
    """

    weight: float
    weights: QuestionWeights
    past: Past
    positions: Ints = field(default_factory=lambda: _NONE)
    rows: Ints = field(default_factory=lambda: _NONE)

    def looked_up(self, snapshot: Snapshot) -> PastSource:
        """Return the same with the positions and rows of a snapshot: once for all terms, since a past is long."""
        positions, tables = snapshot.view.find(self.past.item_ids), snapshot.tables
        there = positions >= 0
        rows = np.full(len(positions), -1, np.int64)
        rows[there] = snapshot.table_rows[positions[there]]
        if tables is not None:  # items that were deleted still say what goes with them
            for n in np.flatnonzero(~there).tolist():
                rows[n] = tables.rows.get(self.past.item_ids[n], -1)
        return replace(self, positions=positions, rows=rows)

    @property
    def known(self) -> bool:
        """Whether anything is known of one of the items."""
        return bool((self.positions >= 0).any() or (self.rows >= 0).any())

    @property
    def strength(self) -> float:
        """How much is known: the sum of the strengths of the items of which something is known."""
        known = (self.positions >= 0) | (self.rows >= 0)
        return float(self.past.strengths[known].sum())

    def take(self, numbers: Ints) -> PastSource:
        """Return some of the items, without positions and rows."""
        return replace(self, past=self.past.take(numbers), positions=_NONE, rows=_NONE)
