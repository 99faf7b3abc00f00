"""The list of somebody of whom little is known: the questions of a data set, asked with the user's newest events alone.

The yardstick is the list of a user of whom nothing is known, to the same questions: who did one thing should not get a
worse list than who did nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from itemlens import UserSide

from ..rows import ReportRow, mean
from .served import LISTED, Prepared, interactions
from .split import Question, Split

EVENTS = (1, 2, 5)


def measure(there: Prepared, *, split: Split, queries: int = 1000) -> Iterator[ReportRow]:
    """The rows of R@20 after one, two and five events, and of the difference to that after none."""
    enough = [q for q in split.questions if len(split.events.of(q.user)) >= EVENTS[-1]]
    asked = replace(split, questions=tuple(enough)).sample(queries, there.seed)
    owners = [split.users[question.user] for question in asked.questions]
    numbers = {item_id: n for n, item_id in enumerate(split.items)}

    def ask(question: Question, count: int) -> float:
        done = split.events.of(question.user)
        side = (
            UserSide(history=interactions(split, done[slice(-count, None)]))
            if count
            else UserSide(user_id=f"unknown {split.users[question.user]}")
        )
        reply = there.asking.client.recommend(
            side, k=LISTED, exclude_seen=question.without_had, collection=there.collection
        )
        listed = {numbers[item.item_id] for item in reply}
        return float(np.mean([answer in listed for answer in question.answers.tolist()]))

    def recalls(count: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        what = f"{there.collection}: {count} events"
        return np.asarray(there.asking.each(what, lambda question: ask(question, count), asked.questions))

    none = recalls(0)
    text = f"the same users, unknown {none.mean():.4f}"
    for count in EVENTS:
        own = recalls(count)
        yield mean(f"the newest {count} events alone, R@20", own, there.seed, groups=owners, yardstick=text)
        yield mean("  minus the list after none", own - none, there.seed, groups=owners, least=0.0)
