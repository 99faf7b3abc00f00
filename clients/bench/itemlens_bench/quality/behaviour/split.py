"""A data set, cut into what a server may know and what it is asked.

Users and items are numbered from 0. Everything that learns, the tuning of a yardstick included, sees `Split.events`
only; `Split.earlier` is the same data set one step before, whose answers may be used to choose parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..rows import Floats

Ids: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Events:
    """Who took what, by user and then oldest first. All arrays have one entry for each event.

    `time` is in seconds, or the number of the event (of the basket) of its user where a data set has no times. Events
    of one user with the same `basket` happened together. `kind` is an event type of the contract in lower case.
    `value` is the rating, or NaN.
    """

    user: Ids
    item: Ids
    time: Floats
    basket: Ids
    kind: NDArray[np.str_]
    value: Floats

    def __len__(self) -> int:
        return len(self.user)

    def __getitem__(self, which: NDArray[np.bool_] | Ids | slice) -> Events:
        return Events(
            self.user[which],
            self.item[which],
            self.time[which],
            self.basket[which],
            self.kind[which],
            self.value[which],
        )

    def of(self, user: int) -> Events:
        """The events of one user, oldest first."""
        start, stop = np.searchsorted(self.user, (user, user + 1))
        return self[slice(int(start), int(stop))]

    def sequences(self, users: int) -> list[Ids]:
        """The items of each of the first `users` users, oldest first, with repeats."""
        return np.split(self.item, np.searchsorted(self.user, np.arange(1, users)))


def events(
    user: Sequence[int] | Ids,
    item: Sequence[int] | Ids,
    time: Sequence[float] | Floats,
    basket: Sequence[int] | Ids | None = None,
    kind: str | Sequence[str] = "purchase",
    value: Sequence[float] | Floats | None = None,
) -> Events:
    """Events in any order, put in theirs; equal times keep their order. Without baskets each event is its own."""
    count = len(user)
    return _ordered(
        Events(
            np.asarray(user, np.int64),
            np.asarray(item, np.int64),
            np.asarray(time, np.float64),
            np.arange(count) if basket is None else np.asarray(basket, np.int64),
            np.full(count, kind) if isinstance(kind, str) else np.asarray(kind, np.str_),
            np.full(count, np.nan) if value is None else np.asarray(value, np.float64),
        )
    )


def _ordered(unordered: Events) -> Events:
    return unordered[np.lexsort((unordered.time, unordered.user))]


NO_EVENTS = events([], [], [])


@dataclass(frozen=True, eq=False)
class Question:
    """What does `user` take next?

    `without_had`: what the user had before is left out of the list. `since`: what the user did after the events that
    the server knows and before the question; most data sets have nothing of that kind.
    """

    user: int
    answers: Ids
    without_had: bool
    since: Events = NO_EVENTS


Cut = Callable[[Events], tuple[Events, tuple[Question, ...]]]
"""Divides events into those that may be known and questions about the rest."""


@dataclass(frozen=True, eq=False)
class Split:
    """A data set: its items and users, the events that may be known, and the questions.

    `texts` ("" for none) and `attributes` are by item. `cut_before` makes the questions of `earlier` from `events`.
    `timed`: times are real, so that they can be compared between users.
    """

    name: str
    items: tuple[str, ...]
    users: tuple[str, ...]
    events: Events
    questions: tuple[Question, ...]
    cut_before: Cut
    timed: bool
    texts: tuple[str, ...] = ()
    attributes: tuple[Mapping[str, Sequence[str]], ...] = field(default=(), repr=False)

    @cached_property
    def earlier(self) -> Split:
        """The same data set one step before, with questions that parameters may be tuned on."""
        known, questions = self.cut_before(self.events)
        return replace(self, events=known, questions=questions)

    def had(self, question: Question) -> Ids:
        """The different items that the user had before the question."""
        return np.unique(np.concatenate([self.events.of(question.user).item, question.since.item]))

    def new_only(self) -> Split:
        """The questions about what is new to the user: what was had is no answer and not in the list."""

        def cut_before(known: Events) -> tuple[Events, tuple[Question, ...]]:
            past, asked = self.cut_before(known)
            return past, _about_new(replace(self, events=past, questions=asked))

        return replace(self, questions=_about_new(self), cut_before=cut_before)

    def sample(self, most: int, seed: int) -> Split:
        """The same with at most `most` of the questions, drawn at random, in their order."""
        if len(self.questions) <= most:
            return self
        drawn = np.sort(np.random.default_rng(seed).permutation(len(self.questions))[:most])
        return replace(self, questions=tuple(self.questions[n] for n in drawn))


def _about_new(split: Split) -> tuple[Question, ...]:
    asked = [
        replace(q, answers=np.setdiff1d(q.answers, split.had(q)), without_had=True) for q in split.questions
    ]
    return tuple(question for question in asked if len(question.answers))


def last_baskets(known: Events, *, without_had: bool) -> tuple[Events, tuple[Question, ...]]:
    """Asks for the last basket of each user who has at least two; the rest may be known."""
    last_of_user = np.r_[known.user[1:] != known.user[:-1], True] if len(known) else np.zeros(0, bool)
    basket = dict(zip(known.user[last_of_user].tolist(), known.basket[last_of_user].tolist(), strict=True))
    first = dict(zip(known.user[::-1].tolist(), known.basket[::-1].tolist(), strict=True))
    users = [user for user in basket if basket[user] != first[user]]
    asked = np.full(max(basket, default=0) + 1, -1)
    asked[users] = [basket[user] for user in users]
    held = (asked[known.user] == known.basket) & np.isin(known.user, users)
    answers = known[held]
    questions = tuple(Question(user, np.unique(answers.of(user).item), without_had) for user in users)
    return known[~held], questions


def first_baskets_after(
    known: Events, *, cut: float, least_baskets: int = 3
) -> tuple[Events, tuple[Question, ...]]:
    """Asks for the first basket from time `cut` on, of users with at least `least_baskets` before it."""
    before, after = known[known.time < cut], known[known.time >= cut]
    questions = []
    for user in np.unique(after.user).tolist():
        if len(np.unique(before.of(user).basket)) >= least_baskets:
            later = after.of(user)
            first = later.item[later.basket == later.basket[0]]
            questions.append(Question(user, np.unique(first), without_had=False))
    return before, tuple(questions)


def each_event_after(
    known: Events, *, share: float, liked: float, least_history: int = 3
) -> tuple[Events, tuple[Question, ...]]:
    """Asks for each new item with a value of at least `liked` among the last `1 - share` of the events by time.

    Equal times stay together. The user has at least `least_history` events before the question; those after the cut
    are in `Question.since`.
    """
    cut = np.sort(known.time, kind="stable")[round(share * len(known))]
    before, after = known[known.time < cut], known[known.time >= cut]
    questions = []
    for user in np.unique(after.user).tolist():
        past, later = before.of(user), after.of(user)
        for n in range(len(later)):
            had = np.concatenate([past.item, later.item[:n]])
            if later.value[n] >= liked and len(had) >= least_history and later.item[n] not in had:
                questions.append(Question(user, later.item[n : n + 1], True, later[slice(0, n)]))
    return before, tuple(questions)
