"""Generates users and their histories for the bundled catalogue. The users are not real.

The generator makes up users with one to three tastes each. A user views items of these tastes and goes
further with falling probability (view, click, cart, purchase). After a cart or a purchase the next item is
often a related one. A few items are outside the user's tastes.
The same seed always gives the same users and events, and a smaller count gives the first of them.
"""

import itertools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Literal

from .catalogue import BundledItem, items
from .themes import THEMES

NOTE = "The users are not real: they and their events are generated."

SHOWCASE_USERS = ("user-001", "user-002", "user-003")
"""Three users with clear histories for demonstrations; the second one reads Chinese."""

EventType = Literal["view", "click", "cart", "purchase"]

_END = datetime(2026, 6, 1, tzinfo=UTC)
_SPAN = timedelta(days=90)
_GOES_ON: tuple[tuple[EventType, float], ...] = (("click", 0.65), ("cart", 0.45), ("purchase", 0.6))
_FOLLOWS_RELATION = 0.55
_STRAYS = 0.05

_SHOWCASE = (
    ("Maya Lindholm", ("japan", "photography", "coffee")),
    ("林晓彤", ("tea", "family")),
    ("Jonas Adeyemi", ("student", "programming", "music")),
)
_FIRST = (
    "Ada Ben Carla Dario Elif Finn Greta Hugo Ines Jakub Kira Leo Mina Nils Olga Pavel Rosa Sami Tara Yann"
)
_LAST = (
    "Abel Brandt Costa Dumas Eriksen Fabri Gomez Haas Ivanov Jansen Kaya Lund Moreau Nowak Okoye Petit Rossi"
)
_CHINESE = "王梓涵 李明轩 张雨桐 刘浩然 陈思远 杨若曦 赵一鸣 黄诗琪 周子墨 吴佳怡 徐天佑 孙语嫣"
_CHINESE_SHARE = 0.15


@dataclass(frozen=True)
class User:
    """A made-up person and the themes they care for."""

    user_id: str
    name: str
    themes: tuple[str, ...]


@dataclass(frozen=True)
class Event:
    """One thing that a made-up user did with an item."""

    event_id: str
    user_id: str
    item_id: str
    type: EventType
    time_seconds: float
    """Seconds since 1970."""
    quantity: int
    value: float
    """Price times quantity for a cart or a purchase, else zero."""


def users(seed: int = 7, count: int = 200) -> list[User]:
    """Make up users; the first three are the showcase users, whatever the seed."""
    return [_user(seed, number) for number in range(1, count + 1)]


def events(seed: int = 7, count: int = 200) -> list[Event]:
    """Make up the events of the users of the same seed and count, in order of time."""
    # Nobody has taken another colour or size yet.
    catalogue = {item.item_id: item for item in items() if not item.is_variant}
    histories = (_history(user, seed, catalogue) for user in users(seed, count))
    return sorted(itertools.chain.from_iterable(histories), key=lambda event: event.time_seconds)


def _user(seed: int, number: int) -> User:
    user_id = f"user-{number:03d}"
    if number <= len(_SHOWCASE):
        return User(user_id, *_SHOWCASE[number - 1])
    rng = Random(f"user {seed} {number}")
    if rng.random() < _CHINESE_SHARE:
        name = rng.choice(_CHINESE.split())
    else:
        name = f"{rng.choice(_FIRST.split())} {rng.choice(_LAST.split())}"
    how_many = rng.choices((1, 2, 3), (3, 5, 3))[0]
    return User(user_id, name, tuple(rng.sample(sorted(THEMES), how_many)))


def _history(user: User, seed: int, catalogue: dict[str, BundledItem]) -> list[Event]:
    rng = Random(f"events {seed} {user.user_id}")
    length = rng.randint(24, 40) if user.user_id in SHOWCASE_USERS else rng.randint(8, 40)
    visits = _visits(user, length, rng, catalogue)
    starts = sorted(_END.timestamp() - rng.random() * _SPAN.total_seconds() for _ in visits)
    history: list[Event] = []
    clock = 0.0
    for (item, steps), start in zip(visits, starts, strict=True):
        clock = max(clock + 60, start - 3600)
        quantity = rng.choice((1, 1, 1, 2)) if item.domain == "shop" else 1
        for step in steps:
            clock += rng.randint(5, 300)
            taken = step in ("cart", "purchase")
            pieces = quantity if taken else 1
            value = round(float(item.attributes["price"]) * pieces, 2) if taken else 0.0
            event_id = f"{user.user_id}-{len(history) + 1:02d}"
            history.append(Event(event_id, user.user_id, item.item_id, step, clock, pieces, value))
    return history


def _visits(
    user: User, length: int, rng: Random, catalogue: dict[str, BundledItem]
) -> list[tuple[BundledItem, list[EventType]]]:
    """Which items the user visits, one after another, and how far each visit goes."""
    visits: list[tuple[BundledItem, list[EventType]]] = []
    owned: set[str] = set()
    related: list[str] = []
    left = length
    while left:
        if related and rng.random() < _FOLLOWS_RELATION:
            item = catalogue[related.pop(rng.randrange(len(related)))]
        else:
            item = _pick(user, rng, catalogue, owned)
        steps: list[EventType] = ["view"]
        for step, chance in _GOES_ON:
            if len(steps) == left or rng.random() > chance:
                break
            steps.append(step)
        if "cart" in steps:
            related = [relation.item_id for relation in item.relations if relation.item_id not in owned]
        if "purchase" in steps:
            owned.add(item.item_id)
        visits.append((item, steps))
        left -= len(steps)
    return visits


def _pick(user: User, rng: Random, catalogue: dict[str, BundledItem], owned: set[str]) -> BundledItem:
    """An item of one of the user's themes, rarely another one, mostly in a language that the user reads."""
    strays = user.user_id not in SHOWCASE_USERS and rng.random() < _STRAYS
    ids = catalogue if strays else THEMES[rng.choice(user.themes)]
    choice = [catalogue[item_id] for item_id in ids if item_id not in owned]
    likes = {"zh": 5.0, "en": 1.0} if _reads_chinese(user) else {"zh": 0.03, "en": 1.0}
    return rng.choices(choice, [likes[item.language] for item in choice])[0]


def _reads_chinese(user: User) -> bool:
    """Users whose names are written in Chinese read Chinese."""
    return "\u4e00" <= user.name[0] <= "\u9fff"
