"""What disliked items take away from items that look or read like them, and from nothing else.

    evidence_i = - max over disliked j of max(0, dot(h_i, u_j)),    u_j = [ w_c e_j,c , -w_c theta_c , -w_c theta'_c ]

So an item below the threshold of likeness loses nothing, and one above it loses in proportion to the disliked item that
is most like it. Where it loses, the sum is linear and is explained like any other. What behaviour and attributes say is
in the term `Rejection`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from itemlens_server.fusion.head import Array
from itemlens_server.fusion.query import Asking
from itemlens_server.fusion.rows import Ints

# Rows that are copied at once.
BLOCK = 4096


@dataclass(frozen=True)
class Dislikes:
    """The disliked items of a query that are in the collection: their ids, and u_j float32 [items, dimension]."""

    item_ids: tuple[str, ...]
    u: Array
    # The last positions that were asked for, and what they lose: it is the same for every interest.
    _last: list[tuple[Ints, Array]] = field(default_factory=list, compare=False, repr=False)

    @staticmethod
    def of(asking: Asking) -> Dislikes:
        """Return the disliked items of a query."""
        head, view, weights = asking.snapshot.head, asking.snapshot.view, asking.rejected.weights
        h = view.h[asking.disliked]
        u = np.zeros_like(h)
        for name in head.names:
            block, w, there = head.block(name), weights.of(name), head.present(h, name)
            u[:, block] = w.weight * h[:, block] * there[:, None]
            u[:, block.stop] = -w.weight * w.threshold * there
            u[:, block.stop + 1] = -w.weight * w.imputed_threshold * there
        return Dislikes(tuple(view.item_ids[p] for p in asking.disliked.tolist()), u)

    def evidence(self, h: Array, positions: Ints) -> Array:
        """Return what the items at `positions` of h [rows, dimension] lose, float32 [positions], at most 0.

        A matrix product finds the most alike of the disliked items. Its dot product is computed again, so that what an
        item loses does not depend on the other rows.
        """
        if not self.item_ids:
            return np.zeros(len(positions), np.float32)
        if not self._last or self._last[0][0] is not positions:
            # Copies of rows of h cost more than their products: most rows are taken where they are.
            most = 2 * len(positions) >= len(h)
            lost = self._lost(h)[positions] if most else self._lost(h, positions)
            self._last[:] = [(positions, -lost)]
        return self._last[0][1]

    def _lost(self, h: Array, positions: Ints | None = None) -> Array:
        lost = np.zeros(len(h) if positions is None else len(positions), np.float32)
        for start in range(0, len(lost), BLOCK):
            part = slice(start, start + BLOCK)
            own = h[part] if positions is None else h[positions[part]]
            most_alike = self.u[(own @ self.u.T).argmax(1)]
            lost[part] = np.maximum(np.einsum("ij,ij->i", own, most_alike), 0)
        return lost

    def active(self, h: Array) -> list[int]:
        """Return the number of the disliked item that takes something from the item h [dimension], if one does."""
        if not self.item_ids:
            return []
        dots = self.u @ h
        return [int(dots.argmax())] if dots.max() > 0 else []
