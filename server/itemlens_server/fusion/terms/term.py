"""The interface of the terms of the score."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from itemlens_server.fusion.head import Array, Head
from itemlens_server.fusion.item_to_item import ItemToItem
from itemlens_server.fusion.parts import ChannelSum, Part, PlacedInput
from itemlens_server.fusion.query import Asking
from itemlens_server.fusion.rows import Bools, Ints


@dataclass(frozen=True)
class Histories:
    """Many histories to score items for, used by a fit.

    past:       a_j by item, of each history
    candidates: ids of the items to score
    item_ids:   ids of all items of the collection, in the order of `channels`
    channels:   by channel: e, float32 [items, width], and which items have it, bool [items]
    table:      fitted to the earlier events; its items are the candidates
    """

    past: Sequence[Mapping[str, float]]
    candidates: Sequence[str]
    item_ids: Sequence[str]
    channels: Mapping[str, tuple[Array, Bools]]
    table: ItemToItem | None = None


class Term(ABC):
    """One summand of the score, bound to a query over a snapshot. Interests are given by their number.

    kinds:   names of the contract's PartKinds of its parts
    phrases: phrases about a kind of part in sentences, by language; {} stands for the past items' names
    """

    kinds: ClassVar[tuple[str, ...]]
    phrases: ClassVar[Mapping[str, Mapping[str, str]]] = {}

    @classmethod
    @abstractmethod
    def bind(cls, asking: Asking) -> Self | None:
        """Return the term for a query, or None if it does not apply."""

    @abstractmethod
    def scores(self, interest: int, positions: Ints) -> Array:
        """Return the term's scores of the items at `positions`, float32 [positions]."""

    def candidates(self, depth: int) -> Ints:
        """Return the positions of about `depth` items with its highest scores, besides the index's candidates."""
        return np.zeros(0, np.int64)

    @abstractmethod
    def by_source(self, interest: int, position: int) -> list[Part]:
        """Return its parts by source of the query. They add up to its score of the item."""

    def by_channel(self, interest: int, position: int) -> list[Part]:
        """Return its parts by channel of the item."""
        return self.by_source(interest, position)

    def by_place(
        self, interest: int, position: int, inputs: Sequence[PlacedInput]
    ) -> tuple[list[Part], list[ChannelSum]]:
        """Return its parts by place in the item's content, and the complete sums whose margins they are."""
        return self.by_source(interest, position), []

    def named_items(self) -> list[str]:
        """Return the ids of all items that its parts can name."""
        return []

    @classmethod
    @abstractmethod
    def history_scores(cls, histories: Histories, head: Head) -> Array:
        """Return its score at weight 1 of each candidate for each history, float32 [histories, candidates]."""
