"""What a user took: one entry for each distinct item, with how often and how long ago.

A basket is what a user took at the same time; events without a time are baskets of their own. Age is counted in
baskets of the same user, so that it means the same for a user who comes every day and one who comes every month.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from itemlens_server.fusion.history import Interaction
from itemlens_server.fusion.parts import Floats
from itemlens_server.fusion.rows import Ints

FREQUENCY_DECAY = 0.9
"""What a basket more takes away from a repeat. With the 3 of `REPEAT.frequency` it is a rule of thumb that matters
little: for 120 held-out baskets each, decays of .7 to 1 with factors of .3 to 30 instead have likelihoods of 5.32 to
5.38 nats on Complete Journey (this pair: 5.36) and of 5.60 to 5.62 on Ta-Feng (5.60)."""
FAINTEST = 1e-9
"""Decays end here: a weight of 0, which long histories would come to, has no logarithm and nothing to divide."""


@dataclass(frozen=True)
class Past:
    """The distinct items of a history, newest first. All arrays are float64 [items].

    strengths:   largest weight of the types of an item's events, such as 1 for a purchase and 0.2 for a view
    ages:        number of the user's baskets since the last one with the item; 0 for the last basket
    counts:      number of baskets with the item
    frequencies: the same with weights that decay: sum over these baskets of 0.9 ^ age
    """

    item_ids: tuple[str, ...]
    strengths: Floats
    ages: Floats
    counts: Floats
    frequencies: Floats

    def __len__(self) -> int:
        return len(self.item_ids)

    @staticmethod
    def of(
        history: Sequence[Interaction],
        type_weights: Mapping[int, float],
        most: int,
        counts: Sequence[bool] | None = None,
    ) -> Past:
        """Return the newest `most` items of `history`, which is oldest first. Types without a weight do not count.

        counts: which of the events with a weight count. All of them are baskets, by which age is counted.
        """
        taken = [interaction for interaction in history if type_weights.get(interaction.type, 0.0) > 0]
        basket, baskets = -1, []
        for n, interaction in enumerate(taken):
            time = interaction.time_ns
            basket += n == 0 or time is None or time != taken[n - 1].time_ns
            baskets.append(basket)
        kept = range(len(taken)) if counts is None else [n for n, own in enumerate(counts) if own]
        item_ids = [taken[n].item_id for n in kept]
        strengths = [type_weights[taken[n].type] for n in kept]
        return Past.of_baskets(item_ids, [baskets[n] for n in kept], strengths, most, basket)

    @staticmethod
    def of_baskets(
        item_ids: Sequence[str],
        baskets: Sequence[int],
        strengths: Sequence[float],
        most: int,
        newest: int | None = None,
    ) -> Past:
        """Return the same from parallel lists, oldest first; `baskets` number the user's baskets. newest: the number of
        the last basket, if nothing of it counts."""
        if newest is None:
            newest = baskets[-1] if len(baskets) else 0
        entries: dict[str, list[float]] = {}
        last: dict[str, int] = {}
        for item_id, basket, strength in zip(item_ids, baskets, strengths, strict=True):
            age = float(newest - basket)
            weight = FREQUENCY_DECAY**age
            old = entries.pop(item_id, None)  # put in again at the end: the order is that of the latest event
            if old is None:
                entries[item_id] = [strength, age, 1.0, weight]
            else:
                again = last[item_id] != basket
                entries[item_id] = [max(old[0], strength), age, old[2] + again, old[3] + again * weight]
            last[item_id] = basket
        kept = list(entries.items())[: -most - 1 : -1]
        numbers = np.asarray([numbers for _, numbers in kept]).reshape(-1, 4)
        strengths_, ages, counts, frequencies = np.ascontiguousarray(numbers.T)
        return Past(tuple(item_id for item_id, _ in kept), strengths_, ages, counts, frequencies)

    @staticmethod
    def equal(item_ids: Sequence[str]) -> Past:
        """Return items that count alike, such as liked ones."""
        ids = tuple(dict.fromkeys(item_ids))
        ones = np.ones(len(ids))
        return Past(ids, ones, np.zeros(len(ids)), ones, ones)

    @staticmethod
    def told(earlier: Sequence[str], now: Sequence[str] = ()) -> Past:
        """Return what a user said of items: earlier, oldest first, one basket each, and now."""
        ages = dict.fromkeys(now, 0) | {i: n for n, i in enumerate(reversed(earlier)) if i not in now}
        ones = np.ones(len(ages))
        return Past(tuple(ages), ones, np.asarray(list(ages.values()), np.float64), ones, ones)

    def take(self, numbers: Ints) -> Past:
        """Return some of the items. Their numbers stay those of the whole history."""
        item_ids = tuple(self.item_ids[n] for n in numbers.tolist())
        arrays = (self.strengths, self.ages, self.counts, self.frequencies)
        return Past(item_ids, *(array[numbers] for array in arrays))

    def without(self, item_ids: Collection[str]) -> Past:
        """Return the items that are not among `item_ids`."""
        kept = [n for n, item_id in enumerate(self.item_ids) if item_id not in item_ids]
        return self if len(kept) == len(self) else self.take(np.asarray(kept, np.int64))

    def amounts(self, decay: float) -> Floats:
        """Return a_j = strength x decay ^ age of each item, float64 [items]; never 0."""
        return np.asarray(self.strengths * np.maximum(decay**self.ages, FAINTEST))
