"""Fashion: 30,706 products with a title and a small picture.

The collection `fashion` holds all of it. In `fashion-half` a random half of the items have no picture.
`fashion-titles` holds 3,000 items of that half with their title alone. First `fashion` is fitted to itself; then
`fashion-half` is, and the other two move to its space, whose fit never saw the pictures of that half. A query is two
random words of an item's title, its picture cropped, mirrored and dimmed, or both.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from itemlens import Item, UserSide

from . import histories, lists, one_type, sums
from .ask import Asking, Question, find
from .collections import Fit, ensure, fit_and_move, unfit
from .queries import draw, picture_of, spoilt
from .rows import ReportRow, mean
from .searches import K, RawHits, RawVectors, Searches, compared

ALL, HALF, TITLES = "fashion", "fashion-half", "fashion-titles"
TITLE_ITEMS = 3000
COMPARED = 50


@dataclass(frozen=True)
class Fashion:
    """The data set. An item's attribute `article_type` is its category."""

    items: Sequence[Item]

    @cached_property
    def hidden(self) -> frozenset[str]:
        """Ids of the half without picture."""
        return frozenset(item.item_id for item in self.items if draw(item.item_id) < 0.5)

    def half(self) -> list[Item]:
        """All items; the hidden ones have no picture."""
        return [_bare(item) if item.item_id in self.hidden else item for item in self.items]

    def titles(self) -> list[Item]:
        """Some of the hidden items, with their title alone."""
        hidden = sorted((i for i in self.items if i.item_id in self.hidden), key=lambda i: draw(i.item_id))
        return [_bare(item) for item in hidden[:TITLE_ITEMS]]


def measure(asking: Asking, *, data: Fashion, fit: Fit | None, seed: int, queries: int) -> list[ReportRow]:
    """All rows of fashion. Recall and explanations are measured with a third of `queries`."""
    titles = data.titles()
    ensure(asking, HALF, data.half())
    ensure(asking, ALL, data.items)
    ensure(asking, TITLES, titles)
    asked = Searches.of(data.items, seed, queries)
    rows = []
    if fit is None:
        raw = RawVectors.of(asking, data.items)
    else:
        unfit(asking, (ALL, HALF))
        raw = RawVectors.stored(asking, [item.item_id for item in data.items], ALL)
    found = RawHits.of(asking, asked, raw)
    if fit is not None:
        fit_and_move(asking, ALL, (), fit)
        rows += compared(f"{ALL}, fitted to itself", asked.ask(asking, ALL), found, seed, least=0.0)
        rows += one_type.rows(asking, data.items, raw, ALL, seed, queries // 10)
    fit_and_move(asking, HALF, (ALL, TITLES), fit)
    pasts = histories.draw_histories(data.items, seed, queries // 10)
    rows += [
        *compared(f"{ALL}, fitted with half of the pictures", asked.ask(asking, ALL), found, seed),
        *_half_rows(asking, asked, data, seed),
        _titles_row(asking, data, titles, seed, queries),
        *histories.rows(asking, pasts, data.hidden, HALF, seed),
    ]
    third = queries // 3
    kinds = {
        "words": [question.side for question in asked.words[:third]],
        "picture": [question.side for question in asked.picture[:third]],
        "both": [question.side for question in asked.both[:third]],
        "history": histories.mixed(pasts, third, seed),
    }
    for collection in (ALL, HALF):
        rows.append(lists.scan_row(asking, kinds["both"][:20], collection, [i.item_id for i in data.items]))
        for kind, sides in kinds.items():
            rows += lists.recall_rows(asking, kind, sides, collection, seed)
    each = sums.sides_needed(queries)
    rng = random.Random(seed)
    ids = [item.item_id for item in data.items]
    liking = [UserSide(liked=rng.sample(ids, 2), disliked=rng.sample(ids, 1)) for _ in range(each)]
    explained = {kind: sides[:each] for kind, sides in kinds.items()} | {"liked and disliked": liking}
    rows.append(sums.residual_row(asking, explained, HALF))
    rows.append(sums.residual_row(asking, {"predicted": kinds["picture"][:each]}, TITLES))
    return rows


def _half_rows(asking: Asking, asked: Searches, data: Fashion, seed: int) -> list[ReportRow]:
    (words,) = find(asking, "by words", asked.words, HALF)
    (both,) = find(asking, "by words + picture", asked.both, HALF)
    lacking = np.asarray([target in data.hidden for target in asked.targets])
    return [
        _same_scores(asking, asked, data, seed),
        mean(f"{HALF}: words, target with picture, R@{K}", words[~lacking], seed),
        mean(f"{HALF}: words, target without, R@{K}", words[lacking], seed),
        mean(f"{HALF}: words + picture, target with picture, R@{K}", both[~lacking], seed, least=0.85),
        mean(f"{HALF}: words + picture, target without, R@{K}", both[lacking], seed, least=0.45),
    ]


def _same_scores(asking: Asking, asked: Searches, data: Fashion, seed: int) -> ReportRow:
    """The largest difference of a score by words between an item with its picture and the same item without.

    The items are the target and random hidden items, in both collections. The words are encoded once, and both
    collections are searched with that vector. Z sums up the same items in another order, so scores may differ in the
    last bits, and so may a text that is encoded again beside others; the yardstick column has that difference.
    """
    rng = random.Random(seed)
    hidden = sorted(data.hidden)
    questions = asked.words[: len(asked.words) // 3]
    shortlists = [[q.target, *rng.sample(hidden, COMPARED - 1)] for q in questions]

    def gaps(n: int) -> tuple[float, float]:
        words = questions[n].side
        listed = asking.client.recommend(
            words, k=COMPARED, candidates=shortlists[n], collection=ALL, query_vectors=True
        )
        with_picture = {item.item_id: item.score for item in listed}

        def gap(side: UserSide) -> float:
            without = asking.client.recommend(side, k=COMPARED, candidates=shortlists[n], collection=HALF)
            return max(abs(item.score - with_picture[item.item_id]) for item in without)

        return gap(UserSide(query_vector=listed.interests[0].query_vector)), gap(words)

    differences = asking.each(
        f"{HALF}: scores by words with and without picture", gaps, range(len(questions))
    )
    once, anew = (max(some) for some in zip(*differences, strict=True))
    what = f"{HALF}: words, score with and without picture, largest difference"
    return ReportRow(
        what, once, len(differences), most=1e-5, yardstick=f"words encoded anew each time {anew:.1e}"
    )


def _titles_row(asking: Asking, data: Fashion, titles: Sequence[Item], seed: int, queries: int) -> ReportRow:
    rng = random.Random(seed)
    whole = {item.item_id: item for item in data.items}
    chosen = rng.sample(list(titles), min(queries, len(titles)))
    questions = [
        Question(i.item_id, UserSide(picture=spoilt(rng, picture_of(whole[i.item_id])))) for i in chosen
    ]
    (hits,) = find(asking, "by picture", questions, TITLES)
    chance = f"chance {K / len(titles):.3f}"
    return mean(
        f"{TITLES}: picture → {len(titles):,} titles, R@{K}", hits, seed, least=0.30, yardstick=chance
    )


def _bare(item: Item) -> Item:
    return replace(item, pictures=())
