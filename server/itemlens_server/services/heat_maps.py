"""Heat maps: the parts of a picture's cells, as grids of numbers or drawn over the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from itemlens_server.engine.repository import Space
from itemlens_server.fusion.parts import ChannelSum
from itemlens_server.storage.records import StoredItem

HeatMapFormat = Literal["GRID", "PNG"]


@dataclass(frozen=True)
class HeatMap:
    """The values of one picture's cells, row by row, or a PNG."""

    channel: str
    picture_index: int
    rows: int
    columns: int
    values: tuple[float, ...] = ()
    png: bytes = b""


def heat_maps(
    space: Space, form: HeatMapFormat, item: StoredItem, sums: Sequence[ChannelSum]
) -> list[HeatMap]:
    """A heat map for each picture and each channel in which it has parts."""
    maps = []
    for whole in sums:
        cells: dict[tuple[str, int], list[float]] = {}
        for place in whole.places:
            cells.setdefault((place.source_channel, place.picture_index), []).append(place.value)
        for (source, number), values in cells.items():
            drawer = space.encoders[source].heat_maps
            if drawer is None:
                continue
            grid, png = tuple(values), b""
            if form == "PNG":
                stored = [i.data for i in item.inputs if i.channel == source][number]
                grid, png = (), drawer.draw(stored, values)
            maps.append(HeatMap(whole.channel, number, drawer.rows, drawer.columns, grid, png))
    return maps
