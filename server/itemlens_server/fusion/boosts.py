"""Boosts over the rows of a collection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from itemlens_server.attributes.boosts import Boost
from itemlens_server.attributes.shapes import ByItem
from itemlens_server.fusion.rows import View

Nats = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True)
class AppliedBoost:
    """What a boost adds to each item of a view, nats, float32 [positions]."""

    name: str
    nats: Nats

    @staticmethod
    def of(boost: Boost, view: View, now: float) -> AppliedBoost:
        """Return a boost over the rows of a view. now: seconds since 1970.

        Raises:
            InvalidArgument: there is no such attribute, or it has a type that the shape does not fit.
        """
        if not isinstance(boost.shape, ByItem):
            return AppliedBoost(boost.name, boost.nats(view.attributes, now)[view.records])
        nats = np.zeros(len(view.labels), np.float32)
        positions = view.find(list(boost.shape.nats))
        there = positions >= 0
        nats[positions[there]] = np.fromiter(boost.shape.nats.values(), np.float32)[there]
        return AppliedBoost(boost.name, nats)
