"""The answers of a running server to a data set's questions, beside the yardsticks of the same run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from itemlens import Event, EventType, Interaction, Item, NotFound, UserSide

from ..ask import Asking
from ..collections import Fit, await_behaviour, ensure, fit_and_move
from ..rows import Floats, ReportRow, mean
from .compare import measure as yardsticks
from .metrics import Places
from .split import Events, Question, Split
from .tuning import Figure, Yardstick


@dataclass(frozen=True)
class Prepared:
    """A collection that is there, the seed, and the tuned yardsticks of its first questions by name."""

    asking: Asking
    collection: str
    seed: int
    yardsticks: Mapping[str, Yardstick]


More = Callable[[Prepared], Iterator[ReportRow]]
"""A further measurement of a collection."""

LISTED = 20
NOWHERE = 1_000_000
"""The place of an answer that is not among the first 20."""


def measure(
    asking: Asking,
    *,
    splits: Mapping[str, Split],
    figures: Mapping[str, Figure],
    tuned_for: str,
    fit: Fit | None,
    seed: int,
    queries: int,
    more: Sequence[More] = (),
) -> list[ReportRow]:
    """All rows of a data set. `splits`: its questions by name, over the same items and events; each has at most
    `queries`. `figures`: what is measured, by name; yardsticks are tuned for the one named `tuned_for`. `more`: other
    measurements of the collection."""
    first = next(iter(splits.values()))
    prepare(asking, first, fit)
    rows = []
    tuned: dict[str, Yardstick] = {}
    for name, whole in splits.items():
        split = whole.sample(queries, seed)
        users = [split.users[question.user] for question in split.questions]
        ours = served(asking, name, split)
        found = list(yardsticks(split, figures[tuned_for], seed=seed))
        tuned = tuned or {other.name: other.yardstick for other in found}
        for figure, of in figures.items():
            own = of(ours)
            others = {other.name: of(other.places) for other in found}
            text = "; ".join(f"{other} {values.mean():.4f}" for other, values in others.items())
            rows.append(mean(f"{name}, {figure}", own, seed, groups=users, yardstick=text))
            rows += list(_differences(own, others, users, seed))
    for other_rows in more:
        rows += list(other_rows(Prepared(asking, collection(first), seed, tuned)))
    return rows


def prepare(asking: Asking, split: Split, fit: Fit | None) -> None:
    """Upload the items and events that may be known, fit, and wait for the tables."""
    name = collection(split)
    ensure(asking, name, list(_items(split)), events=list(_events(split)))
    fit_and_move(asking, name, (), fit)
    await_behaviour(asking, name)


def served(asking: Asking, what: str, split: Split) -> Places:
    """Where the server's lists have the answers. One that is not among the first 20 is nowhere."""
    numbers = {item_id: n for n, item_id in enumerate(split.items)}

    def ask(question: Question) -> dict[int, int]:
        side = UserSide(user_id=split.users[question.user], history=interactions(split, question.since))
        try:
            reply = asking.client.recommend(
                side, k=LISTED, exclude_seen=question.without_had, collection=collection(split)
            )
        except NotFound:  # none of the user's events is of an item of the catalogue
            return {}
        return {numbers[item.item_id]: place for place, item in enumerate(reply)}

    lists = asking.each(f"{collection(split)}: {what}", ask, split.questions)
    owners = np.repeat(np.arange(len(lists)), [len(question.answers) for question in split.questions])
    above = [
        places.get(answer, NOWHERE)
        for places, question in zip(lists, split.questions, strict=True)
        for answer in question.answers.tolist()
    ]
    return Places(len(lists), owners, np.asarray(above, np.int64), np.ones(len(above), np.int64))


def interactions(split: Split, done: Events) -> list[Interaction]:
    """Events as the history of a request."""
    columns = (done.item.tolist(), done.kind.tolist(), done.time.tolist())
    return [
        Interaction(split.items[item], EventType(kind), datetime.fromtimestamp(time, UTC))
        for item, kind, time in zip(*columns, strict=True)
    ]


def collection(split: Split) -> str:
    """Name of the collection of a data set."""
    return split.name.lower()


def texts(split: Split) -> list[str]:
    """The texts of the items. Those without one get their id, since an item must have content."""
    own = split.texts or [""] * len(split.items)
    return [text or f"Item {item_id}." for item_id, text in zip(split.items, own, strict=True)]


def _differences(
    own: Floats, others: Mapping[str, Floats], users: list[str], seed: int
) -> Iterator[ReportRow]:
    for other, values in others.items():
        yield mean(f"  minus {other}", own - values, seed, groups=users)


def _items(split: Split) -> Iterator[Item]:
    for n, (item_id, text) in enumerate(zip(split.items, texts(split), strict=True)):
        yield Item(item_id, text=text, attributes=dict(split.attributes[n]) if split.attributes else {})


def _events(split: Split) -> Iterator[Event]:
    known = split.events
    for n in range(len(known)):
        yield Event(
            split.users[known.user[n]],
            split.items[known.item[n]],
            EventType(str(known.kind[n])),
            time=datetime.fromtimestamp(float(known.time[n]), UTC),
            value=None if np.isnan(known.value[n]) else float(known.value[n]),
            event_id=str(n),
        )
