"""What the rest of the server must know of a kind of content, so that it need not ask which kind it is."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from itemlens_server.errors import Warning
from itemlens_server.fusion.parts import Places

if TYPE_CHECKING:
    from itemlens_server.engine.encoder import Encoder

ModelInput = TypeVar("ModelInput")


class Layout(ABC):
    """Where in a content the rows of its z stand."""

    @abstractmethod
    def places(self) -> Places:
        """Its places, and which of them each row of z belongs to. Only explanations ask, so it is worked out then."""


@dataclass(frozen=True, slots=True)
class Prepared(Generic[ModelInput]):
    """A content that is ready for the model. `stored`: what the store keeps of it, empty if not asked for."""

    model_input: ModelInput
    layout: Layout
    stored: bytes = b""
    warnings: tuple[Warning, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Modality:
    """A kind of content: how it is named, kept, encoded and explained.

    kind:          as in the manifest and the contract's ChannelKind
    field:         as in the contract's Content; the word for one of them in messages
    plural:        the word for several
    encoder:       what runs its models
    several:       whether an item may have more than one in a channel
    in_document:   whether an item's document holds it; if not, the store keeps the bytes in `Prepared.stored`
    quick:         whether preparing one takes less time than handing it to another thread
    by_purpose:    whether it is prepared differently for a query and for an item
    place:         kind of its places as in the contract's PartKind, the whole content included
    other_places:  further kinds
    fits:          by language, what a sentence says of one that fits; {} stands for its words
    sample_query:  a query that a content should be found by, cut from what the store has of it
    """

    kind: str
    field: str
    plural: str
    encoder: type[Encoder[Any, Any]]
    several: bool
    in_document: bool
    quick: bool
    by_purpose: bool
    place: str
    other_places: tuple[str, ...] = ()
    fits: Mapping[str, str]
    sample_query: Callable[[random.Random, Any], str | bytes]

    def max_per_item(self, limit: int) -> int:
        """How many an item may have in a channel. `limit`: the setting, for those that may be several."""
        return limit if self.several else 1
