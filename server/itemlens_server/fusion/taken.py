"""What a user did, summed up for a query: what they took, what they rejected, and what they have dealt with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from itemlens_server.fusion.event_log import Codes, Ints, Kinds, Mask
from itemlens_server.fusion.history import DISLIKED, IMPRESSION, PURCHASE, RETURN, Interaction
from itemlens_server.fusion.past import Past

# The newest different items that count. Half of them are kept for items that were more than looked at, so that whoever
# looks at much, or a robot in their name, does not lose what they took.
MOST_PAST = 1000

# Up to this many codes for each event, an array by code is faster than sorting.
_DENSE = 8

# What an event is to the past of its user.
KINDS = GLANCE, TAKE, BOUGHT, RETURNED, REJECTED = range(5)
"""A take of little weight; another take; one that a return takes away; a return; a rejection."""


@dataclass(frozen=True)
class Taken:
    """A history, summed up.

    past:     the newest items that were taken, without those that were disliked since
    disliked: ids of rejected items that were not taken again since, oldest first
    seen:     ids of all items that the user did anything with, besides being shown them
    """

    past: Past
    disliked: tuple[str, ...] = ()
    seen: frozenset[str] = frozenset()

    @staticmethod
    def of(history: Sequence[Interaction], type_weights: Mapping[int, float]) -> Taken:
        """Sum up a history, oldest first."""
        known = kinds_of(type_weights)
        told = [(i, kind) for i in history if (kind := known.get(i.type)) is not None]
        codes: dict[str, int] = {}
        items = np.asarray([codes.setdefault(i.item_id, len(codes)) for i, _ in told], np.int32)
        kinds = np.asarray([kind for _, kind in told], np.int8)
        kept = counting(kinds, items)
        takes = kinds < RETURNED
        return Taken(
            Past.of([i for i, _ in told], type_weights, MOST_PAST, kept[takes].tolist()),
            last_rejected((i.item_id, kind == REJECTED) for i, kind in told if kind != RETURNED),
            frozenset(interaction.item_id for interaction in history if interaction.type != IMPRESSION),
        )


def kind_of(event_type: int, type_weights: Mapping[int, float]) -> int | None:
    """Return what an event is to the past of its user, by the weights of the types; None if it does not count."""
    if event_type == DISLIKED:
        return REJECTED
    if event_type == RETURN:
        return RETURNED
    weight = type_weights.get(event_type, 0.0)
    if weight <= 0:
        return None
    if event_type == PURCHASE:
        return BOUGHT
    return TAKE if weight > max(type_weights.values()) / 2 else GLANCE


def kinds_of(type_weights: Mapping[int, float]) -> dict[int, int]:
    """Return `kind_of` of all types that count, by type."""
    types = {*type_weights, RETURN, DISLIKED}
    return {kind: told for kind in sorted(types) if (told := kind_of(kind, type_weights)) is not None}


def standing(kinds: Kinds, items: Codes) -> Mask:
    """Return which of a user's events are takes that nothing took back since, bool [events].

    A return takes back the last purchase of its item before it. An item whose last word is a rejection counts no more,
    until it is taken again. kinds, items: oldest first, int [events] each
    """
    kept: Mask = kinds < RETURNED
    told = np.flatnonzero(np.isin(items, items[~kept]))
    # By item, in the order of time: each event is looked at once.
    told = told[np.argsort(items[told], kind="stable")]
    for places in np.split(told, np.flatnonzero(np.diff(items[told])) + 1):
        bought: list[int] = []
        rejected = False
        own = places.tolist()
        for n in own:
            if kinds[n] == RETURNED:
                if bought:
                    kept[bought.pop()] = False
                continue
            rejected = bool(kinds[n] == REJECTED)
            if kinds[n] == BOUGHT:
                bought.append(n)
        if rejected:
            kept[own] = False
    return kept


def counting(kinds: Kinds, items: Codes) -> Mask:
    """Return which of a user's events are takes that stand, of at most MOST_PAST items, bool [events].

    kinds, items: oldest first, int [events] each
    """
    kept = standing(kinds, items)
    newest = newest_items(kinds[kept], items[kept], MOST_PAST)
    if newest is not None:
        kept &= np.isin(items, newest)
    return kept


def newest_items(kinds: Kinds, items: Codes, most: int) -> Codes | None:
    """Return the items of takes that count, at most `most`, int32, ascending; None if all do. Half of the places are
    for items that were more than looked at.

    kinds, items: those of the takes, oldest first, int [events] each
    """
    if len(items) <= most:
        return None
    found, last = last_places(items)
    if len(found) <= most:
        return None
    more = np.flatnonzero(kinds > GLANCE)
    kept = np.zeros(0, np.int64)
    if len(more):
        taken, places = last_places(items[more])
        kept = taken[np.argsort(-places)[: most // 2]]
    others = ~np.isin(found, kept)
    rest = found[others][np.argsort(-last[others])[: most - len(kept)]]
    return np.union1d(kept, rest).astype(np.int32)


def without_returned(
    events: Iterable[tuple[str, str, int, float]], type_weights: Mapping[int, float]
) -> Iterator[tuple[str, str, int, float]]:
    """Yield events without purchases that were returned. events: (user, item, type, time), by user and time."""
    known = kinds_of(type_weights)
    for _, group in groupby(events, key=lambda event: event[0]):
        own = list(group)
        if all(event[2] != RETURN for event in own):
            yield from own
            continue
        codes: dict[str, int] = {}
        items = np.asarray([codes.setdefault(item_id, len(codes)) for _, item_id, _, _ in own], np.int32)
        # What is rejected later was taken all the same: the fit learns from both.
        kinds = [TAKE if t == DISLIKED else known.get(t, GLANCE) for _, _, t, _ in own]
        kept = standing(np.asarray(kinds, np.int8), items).tolist()
        yield from (event for event, stands in zip(own, kept, strict=True) if stands)


def last_places(items: Codes) -> tuple[Ints, Ints]:
    """Return the distinct items, ascending, and the place of the last event of each, int64 [items] each.

    items: at least one.
    """
    n, size = len(items), int(items.max()) + 1
    if size <= _DENSE * n:
        # Of several values for one place, numpy keeps the last.
        last = np.full(size, -1)
        last[items] = np.arange(n)
        found = np.flatnonzero(last >= 0)
        return found, last[found]
    found, first = np.unique(items[::-1], return_index=True)
    return found.astype(np.int64), n - 1 - first


def last_rejected(words: Iterable[tuple[str, bool]]) -> tuple[str, ...]:
    """Return the items whose last word is a rejection, oldest first. words: (item, whether it was rejected, not taken),
    oldest first."""
    rejected: dict[str, None] = {}
    for item_id, is_rejection in words:
        rejected.pop(item_id, None)  # a repeated rejection is put in again at the end
        if is_rejection:
            rejected[item_id] = None
    return tuple(rejected)
