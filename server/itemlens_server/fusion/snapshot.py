"""What one call sees of a collection."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from itemlens_server.fusion.head import Head
from itemlens_server.fusion.item_to_item import ItemToItem
from itemlens_server.fusion.rows import Ints, View


@dataclass(frozen=True)
class Snapshot:
    """All that scores depend on, taken at one moment; nothing of it changes.

    collection: its name. table_rows: row of the table for each position of the view, -1 where the table does not know
    the item; int64 [positions].
    """

    collection: str
    head: Head
    view: View
    item_to_item: ItemToItem | None
    table_rows: Ints

    def positions(self, item_ids: Iterable[str]) -> Ints:
        """Positions of those items that are there, sorted, none twice."""
        positions = (self.view.position(item_id) for item_id in item_ids)
        return np.unique(np.asarray([p for p in positions if p is not None], np.int64))
