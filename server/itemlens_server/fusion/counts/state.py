"""Counts as they are kept on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from itemlens_server.fusion.counts.events import KEY_BITS, SECOND
from itemlens_server.fusion.counts.histories import Histories
from itemlens_server.fusion.rows import Ints

Arrays = Mapping[str, np.ndarray[Any, Any]]


@dataclass(frozen=True, eq=False)
class State:
    """Counts as they are kept on disk. users: as in `arrays`, by user."""

    users: Sequence[str]
    item_ids: Sequence[str]
    arrays: Arrays


@dataclass(frozen=True, eq=False)
class Copied:
    """A copy of counts, which is made quickly. arrays: those of the state, without the events."""

    item_ids: Sequence[str]
    histories: Histories
    arrays: Arrays

    def state(self) -> State:
        """Return what is kept on disk. Items that nobody has any more, such as a deleted user's, are left out."""
        events = self.histories.all()
        there = np.zeros(len(self.item_ids), np.bool_)
        there[events.items] = True
        item_ids, arrays, items = self.item_ids, dict(self.arrays), events.items
        if not there.all():
            used = np.flatnonzero(there)
            ranks = np.cumsum(there) - 1
            item_ids = [item_ids[code] for code in used.tolist()]
            arrays |= _only(arrays, used, ranks)
            items = ranks[items].astype(np.int32)
        arrays |= {
            "sizes": events.sizes, "times": events.times, "numbers": events.numbers, "items": items,
            "kinds": events.kinds,
        }  # fmt: skip
        return State(self.histories.users, item_ids, arrays)


def _only(arrays: Arrays, used: Ints, ranks: Ints) -> dict[str, np.ndarray[Any, Any]]:
    """Return takers and matrices of the items `used` alone. ranks: new codes, int64 [items]."""
    takes = arrays["takes"]
    renamed = (takes >> KEY_BITS << KEY_BITS) | ranks[takes & SECOND]
    some: dict[str, np.ndarray[Any, Any]] = {"takes": renamed}
    if "pairs" in arrays:
        rows = [
            arrays["pairs"][code * (code + 1) // 2 :][used[: n + 1]] for n, code in enumerate(used.tolist())
        ]
        some["pairs"] = np.concatenate(rows) if rows else arrays["pairs"][:0]
        some["ordered"] = arrays["ordered"][np.ix_(used, used)]
    return some
