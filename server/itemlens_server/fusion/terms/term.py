"""The interface of the terms of the score."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

import numpy as np

from itemlens_server.fusion.head import Array
from itemlens_server.fusion.parts import ChannelSum, Part, PlacedInput
from itemlens_server.fusion.query import Asking
from itemlens_server.fusion.rows import Ints
from itemlens_server.fusion.weights import States


class Term(ABC):
    """One summand of the score, bound to a query over a snapshot. Interests are given by their number.

    kinds:   names of the contract's PartKinds of its parts
    phrases: phrases about a kind of part in sentences, by language; {} stands for the past items' names
    counted: for kinds that say what other users took: what stands for a past item in the phrase, with its name {}, the
             number {n} of users who took it and this item, and {people} or one {people}
    decays:  whether its columns depend on a decay of past items
    by_interest: whether its evidence differs between interests
    """

    kinds: ClassVar[tuple[str, ...]]
    phrases: ClassVar[Mapping[str, Mapping[str, str]]] = {}
    counted: ClassVar[Mapping[str, Mapping[str, str]]] = {}
    decays: ClassVar[bool] = False
    by_interest: ClassVar[bool] = False

    @classmethod
    @abstractmethod
    def bind(cls, asking: Asking) -> Sequence[Self]:
        """Return the term for each source of a query to which it applies."""

    @abstractmethod
    def evidence(self, interest: int, positions: Ints, states: States) -> Array:
        """Return what it adds to the log-odds of the items at `positions`, nats, float32 [positions].

        states: what each of these items is to the user.
        """

    @property
    def asked(self) -> bool:
        """Whether it says anything of the query. The prior does not, nor do past items that nothing is known of."""
        return True

    @property
    def says_wanted(self) -> bool:
        """Whether it says what the user wants. Neither the prior nor a dislike does."""
        return self.asked

    @abstractmethod
    def columns(self, interest: int, positions: Ints) -> Mapping[str, Array]:
        """Return what it knows of the items at `positions`, before weights: S by column, float32 [positions] each."""

    def candidates(self, depth: int, eligible: Ints) -> Ints:
        """Return the positions of about `depth` items with its highest scores, besides the index's candidates.

        eligible: positions that may be in the list, int64, ascending
        """
        return np.zeros(0, np.int64)

    @abstractmethod
    def by_source(self, interest: int, position: int, state: int) -> list[Part]:
        """Return its parts by source of the query. They add up to its evidence for the item."""

    def by_channel(self, interest: int, position: int, state: int) -> list[Part]:
        """Return its parts by channel of the item."""
        return self.by_source(interest, position, state)

    def by_place(
        self, interest: int, position: int, state: int, inputs: Sequence[PlacedInput]
    ) -> tuple[list[Part], list[ChannelSum]]:
        """Return its parts by place in the item's content, and the complete sums whose margins they are."""
        return self.by_source(interest, position, state), []
