"""A consistent view of a collection for one call."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from itemlens_server.fusion.head import Head
from itemlens_server.fusion.rows import Ints, View
from itemlens_server.fusion.tables import Tables
from itemlens_server.fusion.weights import State, States


@dataclass(frozen=True)
class Snapshot:
    """The immutable state that scores depend on, taken at one moment.

    collection: its name
    tables:     None before they are computed, and if the space does not use events
    table_rows: row of the tables for each position of the view, -1 if the item has no events; int64 [positions]
    """

    collection: str
    head: Head
    view: View
    tables: Tables | None
    table_rows: Ints

    def positions(self, item_ids: Iterable[str]) -> Ints:
        """Return the positions of the items that exist, sorted, without duplicates."""
        positions = self.view.find(list(item_ids))
        return np.unique(positions[positions >= 0])

    def states(self, had: Ints) -> States:
        """Return what each item is to a user who had the items at the positions `had`, int8 [positions]."""
        states = np.full(len(self.view.labels), State.NEW, np.int8)
        if self.tables is not None:
            states[self.table_rows < 0] = State.COLD
        states[had] = State.HAD
        return states
