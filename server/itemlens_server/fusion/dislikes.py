"""What disliked items take away from items that are like them, and from nothing else.

    evidence_i = - sum over disliked j of max(0, dot(h_i, u_j)),    u_j = [ w_c e_j,c , -w_c theta_c , -w_c theta'_c ]

So an item below the threshold of likeness loses nothing, and one above it loses in proportion. Where it loses, the sum
is linear and is explained like any other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from itemlens_server.fusion.head import Array
from itemlens_server.fusion.parts import Floats
from itemlens_server.fusion.query import Asking, Source


@dataclass(frozen=True)
class Dislikes:
    """The disliked items of a query: ids, u_j float32 [items, dimension], and e_j times weights by channel, float64
    [items, width]; zeros where an item lacks the channel."""

    item_ids: tuple[str, ...]
    u: Array
    rows: dict[str, Floats]

    @staticmethod
    def of(asking: Asking) -> Dislikes:
        """Return the disliked items of a query that are in the collection."""
        head, view = asking.snapshot.head, asking.snapshot.view
        sources = [Source(1.0, asking.dislike, np.asarray([p]), np.ones(1)) for p in asking.disliked.tolist()]
        u = [source.vector(head, view) for source in sources]
        rows = {
            name: np.stack([vector[head.block(name)] for vector in u]).astype(np.float64)
            for name in head.names
            if u
        }
        return Dislikes(
            tuple(view.item_ids[p] for p in asking.disliked.tolist()),
            np.stack(u) if u else np.zeros((0, head.dimension), np.float32),
            rows,
        )

    def active(self, h: Array) -> list[int]:
        """Return the numbers of the disliked items that take something from the item h [dimension]."""
        return np.flatnonzero(self.u @ h > 0).tolist() if self.item_ids else []
