"""Lists under caps and rules: what the best items are is one part of it, what merchandisers want the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

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
    around: Surroundings, ranked: Sequence[RecommendedItem], rules: ActiveRules, k: int
) -> list[RecommendedItem]:
    """Return a list in which each floor has its places, as far as items that match have room. What a floor lacks is
    moved up to the end of the list, the best first, and the last items that no floor needs leave it."""
    kept, done = list(ranked), list[Floor]()
    moved: dict[int, str] = {}  # rules by row
    for floor in rules.floors(k):
        _fill(around, kept, moved, floor, done)
        there = _count(floor, [*around.placed, *_rows(kept), *moved])
        if there < floor.places:
            rules.warn_of_floor(floor, there)
        done.append(floor)
    items = of_best_interest(around.scorer, np.asarray(list(moved), np.int64)) if moved else []
    items = [replace(item, rules=(moved[item.position],)) for item in items]
    return [*kept, *sorted(items, key=lambda item: -item.score)]


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


def _fill(
    around: Surroundings,
    kept: list[RecommendedItem],
    moved: dict[int, str],
    floor: Floor,
    done: Sequence[Floor],
) -> None:
    """Move items up until a floor has its places, or nothing that matches has room. done: floors that stay met."""
    for index in (around.index, ExactIndex()):
        listed = [*around.placed, *_rows(kept), *moved]
        missing = floor.places - _count(floor, listed)
        pool = around.mask & floor.matching
        pool[listed] = False
        if missing <= 0 or not kept or not pool.any():
            return
        rows, whole = best_rows(around.scorer, index, pool, around.caps.wanted(missing, pool))
        for _ in range(missing):
            swap = _swap(around, kept, moved, floor, done, rows)
            if swap is None:
                break
            leaving, row = swap
            kept.remove(leaving)
            moved[row] = floor.rule
            rows = rows[rows != row]
        if whole:
            return


def _swap(
    around: Surroundings,
    kept: Sequence[RecommendedItem],
    moved: Mapping[int, str],
    floor: Floor,
    done: Sequence[Floor],
    rows: Ints,
) -> tuple[RecommendedItem, int] | None:
    """Return the lowest item that may leave a list, and the first of some rows for which there is room then."""
    listed = [*around.placed, *_rows(kept), *moved]
    for leaving in reversed(kept):
        own = leaving.position
        needed = any(other.matching[own] and _count(other, listed) <= other.places for other in done)
        if needed or floor.matching[own]:
            continue
        room = around.caps.with_room(rows, [row for row in listed if row != own])
        if len(room):
            return leaving, int(room[0])
    return None


def _rows(items: Sequence[RecommendedItem]) -> list[int]:
    return [item.position for item in items]


def _count(floor: Floor, rows: Sequence[int]) -> int:
    return int(np.count_nonzero(floor.matching[np.asarray(rows, np.int64)]))
