"""The score of a query: alpha = the sum of the terms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from itemlens_server.errors import InvalidArgument, NotFound
from itemlens_server.fusion.head import Array
from itemlens_server.fusion.parts import ChannelSum, Part, PlacedInput
from itemlens_server.fusion.query import Asking, Interest
from itemlens_server.fusion.rows import Ints
from itemlens_server.fusion.snapshot import Snapshot
from itemlens_server.fusion.terms import TERMS, Term


@dataclass(frozen=True)
class Scorer:
    """The terms that apply to a query, bound to it."""

    asking: Asking
    terms: tuple[Term, ...]

    @property
    def snapshot(self) -> Snapshot:
        """The snapshot of the query."""
        return self.asking.snapshot

    @property
    def interests(self) -> tuple[Interest, ...]:
        """The interests of the query."""
        return self.asking.interests

    def scores(self, interest: int, positions: Ints) -> Array:
        """Return alpha of the items at `positions` for the interest number `interest`, float32 [positions]."""
        total = np.zeros(len(positions), np.float32)
        for term in self.terms:
            total = total + term.scores(interest, positions)
        return total

    def by_channel(self, interest: int, position: int) -> list[Part]:
        """Return the parts of the score of the item at `position` by channel. They add up to the score."""
        return [part for term in self.terms for part in term.by_channel(interest, position)]

    def by_source(self, interest: int, position: int) -> list[Part]:
        """Return the parts of the score by source of the query."""
        return [part for term in self.terms for part in term.by_source(interest, position)]

    def by_place(
        self, interest: int, position: int, inputs: Sequence[PlacedInput]
    ) -> tuple[list[Part], list[ChannelSum]]:
        """Return the parts by place in the item's content, `inputs`, and the complete sums whose margins they are."""
        parts, sums = [], []
        for term in self.terms:
            own_parts, own_sums = term.by_place(interest, position, inputs)
            parts += own_parts
            sums += own_sums
        return parts, sums

    def named_items(self) -> list[str]:
        """Return the ids of all items that parts can name, without duplicates."""
        return list(dict.fromkeys(item_id for term in self.terms for item_id in term.named_items()))


def bind(asking: Asking) -> Scorer:
    """Return the scorer of a query.

    Raises:
        InvalidArgument: the query is empty.
        NotFound: none of the items of the query is in the collection.
    """
    terms = [term for cls in TERMS if (term := cls.bind(asking)) is not None]
    if not terms:
        if asking.seen:
            raise NotFound(
                "none of the items of `user` is in the collection; record events or give a query",
                "item", next(iter(asking.seen)), "user",
            )  # fmt: skip
        raise InvalidArgument(
            "`user` is empty: give history, user_id, query, liked_item_ids or query_vector", "user"
        )
    return Scorer(asking, tuple(terms))
