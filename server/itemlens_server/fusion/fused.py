"""h of many items at once, from their raw vectors. The server computes the same with the head's graph (see `graph`)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from itemlens_server.fusion.channel_data import Bools, ChannelData, item_units
from itemlens_server.fusion.head import Array, Head, HeadChannel, unit


def fused(head: Head, data: Mapping[str, ChannelData], items: int) -> Array:
    """Return h, float32 [items, dimension]. A channel that is not in `data` is absent, and imputed where it can be."""
    none = ChannelData(np.zeros((0, 0), np.float32), np.zeros(0, np.int64))
    given = {c.name: data.get(c.name, none) for c in head.channels}
    return joined(head, {c.name: _units(c, given[c.name], items) for c in head.channels}, items)


def joined(head: Head, units: Mapping[str, tuple[Array, Bools]], items: int) -> Array:
    """Return h, float32 [items, dimension], from e_c of each item by channel, zeros if it has none, and which items
    have it."""
    h = np.zeros((items, head.dimension), np.float32)
    for channel in head.channels:
        block, (e, has) = head.block(channel.name), units[channel.name]
        h[:, block], h[:, block.stop] = e, has
        if channel.predictors:
            guess, known = predicted(channel, units, items)
            imputed = known & ~has
            h[imputed, block] = np.float32(channel.imputed_scale) * guess[imputed]
            h[:, block.stop + 1] = imputed
    return h


def predicted(
    channel: HeadChannel, units: Mapping[str, tuple[Array, Bools]], items: int
) -> tuple[Array, Bools]:
    """Return e'_c of each item, float32 [items, width], and which items have a channel that predicts it."""
    total, known = np.zeros((items, channel.width), np.float32), np.zeros(items, bool)
    for source, w in channel.predictors.items():
        e, has = units[source]
        total += e @ w
        known |= has
    return unit(total), known


def _units(channel: HeadChannel, data: ChannelData, items: int) -> tuple[Array, Bools]:
    if not len(data.vectors):
        return np.zeros((items, channel.width), np.float32), np.zeros(items, bool)
    return item_units(channel, data, items)
