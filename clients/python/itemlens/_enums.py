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


class Presence(StrEnum):
    """How a channel came into an ITEM vector."""

    UNSPECIFIED = "unspecified"
    PRESENT = "present"
    """From the item's own content."""
    PREDICTED = "predicted"
    """Predicted from its other channels."""
    ABSENT = "absent"
    """Missing: the channel counts neither for nor against the item."""


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
    """Users who took the past item took this item next."""
    BASELINE = "baseline"
    """Minus the weighted threshold of a channel that is present or predicted."""
