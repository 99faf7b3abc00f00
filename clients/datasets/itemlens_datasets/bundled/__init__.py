"""The bundled catalogue: our own items and pictures, with generated users and histories.

The demo and the tests use it. The items are in `catalogue.jsonl`. `tools/catalogue_pictures` has drawn the
pictures. The users are not real: `users.py` generates them from a seed.
"""

from .catalogue import BundledItem, items
from .themes import THEMES
from .users import NOTE, SHOWCASE_USERS, Event, EventType, User, events, users

__all__ = [
    "NOTE",
    "SHOWCASE_USERS",
    "THEMES",
    "BundledItem",
    "Event",
    "EventType",
    "User",
    "events",
    "items",
    "users",
]
