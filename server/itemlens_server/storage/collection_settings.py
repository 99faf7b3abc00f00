"""The settings of a collection, as they are stored."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from itemlens_server.attributes.boosts import Boost
from itemlens_server.attributes.schema import AttributeType
from itemlens_server.storage.rules import Rule

# An event of an own type that shows no interest is stored with this type; others have the number of their own type.
NO_INTEREST = 8
FIRST_OWN = 16
# The settings that a caller may give.
SETTINGS = ("event_types", "exploration", "attributes", "rules", "lexical", "boosts")


@dataclass(frozen=True)
class OwnType:
    """A type of event of the caller's own. The fields are those of the proto's OwnEventType.

    number: what its events are stored with; never used for another type of the collection
    """

    name: str
    weight: float
    liked_from: float | None = None
    disliked_to: float | None = None
    number: int = 0


@dataclass(frozen=True)
class Exploration:
    """Places for items without events: their share, and the lists that one item is drawn for at most."""

    share: float = 0.0
    max_lists: int = 100


@dataclass(frozen=True)
class Attribute:
    """The type of an attribute: the name of an `AttributeType`."""

    name: str
    type: str


@dataclass(frozen=True)
class Lexical:
    """What the words of searches are looked for in: channels of texts, none for all of them, and attributes."""

    channels: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()


@dataclass(frozen=True)
class CollectionSettings:
    """Settings of a collection. next_number: the number of the next new type. lexical: None: words do not count."""

    event_types: tuple[OwnType, ...] = ()
    next_number: int = FIRST_OWN
    exploration: Exploration = Exploration()
    attributes: tuple[Attribute, ...] = ()
    rules: tuple[Rule, ...] = ()
    lexical: Lexical | None = None
    boosts: tuple[Boost, ...] = ()

    @property
    def types(self) -> dict[str, AttributeType]:
        """The types that are given to attributes, by name."""
        return {own.name: AttributeType(own.type) for own in self.attributes}

    def type(self, name: str) -> OwnType | None:
        """Return the own type with this name."""
        return next((own for own in self.event_types if own.name == name), None)

    def weights(self, known: Mapping[int, float]) -> dict[int, float]:
        """Return the weights of all types by number. known: those of the types that every collection has."""
        return {**known, **{own.number: own.weight for own in self.event_types}}

    def replaced_by(self, new: CollectionSettings) -> CollectionSettings:
        """Return new settings, in which types that stay keep their numbers, and others get new ones."""
        types, number = [], self.next_number
        for own in new.event_types:
            old = self.type(own.name)
            types.append(
                OwnType(own.name, own.weight, own.liked_from, own.disliked_to, old.number if old else number)
            )
            number += old is None
        return replace(new, event_types=tuple(types), next_number=number)

    def dump(self) -> str:
        """Return the settings as JSON."""
        whole = {**asdict(self), "boosts": [boost.stored() for boost in self.boosts]}
        return json.dumps(whole, separators=(",", ":"))

    @staticmethod
    def parse(text: str) -> CollectionSettings:
        """Return the settings of a JSON text from `dump`; the default ones of an empty text."""
        if not text:
            return CollectionSettings()
        value = json.loads(text)
        lexical = value.get("lexical")
        return CollectionSettings(
            tuple(OwnType(**own) for own in value["event_types"]),
            value["next_number"],
            # Earlier versions had none of these.
            Exploration(**value.get("exploration", {})),
            tuple(Attribute(**own) for own in value.get("attributes", ())),
            tuple(Rule.parse(own) for own in value.get("rules", ())),
            None if lexical is None else Lexical(tuple(lexical["channels"]), tuple(lexical["attributes"])),
            tuple(Boost.of_stored(own) for own in value.get("boosts", ())),
        )


DEFAULT = CollectionSettings()
