"""The choices that users made, as questions with their answers, from the events of a collection."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from itemlens_server.fusion.event_log import EventLog, Mask, days
from itemlens_server.fusion.past import Past
from itemlens_server.fusion.rows import Ints
from itemlens_server.fusion.taken import MOST_PAST

# The choices are those of the last tenth of the events, or of the last .2 or .3 if these are too few.
LATEST_SHARES = (0.1, 0.2, 0.3)
ENOUGH_CHOICES = 1000
FEWEST_CHOICES = 300
"""With fewer purchases in the last .3 of the events, carts are choices too, then clicks and views."""
MOST_CHOICES = 1500
LEAD_SECONDS = 86_400.0
"""A view or click less than a day before the purchase of the same item belongs to the purchase."""


@dataclass(frozen=True)
class Choice:
    """A basket that a user took: what they took before, the items of the basket, and its day (see `event_log.days`)."""

    user: int
    past: Past
    chosen: tuple[str, ...]
    day: int = 0


@dataclass(frozen=True)
class HeldOut:
    """A log, split for a fit: the events that tables may be computed from, and the baskets that are the choices.

    earlier: bool [events]. baskets: numbers of baskets of the log. least: the smallest strength of an event that is a
    choice: that of a purchase, if enough are recorded.
    """

    log: EventLog
    earlier: Mask
    baskets: Ints
    least: float = 0.0

    @staticmethod
    def of(log: EventLog, seed: int = 0) -> HeldOut:
        """Split by time: choices are the last baskets of the log, of users with earlier events.

        If the times are only an order, each user's last basket is a choice and everything else is earlier.
        """
        if not len(log):
            return HeldOut(log, np.zeros(0, np.bool_), np.zeros(0, np.int64))
        shares = LATEST_SHARES[:1] if log.times_are_an_order else LATEST_SHARES
        for least in np.unique(log.strengths)[::-1].tolist():
            for share in shares:
                earlier, baskets = _split(log, share, least)
                if len(baskets) >= ENOUGH_CHOICES:
                    break
            if len(baskets) >= FEWEST_CHOICES:
                break
        if len(baskets) > MOST_CHOICES:
            baskets = np.sort(np.random.default_rng(seed).choice(baskets, MOST_CHOICES, replace=False))
        return HeldOut(log, earlier, baskets, least)

    def __len__(self) -> int:
        return len(self.baskets)

    def choices(self) -> Iterator[Choice]:
        """Yield the choices. What the user took before each is known, also in the held-out time."""
        log = self.log
        ends = np.append(log.basket_starts, len(log))
        for basket in self.baskets.tolist():
            begin, end = int(ends[basket]), int(ends[basket + 1])
            own = slice(int(log.user_starts[log.users[begin]]), begin)
            chosen = np.unique(log.items[begin:end][log.strengths[begin:end] >= self.least])
            lead = (
                (log.times[own] > log.times[begin] - LEAD_SECONDS)
                & (log.strengths[own] < self.least)
                & np.isin(log.items[own], chosen)
            )
            kept = np.flatnonzero(~lead) + own.start
            past = Past.of_baskets(
                [log.item_ids[item] for item in log.items[kept].tolist()],
                log.basket_numbers[kept].tolist(),
                log.strengths[kept].tolist(),
                MOST_PAST,
            )
            if len(past):
                yield Choice(
                    int(log.users[begin]),
                    past,
                    tuple(log.item_ids[item] for item in chosen.tolist()),
                    int(days(log.times[begin : begin + 1])[0]),
                )


def _split(log: EventLog, share: float, least: float) -> tuple[Mask, Ints]:
    """Return the earlier events, and the numbers of the baskets that are choices: with an event of strength `least`."""
    starts, users = log.basket_starts, log.users[log.basket_starts]
    if log.times_are_an_order:
        last = np.append(users[1:] != users[:-1], True)
        first = np.append(True, users[1:] != users[:-1])
        baskets, earlier = np.flatnonzero(last & ~first), ~(last & ~first)[log.basket_numbers]
    else:
        cut = float(np.quantile(log.times, 1 - share))
        earlier = log.times < cut
        known = np.bincount(log.users[earlier], minlength=len(log.user_ids)) > 0
        baskets = np.flatnonzero((log.times[starts] >= cut) & known[users])
    strong = np.maximum.reduceat(log.strengths, starts) >= least
    return earlier, baskets[strong[baskets]]
