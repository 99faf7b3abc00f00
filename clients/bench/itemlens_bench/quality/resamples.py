"""Small catalogues, many times over: a fit must not make a small catalogue's answers worse.

300 fashion items, each time others, drawn without replacement, are asked by two words of their titles and a crop of
their pictures. The 81 grocery products are one catalogue with one fit, asked by photos. Random halves of the photos
would only repeat the same answers, so all are asked once, and the interval is over products; the halves show how far
the difference moves with the questions. Every catalogue is asked before and after its fit. One that the fit leaves
alone, since it is not clearly better, counts with its difference of 0.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import suppress

import numpy as np

from itemlens import Item, NotFound, UserSide

from .ask import Asking, Question, find
from .collections import Fit, ensure
from .queries import picture_of
from .rows import Floats, ReportRow, mean
from .searches import RawHits, RawVectors, Searches

RESAMPLES = 20
FASHION_ITEMS = 300
SCRATCH = "resamples"
"""The collection of the catalogue in question; it is deleted afterwards."""
PHOTOS_K = 5


def measure(
    asking: Asking,
    *,
    products: Sequence[Item],
    photos: Sequence[Item],
    fashion: Sequence[Item],
    fit: Fit | None,
    seed: int,
    queries: int,
) -> list[ReportRow]:
    """All rows. products, photos: of grocery, each photo with its `product`. seed: of the intervals; resample n has the
    seed n. queries: the most photos, and the most fashion items asked for in one resample.

    Raises:
        ValueError: there is no `fit`: every catalogue is fitted anew.
    """
    if fit is None:
        raise ValueError("each of these catalogues is fitted anew: leave out --skip-fit")
    try:
        return [
            *_grocery_rows(asking, products, photos, fit, seed, queries),
            *_fashion_rows(asking, fashion, fit, seed, queries),
        ]
    finally:
        _delete(asking)


def _grocery_rows(
    asking: Asking, products: Sequence[Item], photos: Sequence[Item], fit: Fit, seed: int, queries: int
) -> list[ReportRow]:
    """All photos are asked once before and once after the one fit."""
    asked = photos if len(photos) <= queries else random.Random(seed).sample(photos, queries)
    questions = [Question(str(p.attributes["product"]), UserSide(picture=picture_of(p))) for p in asked]
    _fresh(asking, products)
    (before,) = find(asking, "photos, not fitted", questions, SCRATCH, (PHOTOS_K,))
    taken = _fitted(asking, fit)
    (after,) = find(asking, "photos, fitted", questions, SCRATCH, (PHOTOS_K,))
    better = after - before
    halves = [
        float(better[random.Random(n).sample(range(len(asked)), len(asked) // 2)].mean())
        for n in range(RESAMPLES)
    ]
    return _difference_rows(
        f"{len(products)} grocery products, one catalogue, R@{PHOTOS_K} of {len(asked):,} photos",
        after,
        before,
        [question.target for question in questions],
        seed,
        f"one fit, {'taken' if taken else 'not taken'}; {RESAMPLES} random halves of the photos: mean "
        f"{np.mean(halves):.4f}, {min(halves):.4f} to {max(halves):.4f}",
    )


def _fashion_rows(
    asking: Asking, items: Sequence[Item], fit: Fit, seed: int, queries: int
) -> list[ReportRow]:
    hits: dict[str, list[Floats]] = {"fitted": [], "not fitted": [], "raw": []}
    taken = 0
    for n in range(RESAMPLES):
        drawn = random.Random(n).sample(items, FASHION_ITEMS)
        searches = Searches.of(drawn, n, min(FASHION_ITEMS, queries))
        _fresh(asking, drawn)
        raw = RawHits.of(
            asking, searches, RawVectors.stored(asking, [item.item_id for item in drawn], SCRATCH)
        )
        (before,) = find(asking, f"resample {n}, not fitted", searches.both, SCRATCH)
        taken += _fitted(asking, fit)
        (after,) = find(asking, f"resample {n}, fitted", searches.both, SCRATCH)
        for kind, found in (("fitted", after), ("not fitted", before), ("raw", raw.hits["words + picture"])):
            hits[kind].append(found)
    what = f"{FASHION_ITEMS} fashion items, {RESAMPLES} draws, two words + crop, R@10"
    groups = [str(n) for n, some in enumerate(hits["fitted"]) for _ in some]
    after, before, raw_hits = (np.concatenate(hits[kind]) for kind in ("fitted", "not fitted", "raw"))
    better = [float(np.mean(a) - np.mean(b)) for a, b in zip(hits["fitted"], hits["not fitted"], strict=True)]
    spread = f"{taken} of {RESAMPLES} fits taken; by draw {min(better):.4f} to {max(better):.4f}"
    rows = _difference_rows(what, after, before, groups, seed, spread)
    best = f"best raw blend of each draw {raw_hits.mean():.3f}"
    minus = mean("the same minus that blend", after - raw_hits, seed, groups=groups)
    return [*rows, ReportRow(minus.what, minus.figure, minus.queries, minus.interval, yardstick=best)]


def _difference_rows(
    what: str, after: Floats, before: Floats, groups: Sequence[str], seed: int, spread: str
) -> list[ReportRow]:
    """The fitted figure, and its paired difference to not fitting. groups: the product or the catalogue of each answer;
    answers about one are not independent of each other."""
    return [
        mean(f"{what}: fitted", after, seed, groups=groups, yardstick=f"not fitted {before.mean():.3f}"),
        mean("the same minus not fitted", after - before, seed, groups=groups, least=0.0, yardstick=spread),
    ]


def _fitted(asking: Asking, fit: Fit) -> bool:
    """Fit; whether the fit was taken: one that is not better leaves the collection in its space."""
    before = asking.client.get_collection(SCRATCH).space_id
    fit(SCRATCH)
    return asking.client.get_collection(SCRATCH).space_id != before


def _fresh(asking: Asking, items: Sequence[Item]) -> None:
    """A new collection of these items in the server's default space."""
    _delete(asking)
    ensure(asking, SCRATCH, items)


def _delete(asking: Asking) -> None:
    with suppress(NotFound):
        asking.client.delete_collection(SCRATCH)
