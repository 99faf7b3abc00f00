"""Lists under caps and rules: what the best items are is one part of it, what merchandisers want the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from itemlens_server.engine.call_context import CallContext
from itemlens_server.fusion.caps import Caps
from itemlens_server.fusion.rows import Bools, Ints
from itemlens_server.fusion.scoring import Scorer
from itemlens_server.index.candidate_index import CandidateIndex
from itemlens_server.index.exact import ExactIndex
from itemlens_server.services.lists import best_rows, of_best_interest
from itemlens_server.services.results import RecommendedItem
from itemlens_server.services.rules import ActiveRules, Floor, PinnedRow


@dataclass(frozen=True)
class Surroundings:
    """What a list is made of: the scorer of log-probabilities, the index, the items that may be in it, bool [rows], its
    caps, and the rows that have places besides it."""

    scorer: Scorer
    index: CandidateIndex
    mask: Bools
    caps: Caps
    placed: Sequence[int]


def with_floors(
    around: Surroundings, ranked: Sequence[RecommendedItem], rules: ActiveRules, k: int, call: CallContext
) -> list[RecommendedItem]:
    """Return a list in which each floor has its places, as far as items that match have room. What a floor lacks is
    moved up to the end of the list, the best first, and the last items that no floor needs leave it.

    Raises:
        DeadlineExceeded, Cancelled: the call is over.
    """
    floors = rules.floors(k)
    if not floors:
        return list(ranked)
    filling = _Filling(around, ranked, call)
    for floor in floors:
        for index in (around.index, ExactIndex()):
            if filling.fill(floor, index):
                break
        if (there := filling.count(floor)) < floor.places:
            rules.warn_of_floor(floor, there)
        filling.done.append(floor)
    moved = filling.moved
    items = of_best_interest(around.scorer, np.asarray(list(moved), np.int64)) if moved else []
    items = [replace(item, rules=(moved[item.position],)) for item in items]
    return [*filling.kept, *sorted(items, key=lambda item: -item.score)]


def with_pins(
    scorer: Scorer, ranked: Sequence[RecommendedItem], pins: Sequence[PinnedRow]
) -> list[RecommendedItem]:
    """Return a list with the pinned items at their places, or at its end if it is shorter. pins: by place."""
    if not pins:
        return list(ranked)
    listed = list(ranked)
    items = of_best_interest(scorer, np.asarray([pin.row for pin in pins], np.int64))
    for pin, item in zip(pins, items, strict=True):
        listed.insert(pin.place - 1, replace(item, rules=(pin.rule,)))
    return listed


class _Filling:
    """A list while its floors get their places.

    kept:  its items that have not left
    moved: rules by row of the items that were moved up
    done:  floors that stay met
    """

    def __init__(self, around: Surroundings, ranked: Sequence[RecommendedItem], call: CallContext) -> None:
        self._around, self._call = around, call
        self.kept, self.moved, self.done = list(ranked), dict[int, str](), list[Floor]()
        self._room = around.caps.room(self._rows())

    def _rows(self) -> list[int]:
        return [*self._around.placed, *(item.position for item in self.kept), *self.moved]

    def count(self, floor: Floor) -> int:
        """Return how many items of the list match a floor."""
        return int(np.count_nonzero(floor.matching[np.asarray(self._rows(), np.int64)]))

    def fill(self, floor: Floor, index: CandidateIndex) -> bool:
        """Move items up until a floor has its places, or none that the index finds has room. Return whether no other
        index would find more."""
        pool = self._around.mask & floor.matching
        pool[self._rows()] = False
        missing = floor.places - self.count(floor)
        if missing <= 0 or not self.kept or not pool.any():
            return True
        rows, whole = best_rows(self._around.scorer, index, pool, self._around.caps.wanted(missing, pool))
        # A swap may make room for a row that had none beside an item that was tried before: hence another pass.
        while missing > 0 and rows.size:
            left = self._pass(floor, rows, missing)
            if len(left) == len(rows):
                break
            missing, rows = missing - len(rows) + len(left), left
        return whole or missing <= 0

    def _pass(self, floor: Floor, rows: Ints, missing: int) -> Ints:
        """Try once for each item, from the end of the list, to swap it for the first of some rows that has room then.
        Return the rows that are left. missing: most swaps."""
        spare = [self.count(other) - other.places for other in self.done]
        gone = set[int]()
        for item in reversed(self.kept):
            own = item.position
            needed = any(other.matching[own] and n <= 0 for other, n in zip(self.done, spare, strict=True))
            if needed or floor.matching[own]:
                continue
            self._call.check()
            self._room.leave(own)
            fit = np.flatnonzero(self._room.has(rows))
            if not len(fit):
                self._room.join(own)
                continue
            row = int(rows[fit[0]])
            self._room.join(row)
            rows = np.delete(rows, fit[0])
            spare = [
                n + int(other.matching[row]) - int(other.matching[own])
                for other, n in zip(self.done, spare, strict=True)
            ]
            gone.add(own)
            self.moved[row] = floor.rule
            if len(gone) == missing:
                break
        self.kept = [item for item in self.kept if item.position not in gone]
        return rows
