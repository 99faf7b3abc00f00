"""Ordered pairs of items: what a user took soon after what, in fixed point.

    amount of (j, i) = sum over pairs of a user's baskets a < b, b - a <= HORIZON, with j in a and i in b, i not j,
                       of round(UNIT step ^ (b - a - 1))

A pair of more than 200 items in one basket says nothing of order: it is an import of old events rather than a basket.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from itemlens_server.fusion.counts.events import KEY_BITS, SECOND, Events, distinct
from itemlens_server.fusion.event_log import Codes
from itemlens_server.fusion.rows import Ints

STEP = 0.6
HORIZON = 10
LARGEST_BASKET = 200
UNIT = 1024
"""The amount of one item right after another. An uint32 holds four million of them for each pair of items."""
_AT_A_TIME = 2_000_000


@dataclass(frozen=True, eq=False)
class Windows:
    """Some successive baskets of each user. Pairs of a user's baskets (a, b) with b >= first and a <= last are counted.

    numbers: basket number of each event (see `basket_numbers`), int64 [events], ascending. items: codes, int32 [events]
    starts:  number of each user's first basket, first, last: see above, int64 [users] each
    """

    numbers: Ints
    items: Codes
    starts: Ints
    first: Ints
    last: Ints


def fixed(step: float) -> Ints:
    """Return the amount of a pair of items by the gap of their baskets, int64 [HORIZON]."""
    return np.round(UNIT * step ** np.arange(HORIZON)).astype(np.int64)


def basket_numbers(events: Events) -> tuple[Ints, Ints]:
    """Return the number of each event's basket, int64 [events], ascending, and that of each user's first one, int64
    [users]. A basket: the events of a user at one time. Those of different users are more than HORIZON apart."""
    begins = np.ones(len(events), np.bool_)
    begins[1:] = (events.times[1:] != events.times[:-1]) | (events.owners[1:] != events.owners[:-1])
    before = np.zeros(len(events) + 1, np.int64)
    np.cumsum(begins, out=before[1:])
    apart = np.arange(len(events.sizes)) * HORIZON
    return before[1:] - 1 + apart[events.owners], before[events.starts[:-1]] + apart


def successions(windows: Windows, amounts: Ints) -> Iterator[tuple[Ints, Ints, Ints]]:
    """Yield (earlier item, later item, amount), int64 [pairs] each; a pair of items may occur several times.

    amounts: by gap, see `fixed`.
    """
    if not len(windows.numbers):
        return
    keys = distinct((windows.numbers << KEY_BITS) | windows.items)
    numbers, items = keys >> KEY_BITS, keys & SECOND
    begins = np.append(0, np.flatnonzero(numbers[1:] != numbers[:-1]) + 1)
    baskets, counts = numbers[begins], np.diff(begins, append=len(keys))
    owners = np.searchsorted(windows.starts, baskets, "right") - 1
    first, last = windows.first[owners], windows.last[owners]
    small = counts <= LARGEST_BASKET

    gaps = np.arange(1, HORIZON + 1)
    later = np.minimum(np.arange(len(baskets))[:, None] + gaps, len(baskets) - 1)
    found = (baskets[later] == baskets[:, None] + gaps) & small[:, None] & small[later]
    found &= (baskets[later] >= first[:, None]) & (baskets <= last)[:, None]
    one, gap = np.nonzero(found)
    other = later[one, gap]
    pairs = counts[one] * counts[other]
    for part in parts(np.cumsum(pairs)):
        a, b, n = one[part], other[part], pairs[part]
        owner = np.repeat(np.arange(len(n)), n)
        place = np.arange(len(owner)) - np.repeat(np.cumsum(n) - n, n)
        width = counts[b][owner]
        j = items[begins[a][owner] + place // width]
        i = items[begins[b][owner] + place % width]
        different = j != i
        yield j[different], i[different], amounts[gap[part]][owner][different]


def parts(ends: Ints) -> Iterator[slice]:
    """Yield slices of about _AT_A_TIME pairs each. ends: sums of the numbers of pairs."""
    start = 0
    while start < len(ends):
        done = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, done + _AT_A_TIME)))
        yield slice(start, stop)
        start = stop
