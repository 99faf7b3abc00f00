"""The parts of a score, as terms make them and sentences and replies read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from itemlens_server.fusion.head import Array
from itemlens_server.fusion.rows import Ints

Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Part:
    """One summand of a score; see the contract's Part. kind: a name of the contract's PartKind, such as "TOKEN"."""

    kind: str
    value: float = 0.0
    channel: str = ""
    imputed: bool = False
    past_item_id: str = ""
    source_channel: str = ""
    text: str = ""
    start: int = 0
    end: int = 0
    picture_index: int = 0
    row: int = 0
    column: int = 0


@dataclass(frozen=True)
class Places:
    """Where in one text or picture its z lie.

    parts: one for each place, with no value yet. owners: the place of each row of z, int64 [rows].
    """

    parts: tuple[Part, ...]
    owners: Ints

    def sum(self, values: Floats) -> Floats:
        """`values` of the rows of z, [sources, rows], added up by place: float64 [sources, places]."""
        totals = np.zeros((len(self.parts), len(values)))
        np.add.at(totals, self.owners, values.T)
        return totals.T


@dataclass(frozen=True)
class PlacedInput:
    """One text or picture of an item that is explained: v float32 [dim], the mean of z float32 [rows, dim]."""

    channel: str
    v: Array
    z: Array
    places: Places


@dataclass(frozen=True)
class ChannelSum:
    """A channel's whole sum: values float64 [sources, places], with its margin over the sources in `places`."""

    channel: str
    imputed: bool
    sources: tuple[str, ...]
    places: tuple[Part, ...]
    values: Floats


def labelled(parts: Sequence[Part], values: Floats) -> tuple[Part, ...]:
    """`parts` with their values, float64 [parts]."""
    return tuple(replace(p, value=v) for p, v in zip(parts, values.tolist(), strict=True))
