"""The parts of a score. Terms make them; sentences and responses read them."""

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
    """One summand of a score; see the contract's Part. kind: name of a PartKind of the contract, such as "TOKEN".

    is_share: it is a share of a term that bends, not what the score would lose without it.
    spelling: of the question's word `text` in the item, if it is another one
    name: that of a boost.
    lately: it is popularity, most of it of late. Sentences alone tell it.
    """

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
    is_share: bool = False
    spelling: str = ""
    lately: bool = False
    name: str = ""


@dataclass(frozen=True)
class Places:
    """The places in one text or picture that its z belong to.

    parts: one for each place, without a value. owners: the place of each row of z, int64 [rows].
    """

    parts: tuple[Part, ...]
    owners: Ints

    def sum(self, values: Floats) -> Floats:
        """Return the sums by place, float64 [sources, places], of `values` of the rows of z, [sources, rows]."""
        totals = np.zeros((len(self.parts), len(values)))
        np.add.at(totals, self.owners, values.T)
        return totals.T


@dataclass(frozen=True)
class PlacedInput:
    """One text or picture of an explained item: v float32 [dim], which is the mean of z float32 [rows, dim]."""

    channel: str
    v: Array
    z: Array
    places: Places


@dataclass(frozen=True)
class ChannelSum:
    """The complete sum of a channel: values float64 [sources, places], and the sums over the sources in `places`."""

    channel: str
    imputed: bool
    sources: tuple[str, ...]
    places: tuple[Part, ...]
    values: Floats


def labelled(parts: Sequence[Part], values: Floats) -> tuple[Part, ...]:
    """Return `parts` with their values, float64 [parts]."""
    return tuple(replace(p, value=v) for p, v in zip(parts, values.tolist(), strict=True))
