"""Thresholds by which items that lack a channel are neither favoured nor hindered.

Of the items that have all channels, the channel is hidden from a random half. Users are made up: each has one to five
interests, and took some of the items around a random one for each, which are alike in all channels, as what people
take is. They are asked as the server asks: the past is split into interests, the items are scored, places are dealt.
Half of the places should go to items that lack the channel. If it is predicted for those, theta' is changed, otherwise
theta.

What an item has itself varies more than what is predicted for it, so the first places of a list are the hardest to get
without the channel. Hence a list is as long as a served one in proportion to the number of items.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from itemlens_server.fusion.channel_data import Bools
from itemlens_server.fusion.fused import joined
from itemlens_server.fusion.head import Array, Head, HeadChannel, unit
from itemlens_server.fusion.history import PURCHASE, Interaction
from itemlens_server.fusion.imputation import MINIMUM_PAIRS, predictor
from itemlens_server.fusion.interests import MAX_INTERESTS, merge
from itemlens_server.fusion.query import Asking, Query, ask
from itemlens_server.fusion.ranking import top
from itemlens_server.fusion.rows import Ints, Rows
from itemlens_server.fusion.snapshot import Snapshot
from itemlens_server.fusion.weights import NEXT, ChannelWeights, QuestionWeights

Units = Mapping[str, tuple[Array, Bools]]

USERS = 300
PLACES = 10
"""Of a list over all items."""
MOST_TAKEN = 10
"""A user took up to this many items of each interest."""
INTERESTS = 40
"""An interest is this part of the catalogue: the items nearest to a random one."""
MOST_ITEMS = 40_000
MINIMUM_ITEMS = 50
FOLDS = 5
"""Predictors of an item are fitted without its fold."""
AT_ONCE = 256
_STEPS = 12


def balanced(
    name: str, channels: Mapping[str, HeadChannel], units: Units, weights: QuestionWeights, seed: int = 0
) -> ChannelWeights:
    """Return the weights of channel `name` with a balanced threshold.

    units: e_c by channel, and which items have it. weights: of the question, with the threshold to start from.
    """
    own = weights.of(name)
    others = [n for n in channels if n != name and units[n][1].any() and weights.of(n).weight]
    predicts = bool(channels[name].predictors)
    if not others or not own.weight or (units[name][1].all() and not predicts):
        return own
    rng = np.random.default_rng(seed)
    whole = np.flatnonzero(np.all([units[n][1] for n in (name, *others)], axis=0))
    some = np.sort(rng.permutation(whole)[:MOST_ITEMS])
    if len(some) < MINIMUM_ITEMS:
        return own
    lacking = rng.permutation(len(some)) < len(some) // 2
    part = {n: (units[n][0][some], units[n][1][some]) for n in channels}
    likeness = np.hstack([np.sqrt(weights.of(n).weight) * part[n][0] for n in (name, *others)])
    guess = _guessed(channels[name], part)
    part[name] = part[name][0] * ~lacking[:, None], ~lacking
    snapshot = _snapshot(Head(tuple(channels.values()), {NEXT: weights}), part, name, guess)
    places = max(1, round(PLACES * len(some) / len(units[name][1])))
    users = _asked(snapshot, name, _pasts(likeness, rng), lacking, places)
    low, high = -1.0, 1.0
    for _ in range(_STEPS):
        change = (low + high) / 2
        # A higher theta' takes places from items without the channel, a lower theta gives fewer to them.
        share = np.mean([user.share(own.weight * change) for user in users])
        low, high = (change, high) if share > 0.5 else (low, change)
    if predicts:
        return replace(own, imputed_threshold=own.imputed_threshold + change)
    return replace(own, threshold=own.threshold - change)


def _guessed(channel: HeadChannel, units: Units) -> Array:
    """Return r e' of each item, which all have the channel, by predictors that do not know the item, as those of the
    head do not know an item without the channel; float32 [items, width]."""
    (own, has), guess = units[channel.name], np.zeros_like(units[channel.name][0])
    fold = np.arange(len(own)) % FOLDS
    for source, known in channel.predictors.items():
        e, there = units[source]
        for number in range(FOLDS):
            mine, both = fold == number, has & there & (fold != number)
            w = predictor(e[both], own[both]) if both.sum() >= MINIMUM_PAIRS else known
            guess[mine] += e[mine] @ w
    return np.float32(channel.imputed_scale) * unit(guess)


def _snapshot(head: Head, units: Units, name: str, guess: Array) -> Snapshot:
    """Return a catalogue of items named by their numbers, where `guess` is imputed in channel `name`."""
    h = joined(head, units, len(guess))
    imputed = head.imputed(h, name)
    h[imputed, head.block(name)] = guess[imputed]
    rows = Rows(head.dimension)
    rows.append(np.arange(1, len(h) + 1), [str(n) for n in range(len(h))], h)
    return Snapshot("", head, rows.view(), None, np.full(len(h), -1))


def _pasts(likeness: Array, rng: np.random.Generator) -> list[Ints]:
    """Return what each user took, as numbers of items. likeness: float32 [items, width], whose products say how much
    items are alike."""
    items = len(likeness)
    around = min(max(items // INTERESTS, 2 * MOST_TAKEN), items)
    counts = rng.integers(1, MAX_INTERESTS + 1, USERS)
    centres = rng.integers(items, size=counts.sum())
    taken: list[Ints] = []
    for start in range(0, len(centres), AT_ONCE):
        alike = likeness[centres[start : start + AT_ONCE]] @ likeness.T
        near = np.argpartition(-alike, around - 1, axis=1)[:, :around]
        taken += [rng.permutation(row)[: rng.integers(1, MOST_TAKEN + 1)] for row in near]
    ends = np.cumsum(counts)
    return [
        rng.permutation(np.unique(np.concatenate(taken[end - n : end])))
        for n, end in zip(counts.tolist(), ends.tolist(), strict=True)
    ]


@dataclass(frozen=True)
class _Lists:
    """What an interest would list: as many items as there are places of those that lack the channel, and of those that
    have it, the best first; numbers, and alpha by the weights to start from.

    moves: whether the threshold matters: past items of the interest have the channel
    """

    lacking: tuple[Ints, Array]
    having: tuple[Ints, Array]
    moves: bool

    def ranked(self, shift: float) -> list[int]:
        """Return the items in the order of alpha, less `shift` for those that lack the channel."""
        (numbers, alpha), (others, theirs) = self.lacking, self.having
        order = np.argsort(-np.concatenate([alpha - np.float32(shift * self.moves), theirs]), kind="stable")
        ranked: list[int] = np.concatenate([numbers, others])[order].tolist()
        return ranked


@dataclass(frozen=True)
class _User:
    """The interests of a user and their shares of the list. lacking: which items lack the channel."""

    lists: Sequence[_Lists]
    shares: Sequence[float]
    lacking: Bools
    places: int

    def share(self, shift: float) -> float:
        """Return the share of the list that lacks the channel, if those items have `shift` less evidence."""
        listed = merge([own.ranked(shift) for own in self.lists], self.shares, self.places)
        return float(np.mean([self.lacking[number] for number, _ in listed]))


def _asked(snapshot: Snapshot, name: str, pasts: Sequence[Ints], lacking: Bools, places: int) -> list[_User]:
    """Return the users with what their interests would list, by the weights of the snapshot's head."""
    asked = [
        ask(snapshot, Query([Interaction(str(n), PURCHASE) for n in past.tolist()]), {PURCHASE: 1.0})
        for past in pasts
    ]
    lists = _listed(snapshot, name, asked, lacking, places)
    return [
        _User([next(lists) for _ in asking.interests], [i.weight for i in asking.interests], lacking, places)
        for asking in asked
    ]


def _listed(
    snapshot: Snapshot, name: str, asked: Sequence[Asking], lacking: Bools, places: int
) -> Iterator[_Lists]:
    """Return what each interest of each user would list, one after the other."""
    block = snapshot.head.block(name)
    u = np.stack([interest.u for asking in asked for interest in asking.interests])
    had = [asking.had for asking in asked for _ in asking.interests]
    parts = np.flatnonzero(lacking), np.flatnonzero(~lacking)
    for start in range(0, len(u), AT_ONCE):
        some = u[start : start + AT_ONCE]
        for alpha, own, past in zip(some @ snapshot.view.h.T, some, had[start:], strict=False):
            alpha[past] = -np.inf
            best = [numbers[top(alpha[numbers], places)] for numbers in parts]
            lists = [(numbers, alpha[numbers]) for numbers in best]
            yield _Lists(lists[0], lists[1], bool(own[block].any()))
