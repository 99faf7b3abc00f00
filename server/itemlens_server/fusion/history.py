"""The history of a user, and the weight of each past item.

a_j = weight of the event's type x decay by position, newest first
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

# Numbers of the contract's EventType.
IMPRESSION, VIEW, CLICK, CART, PURCHASE, DISLIKED = 1, 2, 3, 4, 5, 7
# Interactions that show interest, unlike impressions, returns and dislikes.
TAKEN = (VIEW, CLICK, CART, PURCHASE)


@dataclass(frozen=True)
class Interaction:
    """Something that a user did with an item.

    type: number of the contract's EventType. time_ns: time if given by the caller, nanoseconds since 1970.
    """

    item_id: str
    type: int
    time_ns: int | None = None


@dataclass(frozen=True)
class HistoryRules:
    """Rules for the weights of past items; see the settings of the same names."""

    window: int = 50
    decay: float = 0.9
    type_weights: Mapping[int, float] = field(
        default_factory=lambda: {VIEW: 0.2, CLICK: 0.5, CART: 0.8, PURCHASE: 1.0}
    )

    def shares(self, history: Sequence[Interaction]) -> dict[str, float]:
        """Return a_j of the last `window` different items, newest first. `history` is oldest first.

        An item that occurs several times counts with its largest type weight at its latest position.
        """
        weights: dict[str, float] = {}
        for interaction in history:
            weight = self.type_weights.get(interaction.type, 0.0)
            if weight > 0:
                weights[interaction.item_id] = max(weights.pop(interaction.item_id, 0.0), weight)
        newest_first = list(reversed(weights.items()))[: self.window]
        return {item_id: weight * self.decay**n for n, (item_id, weight) in enumerate(newest_first)}
