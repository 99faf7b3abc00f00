"""Histories of three items of one type: how much of the list is of that type.

Interests must not split what is alike, so the same histories are asked as one interest, too. The yardstick is the mean
of the three items' raw vectors, with the picture's weight that is best for these very histories.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from itemlens import Item

from .ask import Asking
from .histories import CATEGORY, History, K, draw_some, top
from .rows import Floats, ReportRow, mean
from .searches import PICTURE_WEIGHTS, RawVectors

LENGTH = 3
LEAST = 0.95


def rows(
    asking: Asking, items: Sequence[Item], raw: RawVectors, collection: str, seed: int, count: int
) -> list[ReportRow]:
    """The share of the list's items that are of the history's type, and its paired differences."""
    drawn = draw_some(items, random.Random(seed), count, LENGTH, 1)
    category = {item.item_id: str(item.attributes[CATEGORY]) for item in items}

    def shares(what: str, most: int | None) -> Floats:
        sides = [replace(history.side, max_interests=most) for history in drawn]
        lists = asking.each(f"{collection}: {what}", lambda side: top(asking, side, collection), sides)
        return type_shares(drawn, lists, category)

    ours, one = shares("three of one type", None), shares("the same as one interest", 1)
    blends = {w: type_shares(drawn, nearest(drawn, raw, w), category) for w in PICTURE_WEIGHTS}
    weight = max(blends, key=lambda w: float(blends[w].mean()))
    what = f"{collection}: three items of one type: share of the top {K} of that type"
    yardstick = (
        f"one interest {one.mean():.3f}; raw text + {weight:g} raw picture mean {blends[weight].mean():.3f}"
    )
    return [
        mean(what, ours, seed, least=LEAST, yardstick=yardstick),
        mean("the same minus one interest", ours - one, seed, least=0.0),
        mean("the same minus the raw mean", ours - blends[weight], seed),
    ]


def type_shares(
    drawn: Sequence[History], lists: Sequence[Sequence[str]], category: Mapping[str, str]
) -> Floats:
    """The share of each list that is of its history's category."""
    return np.asarray(
        [
            np.mean([category[item_id] == history.categories[0] for item_id in listed])
            for history, listed in zip(drawn, lists, strict=True)
        ]
    )


def nearest(drawn: Sequence[History], raw: RawVectors, weight: float) -> list[list[str]]:
    """The K items nearest to the mean of each history's raw vectors, without the history."""
    past = np.asarray([[raw.rows[item_id] for item_id in history.item_ids] for history in drawn])
    means = np.hstack([raw.texts[past].mean(1), raw.pictures[past].mean(1)])
    scores = means @ raw.blend(weight).T
    np.put_along_axis(scores, past, -np.inf, axis=1)
    best = np.argsort(-scores, axis=1, kind="stable")[:, :K]
    return [[raw.item_ids[n] for n in numbers] for numbers in best.tolist()]
