"""A copy of the takers, by items in the order of their names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from itemlens_server.fusion.counts.events import KEY_BITS, SECOND
from itemlens_server.fusion.event_log import days
from itemlens_server.fusion.rows import Ints


@dataclass(frozen=True, eq=False)
class CopiedTakers:
    """See `CountedTakers`.

    codes: of the items, in the order of their names, int64 [items]. takes: by code, see `Takers`
    """

    item_ids: Sequence[str]
    codes: Ints
    takers: Ints
    takes: tuple[Ints, Ints]
    last_day: int
    times_are_an_order: bool

    @staticmethod
    def of(
        item_ids: Sequence[str],
        takers: Ints,
        takes: tuple[Ints, Ints],
        last_time: float,
        times_are_an_order: bool,
    ) -> CopiedTakers:
        """Return those of `item_ids` that have takers. All arrays are by code."""
        there = np.flatnonzero(takers).tolist()
        codes = np.asarray(sorted(there, key=item_ids.__getitem__), np.int64)
        names = tuple(item_ids[code] for code in codes.tolist())
        last_day = int(days(np.asarray([last_time]))[0]) if names else 0
        return CopiedTakers(names, codes, takers[codes], takes, last_day, times_are_an_order)

    @cached_property
    def by_day(self) -> tuple[Ints, Ints]:
        """See CountedTakers."""
        keys, users = self.takes
        ranks = np.zeros(int(self.codes.max(initial=-1)) + 1, np.int64)
        ranks[self.codes] = np.arange(len(self.codes))
        renamed = (keys >> KEY_BITS << KEY_BITS) | ranks[keys & SECOND]
        order = np.argsort(renamed)
        return renamed[order], users[order]
