"""What disliked items take away by what is known of items: what taking them would have added.

    evidence_i = - w (g(S_i + S'_i) - g(S_i))

S is the sum over what the user took, S' the sum over what they dislike. So an item for which much else speaks loses
little, and one that only the disliked items point to loses all that they say. What items look and read like is in
`dislikes`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

import numpy as np

from itemlens_server.fusion.head import Array
from itemlens_server.fusion.parts import Part
from itemlens_server.fusion.query import Asking
from itemlens_server.fusion.rows import Ints
from itemlens_server.fusion.terms.attribute import Attribute
from itemlens_server.fusion.terms.behaviour import Behaviour, Succession
from itemlens_server.fusion.terms.past_term import PastTerm
from itemlens_server.fusion.terms.term import Term
from itemlens_server.fusion.weights import States


class Rejection(Term):
    """One term over past items, for disliked ones beside what was taken."""

    kinds: ClassVar[tuple[str, ...]] = ()
    of: ClassVar[tuple[type[PastTerm], ...]] = (Attribute, Behaviour, Succession)

    def __init__(self, disliked: PastTerm, taken: PastTerm | None) -> None:
        self.kind, self._disliked, self._taken = disliked.kind, disliked, taken
        self._weights = disliked.source.weights.column(disliked.kind)

    @classmethod
    def bind(cls, asking: Asking) -> Sequence[Self]:
        """See Term."""
        history = asking.history if asking.history.weight else None
        return [
            cls(disliked, term.over(asking, history) if history else None)
            for term in cls.of
            if asking.rejected.weights.column(term.kind).used
            and (disliked := term.over(asking, asking.rejected)) is not None
        ]

    @property
    def asked(self) -> bool:
        """See Term."""
        return self._disliked.asked

    @property
    def says_wanted(self) -> bool:
        """See Term."""
        return False

    def columns(self, interest: int, positions: Ints) -> Mapping[str, Array]:
        """See Term. g(S + S') - g(S)."""
        taken = self._taken.sums(positions) if self._taken else np.zeros(len(positions), np.float32)
        g = self._weights.transform
        return {f"REJECTION.{self.kind}": g(taken + self._disliked.sums(positions)) - g(taken)}

    def evidence(self, interest: int, positions: Ints, states: States) -> Array:
        """See Term."""
        (lost,) = self.columns(interest, positions).values()
        return np.asarray(-self._weights.by_state[states] * lost, np.float32)

    def by_source(self, interest: int, position: int, state: int) -> list[Part]:
        """See Term."""
        shares = self._disliked.shares(position)
        total = sum(shares.values())
        taken = sum(self._taken.shares(position).values()) if self._taken else 0.0
        with_both, alone = self._weights.transform(np.asarray([taken + total, taken])).tolist()
        lost = float(self._weights.by_state[state]) * (with_both - alone)
        is_share = not self._weights.transform.linear
        return [
            Part(self.kind, -lost * share / total, past_item_id=item_id, is_share=is_share)
            for item_id, share in shares.items()
            if lost
        ]
