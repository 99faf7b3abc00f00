"""A user who is deleted, against a server that never saw them: lists, scores and parts of all others must be equal."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from itemlens import Client, Event
from itemlens_bench.speed.events.freshness import wait_until
from itemlens_bench.speed.events.made_up import KINDS, Shop, item_id, purchase

FORGOTTEN = "forgotten"
THEIR_EVENTS = 500
WATCHED = 5


def with_the_user(shop: Shop, events: Sequence[Event]) -> Iterator[Event]:
    """Yield the events with those of one more user between them, who takes of everything. Times are whole minutes for
    the others, so nothing of theirs is at the same time."""
    random = np.random.default_rng(shop.seed + 2)
    at = set(random.choice(len(events), THEIR_EVENTS, replace=False).tolist())
    popular = max(shop.items // KINDS, 1)
    for n, event in enumerate(events):
        yield event
        if n in at:
            yield purchase(FORGOTTEN, item_id(int(random.integers(0, popular))), n)


def answer(client: Client, user_id: str) -> list[tuple[Any, ...]]:
    """Return what is said to a user: items, scores, parts and reasons."""
    items = client.recommend(user_id=user_id, k=20, exclude_seen=False, parts=True, reasons=True).items
    return [
        (i.item_id, i.score, i.reason, [(p.kind, p.past_item_id, p.value) for p in i.parts]) for i in items
    ]


def forget(client: Client, never: Client, users: Sequence[str]) -> tuple[float, int, int]:
    """Delete the user, and compare the answers to `users` with those of a server that never saw them.

    Returns:
        The seconds until the answers to the first of `users` are equal, and the number of users with another answer
        before, and after.

    Raises:
        TimeoutError: they do not become equal.
    """
    expected = {user: answer(never, user) for user in users}

    def differs(user: str) -> bool:
        return answer(client, user) != expected[user]

    before = sum(map(differs, users))
    began = time.perf_counter()
    client.delete_user(FORGOTTEN)
    seconds = wait_until(lambda: not any(map(differs, users[:WATCHED])), began)
    return seconds, before, sum(map(differs, users))
