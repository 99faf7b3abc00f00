"""MovieLens 100K: which film does a user take next?

The split is global, by time. The first 90% of the ratings are recorded events, and the collection is fitted on them.
There is one question for each later rating of 4 or more by a user with at least 3 earlier ratings. The history in the
request is all that the user rated before it, later ratings included, so only the table of behaviour is older. The list
leaves out the films of the history.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from itemlens import Event, EventType, Interaction, Item, UserSide

from . import ease, sums
from .ask import Asking
from .collections import Fit, await_behaviour, ensure, fit_and_move
from .ease import Next, Taken
from .rows import Floats, ReportRow, mean

NAME = "ml-100k"
K = 20
PAST = 0.9
LIKED = 4.0
TYPE_WEIGHTS = {EventType.VIEW: 0.2, EventType.CLICK: 0.5, EventType.CART: 0.8, EventType.PURCHASE: 1.0}
"""The server's defaults."""


@dataclass(frozen=True)
class Movies:
    """The data set: films with title and genres, and ratings as events whose value is the rating."""

    items: Sequence[Item]
    events: Sequence[Event]


def measure(asking: Asking, *, data: Movies, fit: Fit | None, seed: int, queries: int) -> list[ReportRow]:
    """All rows of ml-100k. It asks all questions; `queries` only bounds the number of explanations."""
    past, later = ease.split([_taken(event) for event in data.events], PAST)
    cut = later[0].time
    recorded = [event for event in data.events if event.time is not None and event.time.timestamp() < cut]
    ensure(asking, NAME, data.items, events=recorded)
    fit_and_move(asking, NAME, (), fit)
    await_behaviour(asking, NAME)
    asked = ease.questions(past, later)
    users = [question.user for question in asked]
    types = {(event.user_id, event.item_id): EventType(event.type) for event in data.events}
    sides = [UserSide(history=[Interaction(e.item, types[e.user, e.item]) for e in q.history]) for q in asked]

    def ask(n: int) -> bool:
        reply = asking.client.recommend(sides[n], k=K, collection=NAME)
        return asked[n].answer in {item.item_id for item in reply}

    served = [float(hit) for hit in asking.each(f"{NAME}: next item", ask, range(len(asked)))]
    yardstick, description = _yardstick(asking, past, asked)
    rows = [
        mean(f"{NAME}: next item, R@{K}", served, seed, groups=users, least=0.325, yardstick=description),
        mean("the same minus EASE", served - yardstick, seed, groups=users, least=-0.01),
    ]
    some = sides[:: max(1, len(sides) // sums.sides_needed(queries))]
    rows.append(sums.residual_row(asking, {"history with behaviour": some}, NAME))
    return rows


def _yardstick(asking: Asking, past: Sequence[Taken], asked: Sequence[Next]) -> tuple[Floats, str]:
    """The hits of EASE, and all yardsticks as text.

    EASE weighs all ratings alike or by the server's weights of event types, whichever is better here. Its lambda is
    chosen on a slice of the past.
    """
    items, x = ease.columns(past), ease.matrix(past, ease.columns(past))
    with asking.console.status(f"{NAME}: yardsticks"):
        alike = [replace(event, weight=1.0) for event in past]
        asked_alike = [
            replace(q, history=tuple(replace(event, weight=1.0) for event in q.history)) for q in asked
        ]
        hits_by_name = {}
        for name, events, questions in (("alike", alike, asked_alike), ("by type", past, asked)):
            regularisation = ease.tuned(events, K)
            hits = ease.hits(questions, items, K, ease.ease(x, regularisation))
            hits_by_name[f"EASE, ratings {name}, λ {regularisation:g}"] = hits
        popular = ease.popular(asked, items, K, x.sum(0))
    description = "; ".join(f"{name} {hits.mean():.3f}" for name, hits in hits_by_name.items())
    best = max(hits_by_name.values(), key=lambda hits: float(hits.mean()))
    return best, f"{description}; popularity {popular.mean():.3f}"


def _taken(event: Event) -> Taken:
    assert event.time is not None and event.value is not None
    weight = TYPE_WEIGHTS.get(EventType(event.type), 0.0)
    return Taken(event.user_id, event.item_id, event.time.timestamp(), event.value >= LIKED, weight)
