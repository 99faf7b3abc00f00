"""The history of a user."""

from __future__ import annotations

from dataclasses import dataclass

# Numbers of the contract's EventType.
IMPRESSION, VIEW, CLICK, CART, PURCHASE, RETURN, DISLIKED = 1, 2, 3, 4, 5, 6, 7


@dataclass(frozen=True)
class Interaction:
    """Something that a user did with an item.

    type: number of the contract's EventType. time_ns: time if given by the caller, nanoseconds since 1970.
    """

    item_id: str
    type: int
    time_ns: int | None = None
