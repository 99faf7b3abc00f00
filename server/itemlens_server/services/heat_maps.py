"""What the cells of pictures bring, as grids of numbers or drawn over the pictures."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from itemlens_server.engine.pictures import decode, model_input
from itemlens_server.engine.repository import Space
from itemlens_server.fusion.parts import ChannelSum
from itemlens_server.services import heatmap
from itemlens_server.services.placing import CELL
from itemlens_server.storage.records import StoredItem

HeatMapFormat = Literal["GRID", "PNG"]


@dataclass(frozen=True)
class HeatMap:
    """One picture's cells, row by row: their values, or a PNG."""

    channel: str
    picture_index: int
    rows: int
    columns: int
    values: tuple[float, ...] = ()
    png: bytes = b""


def heat_maps(
    space: Space, form: HeatMapFormat, item: StoredItem, sums: Sequence[ChannelSum]
) -> list[HeatMap]:
    """A heat map of each picture in each channel that it has a part in."""
    maps = []
    for one in sums:
        cells: dict[tuple[str, int], list[float]] = {}
        for place in one.places:
            if place.kind == CELL:
                cells.setdefault((place.source_channel, place.picture_index), []).append(place.value)
        for (source, number), values in cells.items():
            about = space.encoders[source].about.picture
            assert about is not None
            rows, columns = about.grid_height, about.grid_width
            if form == "GRID":
                maps.append(HeatMap(one.channel, number, rows, columns, tuple(values)))
                continue
            data = [i.picture for i in item.inputs if i.channel == source][number]
            # As the model saw it: upright, cropped. It was stored, so its size is no matter any more.
            image = decode(
                data, sys.maxsize, background=about.alpha_background, exif_orientation=about.exif_orientation
            )
            png = heatmap.draw(model_input(image, about), values, rows, columns)
            maps.append(HeatMap(one.channel, number, rows, columns, png=png))
    return maps
