"""String enums. Each value is the lower-case name of the proto's value."""

from __future__ import annotations

from enum import StrEnum


class EventType(StrEnum):
    """What a user did with an item."""

    IMPRESSION = "impression"
    """The item was shown. Does not count as interest."""
    VIEW = "view"
    CLICK = "click"
    CART = "cart"
    PURCHASE = "purchase"
    """Bought, booked or taken."""
    RETURN = "return"
    """Given back. Does not count as interest."""
    DISLIKE = "dislike"
    """Counts against the item and what is like it."""
    OWN = "own"
    """A type of the collection's own, whose name is in `own_type`."""


class AttributeType(StrEnum):
    """Type of an attribute's values."""

    UNSPECIFIED = "unspecified"
    STRING = "string"
    NUMBER = "number"
    INTEGER = "integer"
    """A whole number of 64 bits. One with more than 53 is given, and returned, as a text of digits."""
    BOOLEAN = "boolean"
    TIME = "time"
    """A text such as "2026-11-27T12:30:00Z", or "2026-11-27" for the start of the day in UTC."""
    STRINGS = "strings"
    """A list of texts."""
    POINT = "point"
    """A place: {"lat": 48.1, "lon": 11.6}, in degrees."""


class Role(StrEnum):
    """What a vector stands for: score = dot(QUERY, ITEM)."""

    UNSPECIFIED = "unspecified"
    CHANNEL = "channel"
    """Output of one channel's encoder."""
    ITEM = "item"
    """Fused representation of an item."""
    QUERY = "query"
    """Representation of the user or query."""


class ChannelKind(StrEnum):
    """Kind of content that a channel encodes."""

    UNSPECIFIED = "unspecified"
    TEXT = "text"
    IMAGE = "image"
    EXTERNAL = "external"
    """Vectors of the caller's own."""


class Presence(StrEnum):
    """How a channel came into an ITEM vector."""

    UNSPECIFIED = "unspecified"
    PRESENT = "present"
    """From the item's own content."""
    PREDICTED = "predicted"
    """Predicted from its other channels."""
    ABSENT = "absent"
    """Missing: the channel counts neither for nor against the item."""


class Basis(StrEnum):
    """What a list is based on."""

    UNSPECIFIED = "unspecified"
    EVIDENCE = "evidence"
    """What the user's side says is wanted: a history, liked items, words, pictures or a vector."""
    PRIOR = "prior"
    """Nothing is known of what the user wants: the items are popular, taken of late or new, and of different kinds."""


class PartKind(StrEnum):
    """Source of a part of a score."""

    UNSPECIFIED = "unspecified"
    CHANNEL = "channel"
    """A whole channel."""
    PAST_ITEM = "past_item"
    """The contribution of one past item in one channel."""
    QUERY = "query"
    """The contribution of the query's own text, picture or vector in one channel."""
    TOKEN = "token"
    """A span of the item's text, from `start` to `end`."""
    CELL = "cell"
    """One cell of the item's picture: `row`, `column`."""
    SPECIAL = "special"
    """Token positions without words of the text: special tokens and the model's prefix."""
    BEHAVIOUR = "behaviour"
    """Users who took the past item also took this item. Without a past item: the threshold of the term."""
    BASELINE = "baseline"
    """What having content in the channel adds: minus the weighted threshold, and the prior of having it."""
    ATTRIBUTE = "attribute"
    """Attribute values that the past item shares with this item. Without a past item: the threshold of the term."""
    SEQUENCE = "sequence"
    """Users took this item soon after the past item. Without a past item: the threshold of the term."""
    REPEAT = "repeat"
    """The user took this very item before."""
    POPULARITY = "popularity"
    """How many users took the item."""
    NEWNESS = "newness"
    """The item has no events yet."""
    LEXICAL = "lexical"
    """A word of the question, `text`, that the item has in the texts and attributes of the collection's `lexical`."""
    BOOST = "boost"
    """A boost of the caller's own; `name` says which."""
    VECTOR = "vector"
    """The item's vector in a channel of ChannelKind.EXTERNAL, as a whole."""
    NORMALISATION = "normalisation"
    """What turns log-odds into a log-probability. The same for every item of an interest."""
