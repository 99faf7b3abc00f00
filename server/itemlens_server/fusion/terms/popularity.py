"""The prior: POPULARITY, what everybody takes, and NEWNESS, what nobody took yet. It counts once, whatever is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

import numpy as np

from itemlens_server.fusion.head import Array
from itemlens_server.fusion.parts import Part
from itemlens_server.fusion.prior_columns import COLUMNS, NEWNESS, POPULARITY
from itemlens_server.fusion.query import Asking
from itemlens_server.fusion.ranking import top
from itemlens_server.fusion.rows import Ints
from itemlens_server.fusion.tables import Tables
from itemlens_server.fusion.terms.term import Term
from itemlens_server.fusion.weights import State, States


def counts(tables: Tables) -> Array:
    """Return ln(1 + takers) by row of the tables: all, recent ones and those of the trend, float32 [n + 1, 3]; 0 in the
    last row, which stands for items without events."""
    each = np.log1p(np.stack([tables.takers, tables.recent, tables.trend], axis=1))
    return np.concatenate([each, np.zeros((1, 3))]).astype(np.float32)


class Popularity(Term):
    """Popularity of items with events, and a constant for those without."""

    kinds: ClassVar[tuple[str, ...]] = (POPULARITY, NEWNESS)
    phrases: ClassVar[Mapping[str, Mapping[str, str]]] = {
        POPULARITY: {"en": "many took it", "zh": "很多人选过它"},
        NEWNESS: {"en": "it is new here", "zh": "它是新上架的"},
    }
    lately: ClassVar[Mapping[str, str]] = {"en": "many took it lately", "zh": "最近很多人选了它"}

    def __init__(self, asking: Asking, tables: Tables) -> None:
        self._snapshot, self._tables = asking.snapshot, tables
        weights = [asking.prior.column(name) for name in COLUMNS]
        self._counts = counts(tables)
        self._above = self._counts - np.asarray([w.neutral for w in weights], np.float32)
        self._weights = np.stack([w.by_state for w in weights])
        # [n + 1, 3]: evidence by row of the tables and state
        self._evidence = self._above @ self._weights
        self._evidence[:, State.COLD] = asking.prior.column(NEWNESS).cold

    @classmethod
    def bind(cls, asking: Asking) -> Sequence[Self]:
        """See Term."""
        tables = asking.snapshot.tables
        used = any(asking.prior.column(name).used for name in (*COLUMNS, NEWNESS))
        return [cls(asking, tables)] if tables is not None and used else []

    @property
    def asked(self) -> bool:
        """See Term."""
        return False

    def columns(self, interest: int, positions: Ints) -> Mapping[str, Array]:
        """See Term."""
        rows = self._snapshot.table_rows[positions]
        found = dict(zip(COLUMNS, self._counts[rows].T, strict=True))
        return {**found, NEWNESS: (rows < 0).astype(np.float32)}

    def evidence(self, interest: int, positions: Ints, states: States) -> Array:
        """See Term."""
        return np.asarray(self._evidence[self._snapshot.table_rows[positions], states])

    def candidates(self, depth: int, eligible: Ints) -> Ints:
        """See Term."""
        rows = self._snapshot.table_rows[eligible]
        known, rows = eligible[rows >= 0], rows[rows >= 0]
        return np.sort(known[top(self._evidence[rows, State.NEW], depth)])

    def by_source(self, interest: int, position: int, state: int) -> list[Part]:
        """See Term."""
        row = self._snapshot.table_rows[position]
        value = float(self._evidence[row, state])
        if not value:
            return []
        if state == State.COLD:
            return [Part(NEWNESS, value)]
        ever, *late = (self._above[row] * self._weights[:, state]).tolist()
        return [Part(POPULARITY, value, lately=sum(late) > ever)]
