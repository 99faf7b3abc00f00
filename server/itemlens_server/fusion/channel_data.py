"""The raw vectors of a channel, and the blocks of items made from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from itemlens_server.fusion.head import Array, HeadChannel, unit

Ints = np.ndarray[Any, np.dtype[np.int64]]
Bools = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class ChannelData:
    """Raw vectors of one channel: float32 [vectors, dim], and the item that each belongs to, int64 [vectors]."""

    vectors: Array
    owners: Ints

    def has(self, items: int) -> Bools:
        """Return which items have a vector, bool [items]."""
        return np.bincount(self.owners, minlength=items) > 0

    def only(self, vectors: Bools) -> ChannelData:
        """Return the vectors of a mask, bool [vectors]."""
        return ChannelData(self.vectors[vectors], self.owners[vectors])

    def of(self, numbers: Ints, items: int) -> ChannelData:
        """Return the vectors of some items, renumbered: item numbers[n] becomes n. `items`: number of all items."""
        places = np.full(items, -1)
        places[numbers] = np.arange(len(numbers))
        there = places[self.owners] >= 0
        return ChannelData(self.vectors[there], places[self.owners[there]])


def item_units(channel: HeadChannel, data: ChannelData, items: int) -> tuple[Array, Bools]:
    """Return e_c of each item, float32 [items, width] (zeros if the item has none), and which items have it."""
    e = unit(channel.project(data.vectors))
    sums = np.zeros((items, e.shape[1]), np.float32)
    np.add.at(sums, data.owners, e)
    return unit(sums), data.has(items)
