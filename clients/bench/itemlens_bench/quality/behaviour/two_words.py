"""A user and two words of a product that they then took: do both together find it better than either alone?"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from itemlens import UserSide

from ..rows import Floats, ReportRow, mean, ratio
from . import served
from .split import Split

LISTED = 20
ENOUGH = 1.25
"""How many times as often as the better one alone."""


def measure(there: served.Prepared, *, split: Split) -> Iterator[ReportRow]:
    """The rows of one random product of each question's answers, asked by two random words of its text.

    Of users without events only the words are known.
    """
    asking, collection, seed = there.asking, there.collection, there.seed
    rng = np.random.default_rng(seed)
    asked, texts, known = [], served.texts(split), set(split.events.user.tolist())
    for question in split.questions:
        product = int(rng.choice(question.answers))
        words = re.findall(r"\w+", texts[product])
        drawn = sorted(rng.permutation(len(words))[:2].tolist())
        user_id = split.users[question.user] if question.user in known else ""
        asked.append((user_id, split.items[product], " ".join(words[n] for n in drawn)))

    def recall(what: str, *, user: bool, words: bool) -> Floats:
        def ask(question: tuple[str, str, str]) -> float:
            user_id, product, text = question
            if not (words or user_id):
                return 0.0
            side = UserSide(user_id=user_id if user else "", text=text if words else None)
            reply = asking.client.recommend(side, k=LISTED, exclude_seen=False, collection=collection)
            return float(any(item.item_id == product for item in reply))

        return np.asarray(asking.each(f"{collection}: {what}", ask, asked))

    alone = {
        "two words": recall("two words", user=False, words=True),
        "the user": recall("users", user=True, words=False),
    }
    both = recall("users and two words", user=True, words=True)
    text = "; ".join(f"{name} {values.mean():.4f}" for name, values in alone.items())
    yield mean("a user + two words of what they took, R@20", both, seed, yardstick=text)
    for name, values in alone.items():
        yield mean(f"  minus {name}", both - values, seed)
    better = max(alone.values(), key=lambda values: float(values.mean()))
    yield ratio("  over the better one", both, better, seed, least=ENOUGH)
