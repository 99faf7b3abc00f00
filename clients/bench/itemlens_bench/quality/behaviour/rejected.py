"""What dislikes do to a user's list: it stays, but for what is like the disliked items.

Each asked user with events before the cut gets a list as of the cut. Beside it stands the list with one dislike, a
random film that they have not rated, and the list with the dislikes of their last five ratings of at most 2. The later
ratings of each user say what the second costs and saves.

What a user dislikes is nothing that they took, so five dislikes do two things: the films no longer speak for others,
and they speak against others. The list of a history that merely lacks the five films tells the two apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from itemlens import EventType, UserSide

from ..ask import Asking
from ..rows import Floats, ReportRow, mean, ratio
from . import served
from .ease_lists import Ease
from .films import Films
from .split import Ids, Split

LISTED, HIGH, DEEP = 10, 20, 100
NEAREST = 20
TOLD = 5
LIKED, LOW = 4.0, 2.0


def measure(there: served.Prepared, *, films: Films) -> Iterator[ReportRow]:
    """The rows of all dislikes."""
    split = films.split
    users = sorted({question.user for question in split.questions} & set(split.events.user.tolist()))
    lists = _Lists(there.asking, split, there.collection)
    plain = lists.of(users, {})
    ease = there.yardsticks["EASE"]
    assert isinstance(ease, Ease)
    texts = there.asking.encode_texts("texts", served.texts(split))
    alike = {"by text": texts @ texts.T, "by EASE": ease.table(split)}
    yield from _one_dislike(split, users, plain, lists, alike, there.seed)
    yield from _five_dislikes(films, users, plain, lists, there.seed)


@dataclass(frozen=True)
class _Lists:
    """Asks for lists of the first 100 films, as numbers of items."""

    asking: Asking
    split: Split
    collection: str

    def of(self, users: Sequence[int], disliked: Mapping[int, Sequence[int]]) -> dict[int, list[int]]:
        """The lists of users, with what each dislikes."""

        def side(user: int) -> UserSide:
            told = [self.split.items[item] for item in disliked.get(user, ())]
            return UserSide(user_id=self.split.users[user], disliked=told)

        what = "lists with dislikes" if disliked else "lists"
        return self._each(what, users, side)

    def without(self, untold: Mapping[int, Sequence[int]]) -> dict[int, list[int]]:
        """The lists of users whose histories lack some films. They leave these out, as they do all that was rated."""

        def side(user: int) -> UserSide:
            known = self.split.events.of(user)
            lacking = np.isin(known.item, untold[user])
            # What was returned counts for nothing but is not listed.
            kinds = np.where(lacking, str(EventType.RETURN), known.kind)
            return UserSide(history=served.interactions(self.split, replace(known, kind=kinds)))

        return self._each("lists of shorter histories", list(untold), side)

    def _each(self, what: str, users: Sequence[int], side: Callable[[int], UserSide]) -> dict[int, list[int]]:
        numbers = {item_id: n for n, item_id in enumerate(self.split.items)}

        def ask(user: int) -> list[int]:
            reply = self.asking.client.recommend(side(user), k=DEEP, collection=self.collection)
            return [numbers[item.item_id] for item in reply]

        return dict(zip(users, self.asking.each(f"{self.collection}: {what}", ask, users), strict=True))


def _one_dislike(
    split: Split,
    users: Sequence[int],
    plain: Mapping[int, list[int]],
    lists: _Lists,
    alike: Mapping[str, NDArray[np.float32]],
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
    after, lacking = lists.of(list(told), told), lists.without(told)
    before = _Later.of(films, {user: plain[user] for user in told})
    disliked, shorter = _Later.of(films, after), _Later.of(films, lacking)
    what = "five low-rated films as dislikes"
    liked = f"{what}: later liked films, R@{HIGH}, change"
    alone = f"a history that lacks them {np.mean(shorter.liked - before.liked):.3f}"
    yield mean(liked, disliked.liked - before.liked, seed, groups=before.owners, least=-0.02, yardstick=alone)
    yield mean(
        "  minus a history that lacks them", disliked.liked - shorter.liked, seed, groups=before.owners
    )
    low = f"{what}: change of later low-rated films among the first {DEEP}"
    yield _change(low, before.low, disliked.low, seed, most=-0.2)
    yield _change("  a history that lacks them", before.low, shorter.low, seed)
    yield _change("  dislikes over a history that lacks them", shorter.low, disliked.low, seed)


@dataclass(frozen=True)
class _Later:
    """What lists have of the users' later ratings.

    liked: 1 for each later liked film that is among the first HIGH, else 0; owners: the user of each
    low: number of the user's later low-rated films in the list; [users]
    """

    liked: Floats
    owners: list[str]
    low: Floats

    @staticmethod
    def of(films: Films, lists: Mapping[int, list[int]]) -> _Later:
        """Of the lists of these users; films that the user had rated before do not count."""
        found: list[bool] = []
        owners: list[str] = []
        low = []
        for user, listed in lists.items():
            later, known = films.later.of(user), films.split.events.of(user).item
            new_liked = np.setdiff1d(later.item[later.value >= LIKED], known).tolist()
            found += [item in listed[:HIGH] for item in new_liked]
            owners += [films.split.users[user]] * len(new_liked)
            low.append(len({*later.item[later.value <= LOW].tolist()} & {*listed}))
        return _Later(np.asarray(found, np.float64), owners, np.asarray(low, np.float64))


def _nearest(likeness: NDArray[np.float32], item: int) -> Ids:
    """The 20 items that are most like an item, without itself."""
    likeness = likeness.copy()
    likeness[item] = -np.inf
    return np.argsort(-likeness, kind="stable")[:NEAREST]


def _change(
    what: str,
    before: Sequence[float] | Floats,
    after: Sequence[float] | Floats,
    seed: int,
    most: float | None = None,
) -> ReportRow:
    """The row of a relative change of a sum over users, with its interval over users."""
    old, new = np.asarray(before, np.float64), np.asarray(after, np.float64)
    places = f"{old.sum():.0f} places before, {new.sum():.0f} after"
    return ratio(what, new - old, old, seed, most=most, yardstick=places)
