"""The bundled catalogue: items and pictures of our own making, with generated users and histories.

It serves the demonstration and the tests. The items stand in `catalogue.jsonl`, the pictures were drawn
by `tools/catalogue_pictures`, and the users, who are not real, come from the seeded generator in `users.py`.
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
