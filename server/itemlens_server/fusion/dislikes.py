"""What disliked items take away from items that look or read like them, and from nothing else.

    evidence_i = - max over disliked j of max(0, dot(h_i, u_j)),    u_j = [ w_c e_j,c , -w_c theta_c , -w_c theta'_c ]

So an item below the threshold of likeness loses nothing, and one above it loses in proportion to the disliked item that
is most like it. Where it loses, the sum is linear and is explained like any other. What behaviour and attributes say is
in the term `Rejection`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from itemlens_server.fusion.head import Array
from itemlens_server.fusion.parts import Floats
from itemlens_server.fusion.query import Asking
from itemlens_server.fusion.rows import Ints
from itemlens_server.fusion.sources import Source

# Rows that are copied at once.
BLOCK = 4096


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

    def evidence(self, h: Array, positions: Ints) -> Array:
        """Return what the items at `positions` of h [rows, dimension] lose, float32 [positions], at most 0.

        A matrix product finds the most alike of the disliked items. Its dot product is computed again, so that what an
        item loses does not depend on the other rows.
        """
        lost = np.zeros(len(positions), np.float32)
        for start in range(0, len(positions) if len(self.u) else 0, BLOCK):
            own = h[positions[start : start + BLOCK]]
            most_alike = self.u[(own @ self.u.T).argmax(1)]
            lost[start : start + BLOCK] = np.maximum(np.einsum("ij,ij->i", own, most_alike), 0)
        return -lost

    def active(self, h: Array) -> list[int]:
        """Return the number of the disliked item that takes something from the item h [dimension], if one does."""
        if not self.item_ids:
            return []
        dots = self.u @ h
        return [int(dots.argmax())] if dots.max() > 0 else []
