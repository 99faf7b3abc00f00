"""What a user did, summed up for a query: what they took, what they rejected, and what they have dealt with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
        words = (i for i in history if i.type == DISLIKED or type_weights.get(i.type, 0.0) > 0)
        disliked = last_rejected((i.item_id, i.type == DISLIKED) for i in words)
        return Taken(
            Past.of(history, type_weights, MOST_PAST).without(frozenset(disliked)),
            disliked,
            frozenset(interaction.item_id for interaction in history if interaction.type != IMPRESSION),
        )


def last_rejected(words: Iterable[tuple[str, bool]]) -> tuple[str, ...]:
    """Return the items whose last word is a rejection, oldest first. words: (item, whether it was rejected, not taken),
    oldest first."""
    rejected: dict[str, None] = {}
    for item_id, is_rejection in words:
        rejected.pop(item_id, None)  # a repeated rejection is put in again at the end
        if is_rejection:
            rejected[item_id] = None
    return tuple(rejected)
