"""Questions with known answers, made from the items themselves.

A question is a piece of an item's content: two of its words, a crop of its picture. Of an item with several pictures,
one picture asks for the rest: that is closer to real questions than a crop, which nearly equals its origin.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from itemlens_server.fusion.channel_data import Bools, ChannelData, Ints, item_units
from itemlens_server.fusion.head import Array, HeadChannel, unit

Floats = np.ndarray[Any, np.dtype[np.float64]]

MAX_ITEMS = 10_000
"""Answers compete with at most this many items: the figures hardly change, and the fit's time has a bound."""
QUESTIONS = 1000
MOST_BY_ITEM = 8
FEW_ITEMS = 300


@dataclass(frozen=True)
class Trial:
    """Questions to a catalogue that does not know them.

    data: what the catalogue's items are known by. queries: raw vectors by channel, float32 [questions, dim].
    targets: the right answers, int64 [questions], numbers of the trial's items. numbers: int64 [items], the trial's
    items as numbers of the collection.
    """

    data: Mapping[str, ChannelData]
    queries: Mapping[str, Array]
    targets: Ints
    numbers: Ints

    @property
    def items(self) -> int:
        """Number of items."""
        return len(self.numbers)

    def cosines(self, channel: HeadChannel) -> Array:
        """Return the cosines of the questions to the items, float32 [questions, items]; -1 where an item has no
        content in the channel."""
        e, has = item_units(channel, self.data[channel.name], self.items)
        cosines = unit(channel.project(self.queries[channel.name])) @ e.T
        cosines[:, ~has] = -1.0
        return np.asarray(cosines, np.float32)


def draw_targets(eligible: Bools, seed: int) -> Ints:
    """Return the items to ask for, int64 [questions], an item's questions next to each other.

    eligible: bool [items], those that have every channel in use. A third of them are asked for, so that the others can
    teach predictors, or all if they are FEW_ITEMS at most. Few items are asked for several times, up to MOST_BY_ITEM,
    with different pieces of their contents, so that there are about QUESTIONS questions.
    """
    items = np.random.default_rng(seed).permutation(np.flatnonzero(eligible))
    asked = items[: min(QUESTIONS, max(FEW_ITEMS, len(items) // 3))]
    return np.repeat(asked, int(np.clip(QUESTIONS // max(len(asked), 1), 1, MOST_BY_ITEM)))


def trials(
    data: Mapping[str, ChannelData], items: int, targets: Ints, queries: Mapping[str, Array], seed: int
) -> list[Trial]:
    """Return the questions about `targets` as trials.

    data: all vectors of a collection with `items` items. targets: int64 [questions]; an item may have several
    questions. queries: by channel, raw vectors of pieces of the targets' contents, float32 [questions, dim].

    If targets have several vectors in a channel, there are two trials: each knows one half of the vectors of such
    items, and asks with one of the other half. The halves are the first and the second in stored order, because
    pictures taken one after the other are alike.
    """
    rng = np.random.default_rng(seed)
    numbers = _candidates(items, targets, rng)
    places = np.full(items, -1)
    places[numbers] = np.arange(len(numbers))
    own = {name: d.of(numbers, items) for name, d in data.items() if name in queries}
    asked = places[targets]
    folds = {name: _folds(d, len(numbers)) for name, d in own.items()}
    several = [name for name, fold in folds.items() if (fold[np.isin(own[name].owners, asked)] >= 0).any()]
    if not several:
        return [Trial(own, queries, asked, numbers)]
    made = []
    for half in (0, 1):
        known = {n: d.only(folds[n] != half) if n in several else d for n, d in own.items()}
        asking = dict(queries)
        for name in several:
            asking[name] = _held_out(own[name], folds[name] == half, asked, queries[name], rng)
        # Each question is asked once, of one of the two catalogues.
        mine = np.arange(len(asked)) % 2 == half
        made.append(Trial(known, {n: q[mine] for n, q in asking.items()}, asked[mine], numbers))
    return [trial for trial in made if len(trial.targets)]


def asked_items(made: Sequence[Trial]) -> Ints:
    """Return the target of every question of all trials, as numbers of the collection."""
    return np.concatenate([trial.numbers[trial.targets] for trial in made])


def _candidates(items: int, targets: Ints, rng: np.random.Generator) -> Ints:
    if items <= MAX_ITEMS:
        return np.arange(items)
    others = np.setdiff1d(np.arange(items), targets)
    return np.sort(np.concatenate([np.unique(targets), rng.permutation(others)[:MAX_ITEMS]]))


def _folds(data: ChannelData, items: int) -> Ints:
    """Return the half of its item that each vector belongs to, 0 or 1; -1 for the only vector of an item."""
    order = np.argsort(data.owners, kind="stable")
    counts = np.bincount(data.owners, minlength=items)
    starts = np.cumsum(counts) - counts
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order)) - starts[data.owners[order]]
    count = counts[data.owners]
    return np.where(count > 1, place * 2 // np.maximum(count, 1), -1)


def _held_out(
    data: ChannelData, free: Bools, targets: Ints, queries: Array, rng: np.random.Generator
) -> Array:
    """Return the queries, with a random vector of the mask `free` of the same item where there is one."""
    vectors: dict[int, list[int]] = {}
    for number in np.flatnonzero(free).tolist():
        vectors.setdefault(int(data.owners[number]), []).append(number)
    out = queries.copy()
    for question, target in enumerate(targets.tolist()):
        if target in vectors:
            out[question] = data.vectors[rng.choice(vectors[target])]
    return out
