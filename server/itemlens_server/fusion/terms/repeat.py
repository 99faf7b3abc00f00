"""REPEAT: how often and how recently the user took this very item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

import numpy as np

from itemlens_server.fusion.head import Array
from itemlens_server.fusion.parts import Floats, Part
from itemlens_server.fusion.past import Past
from itemlens_server.fusion.past_source import PastSource
from itemlens_server.fusion.query import Asking
from itemlens_server.fusion.rows import Bools, Ints
from itemlens_server.fusion.terms.term import Term
from itemlens_server.fusion.weights import States

REPEAT = "REPEAT"
COLUMNS = ("REPEAT.had", "REPEAT.count", "REPEAT.recency", "REPEAT.frequency")


def columns(past: Past) -> Floats:
    """Return the columns of the past items, float64 [items, 4]: 1, ln count, -ln(1 + age), ln(1 + 3 frequency)."""
    return np.stack(
        [np.ones(len(past)), np.log(past.counts), -np.log1p(past.ages), np.log1p(3 * past.frequencies)],
        axis=1,
    )


class Repeat(Term):
    """The term of the history; liked items are no repeats."""

    kinds: ClassVar[tuple[str, ...]] = (REPEAT,)
    phrases: ClassVar[Mapping[str, Mapping[str, str]]] = {
        REPEAT: {"en": "you chose this before", "zh": "您选过它"}
    }

    def __init__(self, asking: Asking, source: PastSource) -> None:
        self._item_ids = asking.snapshot.view.item_ids
        self._columns = columns(source.past)
        totals = source.weight * self._columns @ np.asarray([source.weights.column(n).had for n in COLUMNS])
        self._positions, self._numbers = asking.had, asking.had_numbers
        self._evidence = totals[self._numbers].astype(np.float32)

    @classmethod
    def bind(cls, asking: Asking) -> Sequence[Self]:
        """See Term."""
        source = asking.history
        used = any(source.weights.column(name).had for name in COLUMNS)
        return [cls(asking, source)] if used and source.weight and len(source.past) else []

    @property
    def asked(self) -> bool:
        """See Term."""
        return bool(len(self._positions))

    def columns(self, interest: int, positions: Ints) -> Mapping[str, Array]:
        """See Term."""
        found, at = self._find(positions)
        values = np.zeros((len(positions), len(COLUMNS)), np.float32)
        values[found] = self._columns[self._numbers[at]]
        return dict(zip(COLUMNS, values.T, strict=True))

    def evidence(self, interest: int, positions: Ints, states: States) -> Array:
        """See Term."""
        found, at = self._find(positions)
        evidence = np.zeros(len(positions), np.float32)
        evidence[found] = self._evidence[at]
        return evidence

    def candidates(self, depth: int, eligible: Ints) -> Ints:
        """See Term."""
        places = np.searchsorted(eligible, self._positions).clip(max=max(len(eligible) - 1, 0))
        return self._positions[eligible[places] == self._positions] if len(eligible) else eligible

    def by_source(self, interest: int, position: int, state: int) -> list[Part]:
        """See Term."""
        found, at = self._find(np.asarray([position]))
        if not found[0] or not self._evidence[at[0]]:
            return []
        return [Part(REPEAT, float(self._evidence[at[0]]), past_item_id=self._item_ids[position])]

    def _find(self, positions: Ints) -> tuple[Bools, Ints]:
        """Return which positions are of past items, and where these are in the arrays."""
        at = np.searchsorted(self._positions, positions).clip(max=max(len(self._positions) - 1, 0))
        found = self._positions[at] == positions if len(self._positions) else np.zeros(len(positions), bool)
        return found, at[found]
