"""What dislikes do to a user's list: it stays, but for what is like the disliked items.

Each asked user with events before the cut gets a list as of the cut. Beside it stands the list with one dislike, a
random film that they have not rated, and the list with the dislikes of their last five ratings of at most 2. The later
ratings of each user say what the second costs and saves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from itemlens import UserSide

from ..ask import Asking
from ..rows import ReportRow, mean
from . import served
from .ease_lists import Ease
from .films import Films
from .split import Ids, Split

LISTED, DEEP = 10, 100
NEAREST = 20
TOLD = 5
LIKED, LOW = 4.0, 2.0


def measure(asking: Asking, collection: str, seed: int, *, films: Films) -> Iterator[ReportRow]:
    """The rows of all dislikes."""
    split = films.split
    users = sorted({question.user for question in split.questions} & set(split.events.user.tolist()))
    lists = _Lists(asking, split, collection)
    plain = lists.of(users, {})
    yield from _one_dislike(asking, split, users, plain, lists, seed)
    yield from _five_dislikes(films, users, plain, lists, seed)


@dataclass(frozen=True)
class _Lists:
    """Asks for lists of the first 100 films, as numbers of items."""

    asking: Asking
    split: Split
    collection: str

    def of(self, users: Sequence[int], disliked: Mapping[int, Sequence[int]]) -> dict[int, list[int]]:
        """The lists of users, with what each dislikes."""
        numbers = {item_id: n for n, item_id in enumerate(self.split.items)}

        def ask(user: int) -> list[int]:
            told = [self.split.items[item] for item in disliked.get(user, ())]
            side = UserSide(user_id=self.split.users[user], disliked=told)
            reply = self.asking.client.recommend(side, k=DEEP, collection=self.collection)
            return [numbers[item.item_id] for item in reply]

        what = "lists with dislikes" if disliked else "lists"
        found = self.asking.each(f"{self.collection}: {what}", ask, users)
        return dict(zip(users, found, strict=True))


def _one_dislike(
    asking: Asking,
    split: Split,
    users: Sequence[int],
    plain: Mapping[int, list[int]],
    lists: _Lists,
    seed: int,
) -> Iterator[ReportRow]:
    rng, items = np.random.default_rng(seed), np.arange(len(split.items))
    told = {user: int(rng.choice(np.setdiff1d(items, split.events.of(user).item))) for user in users}
    after = lists.of(users, {user: [item] for user, item in told.items()})
    kept = [len({*plain[u][:LISTED]} & {*after[u][:LISTED]}) / LISTED for u in users]
    yield mean(
        "a user + one random dislike: share of the first 10 that stays", kept, seed, least=0.7,
        yardstick="hiding that film alone: 1 or .9",
    )  # fmt: skip
    texts = asking.encode_texts("texts", served.texts(split))
    alike = {"by text": texts @ texts.T, "by EASE": Ease().table(split)}
    for how, likeness in alike.items():
        for depth in (LISTED, DEEP):
            before_, after_ = [], []
            for user in users:
                near = {*_nearest(likeness[told[user]], told[user]).tolist()}
                before_.append(len(near & {*plain[user][:depth]}))
                after_.append(len(near & {*after[user][:depth]}))
            what = f"the disliked film's 20 nearest {how}: change of their places among the first {depth}"
            yield _change(what, before_, after_, seed, most=-0.5 if depth == LISTED else None)


def _five_dislikes(
    films: Films, users: Sequence[int], plain: Mapping[int, list[int]], lists: _Lists, seed: int
) -> Iterator[ReportRow]:
    told = {}
    for user in users:
        known = films.split.events.of(user)
        rated_low = known.item[known.value <= LOW]
        if len(rated_low) >= TOLD:
            told[user] = rated_low[-TOLD:].tolist()
    after = lists.of(list(told), told)
    found: list[float] = []
    owners: list[str] = []
    low_before, low_after = [], []
    for user in told:
        later = films.later.of(user)
        liked, low = (set(later.item[mask].tolist()) for mask in (later.value >= LIKED, later.value <= LOW))
        known_items = {*films.split.events.of(user).item.tolist()}
        for item in liked - known_items:
            found.append((item in after[user][:20]) - float(item in plain[user][:20]))
            owners.append(films.split.users[user])
        low_before.append(len(low & {*plain[user]}))
        low_after.append(len(low & {*after[user]}))
    what = "five low-rated films as dislikes"
    yield mean(f"{what}: later liked films, R@20, change", found, seed, groups=owners, least=-0.02)
    yield _change(
        f"{what}: change of later low-rated films among the first 100", low_before, low_after, seed, most=-0.2
    )


def _nearest(likeness: NDArray[np.float32], item: int) -> Ids:
    """The 20 items that are most like an item, without itself."""
    likeness = likeness.copy()
    likeness[item] = -np.inf
    return np.argsort(-likeness, kind="stable")[:NEAREST]


def _change(
    what: str, before: Sequence[int], after: Sequence[int], seed: int, most: float | None
) -> ReportRow:
    """The row of a relative change of a sum over users, with its interval over users."""
    old, new = np.asarray(before, np.float64), np.asarray(after, np.float64)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(old), np.full(len(old), 1 / len(old)), 2000)
    ratios = (drawn @ new) / np.maximum(drawn @ old, 1.0) - 1.0
    low, high = np.quantile(ratios, (0.025, 0.975))
    figure = float(new.sum() / max(old.sum(), 1.0) - 1.0)
    places = f"{old.sum():.0f} places without it, {new.sum():.0f} with it"
    return ReportRow(what, figure, len(old), (float(low), float(high)), most=most, yardstick=places)
