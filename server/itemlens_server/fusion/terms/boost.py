"""BOOST: what the caller adds to items, such as new ones. A part of the prior: it counts once, whatever is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

from itemlens_server.fusion.boosts import AppliedBoost
from itemlens_server.fusion.head import Array
from itemlens_server.fusion.parts import Part
from itemlens_server.fusion.query import Asking
from itemlens_server.fusion.ranking import top_positive
from itemlens_server.fusion.rows import Ints
from itemlens_server.fusion.terms.term import Term
from itemlens_server.fusion.weights import States

BOOST = "BOOST"


class Boosted(Term):
    """One boost. It is in nats already: no fit gives it a weight, or a threshold."""

    kinds: ClassVar[tuple[str, ...]] = (BOOST,)
    phrases: ClassVar[Mapping[str, Mapping[str, str]]] = {
        BOOST: {"en": "it is preferred here: {}", "zh": "这里优先推荐：{}"}
    }

    def __init__(self, boost: AppliedBoost) -> None:
        self.name, self._nats = boost.name, boost.nats

    @classmethod
    def bind(cls, asking: Asking) -> Sequence[Self]:
        """See Term. A boost that adds nothing to any item is none."""
        return [cls(boost) for boost in asking.boosts if boost.nats.any()]

    @property
    def asked(self) -> bool:
        """See Term."""
        return False

    def columns(self, interest: int, positions: Ints) -> Mapping[str, Array]:
        """See Term."""
        return {f"{BOOST}.{self.name}": self._nats[positions]}

    def evidence(self, interest: int, positions: Ints, states: States) -> Array:
        """See Term."""
        return self._nats[positions]

    def candidates(self, depth: int, eligible: Ints) -> Ints:
        """See Term."""
        return top_positive(self._nats[eligible], eligible, depth)

    def by_source(self, interest: int, position: int, state: int) -> list[Part]:
        """See Term."""
        value = float(self._nats[position])
        return [Part(BOOST, value, name=self.name)] if value else []
