"""Histories of one and of several interests, in a catalogue where half of the items have no picture.

A list is fair if items without a picture have their share of it (a half). It is good if it covers the categories of
the history. There are four kinds of history: 1, 10 and 30 items of one category, and 30 items of five, six of each.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from itemlens import Item, UserSide

from .ask import Asking
from .rows import ReportRow, mean

K = 10
CATEGORY = "article_type"
SHARE = (0.35, 0.65)
SHARE_OF_FIVE = (0.43, 0.57)
LEAST_COVERED = 0.94
LEAST_ITEMS = 60
"""A category is used if it has enough items besides a history of 30."""
KINDS = {"1 item": (1, 1), "10 of one category": (10, 1), "30 of one": (30, 1), "30 of five": (30, 5)}


@dataclass(frozen=True)
class History:
    """Past items in a random order, and their categories."""

    item_ids: tuple[str, ...]
    categories: tuple[str, ...]

    @property
    def side(self) -> UserSide:
        """The user side of a request with this history."""
        return UserSide(history=self.item_ids)


def draw_histories(items: Sequence[Item], seed: int, count: int) -> Mapping[str, list[History]]:
    """`count` random histories of each kind."""
    rng = random.Random(seed)
    return {kind: draw_some(items, rng, count, *shape) for kind, shape in KINDS.items()}


def draw_some(items: Sequence[Item], rng: random.Random, count: int, length: int, of: int) -> list[History]:
    """`count` random histories of `length` items, as many of each of `of` categories."""
    by_category: dict[str, list[str]] = {}
    for item in items:
        by_category.setdefault(str(item.attributes[CATEGORY]), []).append(item.item_id)
    large = sorted(category for category, ids in by_category.items() if len(ids) >= LEAST_ITEMS)

    def history() -> History:
        categories = rng.sample(large, of)
        ids = [i for category in categories for i in rng.sample(by_category[category], length // of)]
        rng.shuffle(ids)
        return History(tuple(ids), tuple(categories))

    return [history() for _ in range(count)]


def rows(
    asking: Asking, drawn: Mapping[str, Sequence[History]], hidden: frozenset[str], collection: str, seed: int
) -> list[ReportRow]:
    """The share of the top 10 without picture, for each kind, and the covered categories, for the last."""
    report_rows = []
    for kind, some in drawn.items():
        lists = asking.each(
            f"{collection}: histories, {kind}", lambda h: top(asking, h.side, collection), some
        )
        without = [np.mean([item_id in hidden for item_id in listed]) for listed in lists]
        several = len(some[0].categories) > 1
        least, most = SHARE_OF_FIVE if several else SHARE
        what = f"{collection}: history, {kind}: share of the top {K} without picture"
        report_rows.append(mean(what, np.asarray(without), seed, least=least, most=most))
        if several:
            category = _categories(asking, {i for listed in lists for i in listed}, collection)
            covered = [
                _covered(history, [category[i] for i in listed])
                for history, listed in zip(some, lists, strict=True)
            ]
            what = f"{collection}: history, {kind}: categories covered"
            report_rows.append(mean(what, covered, seed, least=LEAST_COVERED))
    return report_rows


def mixed(drawn: Mapping[str, Sequence[History]], count: int, seed: int) -> list[UserSide]:
    """`count` histories of all kinds, in a random order."""
    sides = [history.side for some in drawn.values() for history in some]
    random.Random(seed).shuffle(sides)
    return sides[:count]


def _covered(history: History, categories: Sequence[str]) -> float:
    return len(set(history.categories) & set(categories)) / len(history.categories)


def top(asking: Asking, side: UserSide, collection: str) -> list[str]:
    """The ids of the first K items of a list."""
    return [item.item_id for item in asking.client.recommend(side, k=K, collection=collection)]


def _categories(asking: Asking, item_ids: set[str], collection: str, batch: int = 500) -> dict[str, str]:
    ids = sorted(item_ids)
    parts = [ids[n : n + batch] for n in range(0, len(ids), batch)]
    stored = [entry.item for part in parts for entry in asking.client.get_items(part, collection=collection)]
    return {item.item_id: str(item.attributes[CATEGORY]) for item in stored}
