"""How much of the catalogue the lists of all users show, and whether items without events get places."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from itemlens import UserSide

from ..rows import Floats, ReportRow, bootstrap
from .films import Films
from .metrics import AT_ONCE, Scores
from .served import Prepared
from .split import Ids, Question, Split

LISTED = 20


def measure(there: Prepared, *, films: Films) -> Iterator[ReportRow]:
    """The rows of the first 20 of each user with events, beside those of the tuned yardsticks."""
    split, later = films.split, films.later
    others = {name: yardstick.fit(split) for name, yardstick in there.yardsticks.items()}
    users = np.unique(split.events.user).tolist()
    numbers = {item_id: n for n, item_id in enumerate(split.items)}

    def ask(user: int) -> list[int]:
        side = UserSide(user_id=split.users[user])
        reply = there.asking.client.recommend(side, k=LISTED, collection=there.collection)
        return [numbers[item.item_id] for item in reply]

    lists = there.asking.each(f"{there.collection}: lists of all users", ask, users)
    rival = {name: _lists(scores, split, users) for name, scores in others.items()}
    covered = {name: _covered(found, split) for name, found in rival.items()}
    yield ReportRow(
        f"share of the items in the first {LISTED} of any user", _covered(lists, split), len(users),
        least=0.5, yardstick=_text(covered),
    )  # fmt: skip

    known = np.zeros(len(split.items), bool)
    known[split.events.item] = True
    of_events = float(np.mean(~known[later.item]))
    if not of_events:
        return
    ratios = {name: _share(found, known).mean() / of_events for name, found in rival.items()}
    own = _share(lists, known) / of_events
    yield ReportRow(
        "items without events: share of the places over their share of later events", float(own.mean()),
        len(users), bootstrap(own, there.seed), least=0.5, most=1.5, yardstick=_text(ratios),
    )  # fmt: skip


def _lists(scores: Scores, split: Split, users: Sequence[int]) -> list[list[int]]:
    found = []
    nothing: Ids = np.zeros(0, np.int64)
    questions = [Question(user, nothing, without_had=True) for user in users]
    for start in range(0, len(questions), AT_ONCE):
        batch = questions[start : start + AT_ONCE]
        for question, row in zip(batch, scores(batch), strict=True):
            row[split.had(question)] = -np.inf
            found.append(np.argsort(-row, kind="stable")[:LISTED].tolist())
    return found


def _covered(lists: Sequence[Sequence[int]], split: Split) -> float:
    return len({item for found in lists for item in found}) / len(split.items)


def _share(lists: Sequence[Sequence[int]], known: NDArray[np.bool_]) -> Floats:
    """The share of each list that has no events."""
    return np.asarray([np.mean(~known[found]) for found in lists])


def _text(values: Mapping[str, float]) -> str:
    return "; ".join(f"{name} {value:.3f}" for name, value in values.items())
