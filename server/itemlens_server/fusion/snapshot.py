"""A consistent view of a collection for one call."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from itemlens_server.fusion.head import Head
from itemlens_server.fusion.item_to_item import ItemToItem
from itemlens_server.fusion.rows import Ints, View


@dataclass(frozen=True)
class Snapshot:
    """The immutable state that scores depend on, taken at one moment.

    collection: its name. table_rows: row of the table for each position of the view, -1 if the item is not in the
    table; int64 [positions].
    """

    collection: str
    head: Head
    view: View
    item_to_item: ItemToItem | None
    table_rows: Ints

    def positions(self, item_ids: Iterable[str]) -> Ints:
        """Return the positions of the items that exist, sorted, without duplicates."""
        positions = (self.view.position(item_id) for item_id in item_ids)
        return np.unique(np.asarray([p for p in positions if p is not None], np.int64))
