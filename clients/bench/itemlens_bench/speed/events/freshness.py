"""How soon an event of one user changes the list of another, and what computing BEHAVIOUR costs those who ask."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count

import numpy as np
from numpy.typing import NDArray

from itemlens import Client, Interaction, PartKind
from itemlens_bench.speed.events.made_up import Shop, item_id, purchase

Floats = NDArray[np.float64]

GIVE_UP_SECONDS = 1200.0
# How often is looked: what looks takes processors from what it waits for.
LOOK_SECONDS = 0.2
# After tables are computed, the server rests for 4 times as long as that took.
REST = 5.0
QUIET_SECONDS = 3.0
# What a computation takes at most, seconds.
LONGEST_FIT = 6.0


@dataclass(frozen=True)
class Seen:
    """What changed in the list of another user. read: milliseconds from the event's call to the end of the next read.
    kinds: the kinds of parts that changed there. behaviour: seconds until BEHAVIOUR's part changed."""

    read: float
    kinds: frozenset[str]
    behaviour: float


def parts(client: Client, item: str, candidate: str) -> Mapping[str, float]:
    """Return the parts of a candidate's score by kind, for somebody who took `item`."""
    [found] = client.recommend(
        history=[Interaction(item, "purchase")], candidates=[candidate], exclude_seen=False, parts=True
    ).items
    sums: dict[str, float] = {}
    for part in found.parts:
        sums[part.kind] = sums.get(part.kind, 0.0) + part.value
    return sums


def seen(client: Client, shop: Shop, number: int) -> Seen:
    """Let a new user take two items, one soon after the other, and look at the list of somebody who took the first."""
    item, candidate = item_id(number), item_id(number + 1)
    before = parts(client, item, candidate)
    began = time.perf_counter()
    minute = shop.events + 10 * number
    pair = [purchase(f"new-{number}", item, minute), purchase(f"new-{number}", candidate, minute + 1)]
    client.record_events(pair).raise_for_errors()
    after = parts(client, item, candidate)
    read = time.perf_counter() - began
    changed = frozenset(str(kind) for kind in after if after[kind] != before.get(kind))
    reached = wait_until(
        lambda: parts(client, item, candidate).get(PartKind.BEHAVIOUR) != before.get(PartKind.BEHAVIOUR),
        began,
    )
    return Seen(1000 * read, changed, reached)


def wait_until(done: Callable[[], bool], began: float) -> float:
    """Wait until `done`. Return the seconds since `began`.

    Raises:
        TimeoutError: it takes too long.
    """
    while not done():
        if time.perf_counter() > began + GIVE_UP_SECONDS:
            raise TimeoutError(f"nothing changed in {GIVE_UP_SECONDS:g} s")
        time.sleep(LOOK_SECONDS)
    return time.perf_counter() - began


def settle(client: Client, took: float = 0.0) -> None:
    """Wait until the tables know all events, and the rest after their computation is over. took: seconds of the
    computation, if one may have ended just now"""
    began, needed = time.perf_counter(), client.get_counts().sequence_number
    waited = wait_until(lambda: client.get_collection().behaviour_sequence_number >= needed, began)
    time.sleep(max(QUIET_SECONDS, REST * waited, REST * took))


def latencies(client: Client, users: int, until: Callable[[], bool], seed: int) -> Floats:
    """Ask for lists one after the other until `until`. Return milliseconds, float64 [calls]."""
    random = np.random.default_rng(seed)
    found = []
    while not until():
        user = f"u{random.integers(0, users)}"
        began = time.perf_counter()
        client.recommend(user_id=user, k=10)
        found.append(1000 * (time.perf_counter() - began))
    return np.asarray(found)


def while_computing(client: Client, shop: Shop, number: int) -> tuple[Floats, float]:
    """Record an event, and ask until the tables know it. Return the milliseconds of the calls, and the seconds."""
    client.record_events([purchase("late", item_id(number), 2 * shop.events + number)]).raise_for_errors()
    needed, began, checks = client.get_collection().sequence_number, time.perf_counter(), count()

    def known() -> bool:
        # Each tenth call asks whether the tables are there, so that this is little beside the calls.
        return next(checks) % 10 == 0 and client.get_collection().behaviour_sequence_number >= needed

    return latencies(client, shop.users, known, number), time.perf_counter() - began


def while_not(client: Client, shop: Shop, seconds: float, number: int) -> Floats:
    """Ask for some seconds. Return the milliseconds of the calls."""
    end = time.perf_counter() + seconds
    return latencies(client, shop.users, lambda: time.perf_counter() >= end, number)


def computing_and_not(client: Client, shop: Shop, rounds: int) -> tuple[Floats, Floats]:
    """Return the milliseconds of calls while BEHAVIOUR is computed, and of as long a time without, in turns."""
    computing, quiet = [], []
    seconds = LONGEST_FIT
    # What a server keeps of a user makes their second call faster, and the calls without a computation come second.
    for user in range(shop.users):
        client.recommend(user_id=f"u{user}", k=10)
    for number in range(rounds):
        # Else the calls of this round would be made in the rest after the last computation, too.
        settle(client, seconds)
        values, seconds = while_computing(client, shop, number)
        computing.append(values)
        time.sleep(QUIET_SECONDS)
        quiet.append(while_not(client, shop, seconds, number))
    return np.concatenate(computing), np.concatenate(quiet)
