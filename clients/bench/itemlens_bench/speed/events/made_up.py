"""A made-up shop: items of kinds, and users who take items of few kinds, the popular ones more often (Zipf)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from itemlens import Event, EventType, Item
from itemlens_bench.speed.cost import WORDS

Ints = NDArray[np.int64]

KINDS = 40
TASTES = 3
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Shop:
    """The sizes of a shop. An event number n is a minute after the one before it."""

    items: int
    users: int
    events: int
    seed: int = 7

    def catalogue(self) -> Iterator[Item]:
        """Yield the items: five random words, two of which its kind has."""
        random = np.random.default_rng(self.seed)
        for n in range(self.items):
            kind = n % KINDS
            own = [WORDS[kind % len(WORDS)], WORDS[(kind * 7 + 3) % len(WORDS)], *random.choice(WORDS, 3)]
            yield Item(item_id(n), text=" ".join(own))

    def taken(self) -> tuple[Ints, Ints]:
        """Return the user and the item of each event, int64 [events] each."""
        random = np.random.default_rng(self.seed + 1)
        tastes = random.integers(0, KINDS, (self.users, TASTES))
        users = random.integers(0, self.users, self.events)
        kinds = tastes[users, random.integers(0, TASTES, self.events)]
        per_kind = max(self.items // KINDS, 1)
        weights = 1 / np.arange(1, per_kind + 1, dtype=np.float64)
        ranks = random.choice(per_kind, self.events, p=weights / weights.sum())
        return users, np.minimum(ranks * KINDS + kinds, self.items - 1)

    def history(self) -> Iterator[Event]:
        """Yield the events, oldest first."""
        for n, (user, item) in enumerate(zip(*(a.tolist() for a in self.taken()), strict=True)):
            yield purchase(f"u{user}", item_id(item), n)


def item_id(number: int) -> str:
    """Return the id of an item."""
    return f"item-{number:06}"


def purchase(user_id: str, item: str, minute: int) -> Event:
    """Return an event, `minute` minutes after the first one."""
    return Event(user_id, item, EventType.PURCHASE, BEGIN + timedelta(minutes=minute))
