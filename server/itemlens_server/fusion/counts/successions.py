"""Ordered pairs of items: what a user took soon after what, in fixed point.

    amount of (j, i) = sum over pairs of a user's baskets a < b, b - a <= HORIZON, with j in a and i in b, i not j,
                       of round(UNIT step ^ (b - a - 1))

A pair of more than 200 items in one basket says nothing of order: it is an import of old events rather than a basket.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from itemlens_server.fusion.counts.user_events import UserEvents
from itemlens_server.fusion.event_log import Codes
from itemlens_server.fusion.rows import Ints

STEP = 0.6
HORIZON = 10
LARGEST_BASKET = 200
UNIT = 1024
"""The amount of one item right after another. An uint32 holds four million of them for each pair of items."""
_AT_A_TIME = 4_000_000
_ITEM_BITS = 32


@dataclass(frozen=True)
class Window:
    """Some successive baskets of a user. Pairs of baskets (a, b) with b >= first and a <= last are counted.

    numbers: basket number of each event, int64, ascending. items: codes, int32
    """

    numbers: Ints
    items: Codes
    first: int
    last: int


def fixed(step: float) -> Ints:
    """Return the amount of a pair of items by the gap of their baskets, int64 [HORIZON]."""
    return np.round(UNIT * step ** np.arange(HORIZON)).astype(np.int64)


def changed_windows(before: UserEvents, after: UserEvents) -> tuple[Window, Window]:
    """Return the windows of both, outside of which all pairs of baskets are the same."""
    short = min(len(before), len(after))
    start = _same(before.numbers[:short], after.numbers[:short])
    rest = short - start
    end = _same(before.numbers[len(before) - rest :][::-1], after.numbers[len(after) - rest :][::-1])
    both = (before, after)
    # A basket at the edge that another event joins or leaves is touched, too.
    joined = start > 0 and any(len(e) > start and e.times[start] == e.times[start - 1] for e in both)
    followed = end > 0 and any(len(e) > end and e.times[-end - 1] == e.times[-end] for e in both)
    one, other = (_window(events, start, end, joined, followed) for events in both)
    return one, other


def _same(one: Ints, other: Ints) -> int:
    """Return how many numbers at the start are equal."""
    differ = one != other
    first = int(differ.argmax()) if len(differ) else 0
    return first if len(differ) and differ[first] else len(differ)


def _window(events: UserEvents, start: int, end: int, joined: bool, followed: bool) -> Window:
    baskets = events.basket_numbers()
    stop = len(events) - end
    first = int(baskets[start - 1]) + (not joined) if start else 0
    last = int(baskets[stop]) - (not followed) if end else (int(baskets[-1]) if len(baskets) else 0)
    there = slice(*np.searchsorted(baskets, (first - HORIZON, last + HORIZON + 1)).tolist())
    return Window(baskets[there], events.items[there], first, last)


def successions(windows: Sequence[Window], amounts: Ints) -> Iterator[tuple[Ints, Ints, Ints]]:
    """Yield (earlier item, later item, amount), int64 [pairs] each; a pair of items may occur several times.

    amounts: by gap, see `fixed`.
    """
    windows = [window for window in windows if len(window.numbers)]
    if not windows:
        return
    # The baskets of all windows are numbered on, so far apart that none is soon after one of another user.
    firsts = np.asarray([window.numbers[0] for window in windows])
    sizes = np.asarray([window.numbers[-1] for window in windows]) - firsts + HORIZON + 1
    starts = np.cumsum(sizes) - sizes
    shifts = starts - firsts
    numbers = np.concatenate([w.numbers + shift for w, shift in zip(windows, shifts.tolist(), strict=True)])
    items = np.concatenate([window.items for window in windows])
    keys = np.unique((numbers << _ITEM_BITS) | items)
    items = keys & ((1 << _ITEM_BITS) - 1)
    baskets, begins, counts = np.unique(keys >> _ITEM_BITS, return_index=True, return_counts=True)
    owners = np.searchsorted(starts, baskets, "right") - 1
    first = (np.asarray([window.first for window in windows]) + shifts)[owners]
    last = (np.asarray([window.last for window in windows]) + shifts)[owners]
    small = counts <= LARGEST_BASKET

    gaps = np.arange(1, HORIZON + 1)
    later = np.minimum(np.arange(len(baskets))[:, None] + gaps, len(baskets) - 1)
    found = (baskets[later] == baskets[:, None] + gaps) & small[:, None] & small[later]
    found &= (baskets[later] >= first[:, None]) & (baskets <= last)[:, None]
    one, gap = np.nonzero(found)
    other = later[one, gap]
    pairs = counts[one] * counts[other]
    for part in _parts(np.cumsum(pairs)):
        a, b, n = one[part], other[part], pairs[part]
        owner = np.repeat(np.arange(len(n)), n)
        place = np.arange(len(owner)) - np.repeat(np.cumsum(n) - n, n)
        width = counts[b][owner]
        j = items[begins[a][owner] + place // width]
        i = items[begins[b][owner] + place % width]
        different = j != i
        yield j[different], i[different], amounts[gap[part]][owner][different]


def _parts(ends: Ints) -> Iterator[slice]:
    """Yield slices of about _AT_A_TIME pairs each. ends: sums of the numbers of pairs."""
    start = 0
    while start < len(ends):
        done = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, done + _AT_A_TIME)))
        yield slice(start, stop)
        start = stop
