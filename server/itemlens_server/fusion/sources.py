"""The query's side of the channels.

Each source adds evidence of its own, with the weights of its question:

q_c = unit(sum_j a_j e_j,c) for items, or the content's own e_c
u   = sum over sources of  weight_s [ w_c q_c , -w_c theta_c , -w_c theta'_c ]

A history may split into several interests, each with a u of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from itemlens_server.fusion.head import Array, Head
from itemlens_server.fusion.parts import Floats
from itemlens_server.fusion.rows import Ints, View
from itemlens_server.fusion.weights import QuestionWeights

PRESENT, IMPUTED = "PRESENT", "IMPUTED"
# A mean of unit vectors below this length is considered rounding error, not a direction.
CANCELLED = 1e-6


@dataclass(frozen=True)
class Source:
    """One summand of u: its weight, the weights of its question, and the origin of q.

    For items: positions and shares (a_j), int64 and float64 [items]. For content: q by channel. For a query vector: u.
    """

    weight: float
    weights: QuestionWeights
    positions: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    shares: Floats = field(default_factory=lambda: np.zeros(0, np.float64))
    q: Mapping[str, Array] = field(default_factory=dict)
    u: Array | None = None

    @property
    def of_items(self) -> bool:
        """Whether the source consists of items of the collection."""
        return not self.q and self.u is None

    def vector(self, head: Head, view: View, *, cold: bool = False) -> Array:
        """Return the u of this source, float32 [dimension]. cold: for items without events."""
        if self.u is not None:
            return np.asarray(self.weight * self.u, np.float32)
        return head.query_vector(self.directions(head, view), self.weights, self.weight, cold=cold)

    def directions(self, head: Head, view: View) -> Mapping[str, Array]:
        """Return the unit q_c by channel, float32 [width] each."""
        if not self.of_items:
            return self.q
        sums = {name: rows.sum(0) for name, rows in self.rows(head, view).items()}
        return {name: np.asarray(total / np.linalg.norm(total), np.float32) for name, total in sums.items()}

    def rows(self, head: Head, view: View) -> dict[str, Floats]:
        """Return a_j e_j,c of the source's items by channel, float64 [items, width]; zeros without the channel.

        A channel is left out if none of the items has it or if the items cancel each other out.
        """
        h = view.h[self.positions]
        rows = {}
        for name in head.names:
            a = self.shares * head.present(h, name)
            weighted = a[:, None] * h[:, head.block(name)].astype(np.float64)
            if np.linalg.norm(weighted.sum(0)) > CANCELLED * a.sum():
                rows[name] = weighted
        return rows


@dataclass(frozen=True)
class Interest:
    """One interest of a query: its share of the list, the sources of u, and its past items.

    u: float32 [dimension], for items with events or new to the user. cold: the same for items without events.
    """

    weight: float
    u: Array
    cold: Array
    sources: tuple[Source, ...]
    item_ids: tuple[str, ...]


def interest_of(
    weight: float,
    sources: Sequence[Source],
    item_ids: Sequence[str],
    prior: QuestionWeights,
    head: Head,
    view: View,
) -> Interest:
    """Return the interest with these sources. Its u contains the prior of having a channel, too."""
    start = np.zeros(head.dimension, np.float32)
    for name in head.names:
        flag = head.block(name).stop
        start[flag] = prior.column(f"{PRESENT}.{name}").new
        start[flag + 1] = prior.column(f"{IMPUTED}.{name}").new
    u, cold = (sum((s.vector(head, view, cold=cold) for s in sources), start) for cold in (False, True))
    return Interest(weight, u, cold, tuple(sources), tuple(item_ids))
