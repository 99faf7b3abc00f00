"""Named values, each the lower-case name of the proto's."""

from __future__ import annotations

from enum import StrEnum


class EventType(StrEnum):
    """What a user did with an item."""

    IMPRESSION = "impression"
    """It was shown. Does not count as interest."""
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
    """The asking side."""


class ChannelKind(StrEnum):
    """What a channel understands."""

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
    """Not at all: it counts neither for nor against the item."""


class PartKind(StrEnum):
    """What a part of a score comes from."""

    UNSPECIFIED = "unspecified"
    CHANNEL = "channel"
    """A whole channel."""
    PAST_ITEM = "past_item"
    """One past item's share in one channel."""
    QUERY = "query"
    """The share of the query's own words, picture or vector in one channel."""
    TOKEN = "token"
    """Some of the item's text: `start` to `end`."""
    CELL = "cell"
    """One cell of the item's picture: `row`, `column`."""
    SPECIAL = "special"
    """Positions of the text that are no words: sequence marks and the model's prefix."""
    BEHAVIOUR = "behaviour"
    """Who took the past item took this next."""
    BASELINE = "baseline"
    """The threshold of a channel that is there: what any item of it starts from."""
