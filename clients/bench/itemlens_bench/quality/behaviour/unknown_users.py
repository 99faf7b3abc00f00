"""The list of a user whom nobody knows: the questions of a data set, asked with ids that the server has never seen.

The yardstick is popularity of the window that is best one step before. Neither knows what the user had, so repeats
count as answers and nothing is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from itemlens import Basis, UserSide

from ..rows import Floats, ReportRow, mean
from . import popularity
from .metrics import Places, places
from .served import Prepared
from .split import Cut, Events, Question, Split
from .tuning import best

LISTED = 20


def measure(there: Prepared, *, split: Split, queries: int = 1000) -> Iterator[ReportRow]:
    """The rows of R@20 and of its difference to the yardstick."""
    unknown = of_unknown(split).sample(queries, there.seed)
    owners = [split.users[question.user] for question in unknown.questions]
    numbers = {item_id: n for n, item_id in enumerate(split.items)}

    def ask(question: Question) -> float:
        side = UserSide(user_id=f"unknown {split.users[question.user]}")
        reply = there.asking.client.recommend(side, k=LISTED, collection=there.collection)
        if reply.basis is not Basis.PRIOR:
            raise ValueError(f"the server knows {side.user_id!r}")
        listed = {numbers[item.item_id] for item in reply}
        return float(np.mean([answer in listed for answer in question.answers.tolist()]))

    own = np.asarray(there.asking.each(f"{there.collection}: unknown users", ask, unknown.questions))
    chosen = best(popularity.options(unknown.earlier), unknown.earlier, _recall)
    other = _recall(places(chosen.fit(unknown), unknown))
    text = f"popularity {other.mean():.4f}, of the newest {chosen.share:g} of the time"
    yield mean("unknown users, R@20", own, there.seed, groups=owners, yardstick=text)
    yield mean("  minus popularity of the best window", own - other, there.seed, groups=owners, least=0.0)


def of_unknown(split: Split) -> Split:
    """The same questions of users whom nobody knows: nothing is left out of a list."""
    return replace(split, questions=_unknown(split.questions), cut_before=_cut(split.cut_before))


def _cut(known_users: Cut) -> Cut:
    def cut(events: Events) -> tuple[Events, tuple[Question, ...]]:
        known, questions = known_users(events)
        return known, _unknown(questions)

    return cut


def _unknown(questions: tuple[Question, ...]) -> tuple[Question, ...]:
    return tuple(replace(question, without_had=False) for question in questions)


def _recall(found: Places) -> Floats:
    return found.recall(LISTED)
