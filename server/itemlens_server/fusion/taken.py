"""What a user did, summed up for a query: what they took, what they rejected, and what they have dealt with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from itemlens_server.fusion.history import DISLIKED, IMPRESSION, Interaction
from itemlens_server.fusion.past import Past

# The newest different items that count.
MOST_PAST = 1000


@dataclass(frozen=True)
class Taken:
    """A history, summed up.

    past:     the newest items that were taken, without those that were disliked since
    disliked: ids of rejected items that were not taken again since, oldest first
    seen:     ids of all items that the user did anything with, besides being shown them
    """

    past: Past
    disliked: tuple[str, ...] = ()
    seen: frozenset[str] = frozenset()

    @staticmethod
    def of(history: Sequence[Interaction], type_weights: Mapping[int, float]) -> Taken:
        """Sum up a history, oldest first."""
        disliked: dict[str, None] = {}
        for interaction in history:
            if interaction.type == DISLIKED:
                disliked.pop(interaction.item_id, None)  # put in again at the end
                disliked[interaction.item_id] = None
            elif type_weights.get(interaction.type, 0.0) > 0:
                disliked.pop(interaction.item_id, None)
        return Taken(
            Past.of(history, type_weights, MOST_PAST).without(disliked),
            tuple(disliked),
            frozenset(interaction.item_id for interaction in history if interaction.type != IMPRESSION),
        )
