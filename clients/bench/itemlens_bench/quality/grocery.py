"""Grocery: 81 products with one studio picture each, and photos of them taken in shops.

M. Klasson et al., "A Hierarchical Grocery Store Image Dataset with Visual and Semantic Labels", WACV 2019. The queries
are the photos of the split `val`. Those of `train` are further pictures of their items in `grocery-photos`, which is
the collection that is fitted.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from itemlens import ChannelKind, Item, UserSide

from . import deletion, sums
from .ask import Asking, Question, find, similar
from .collections import Fit, ensure, fit_and_move, unfit
from .lists import scan_row
from .queries import picture_of, pictures_of
from .rows import Floats, ReportRow, mean

ITEMS, PHOTOS, SHOTS = "grocery", "grocery-photos", "grocery-shots"
KS = (1, 5)


@dataclass(frozen=True)
class Grocery:
    """The data set: products with their studio picture, train photos to be merged into them, and val photos.

    Each val photo is a separate item; its attribute `product` names what it shows.
    """

    items: Sequence[Item]
    train: Sequence[Item]
    val: Sequence[Item]


def measure(asking: Asking, *, data: Grocery, fit: Fit | None, seed: int, queries: int) -> list[ReportRow]:
    """All rows of grocery. `queries` is the largest number of photos used as queries."""
    ensure(asking, ITEMS, data.items)
    ensure(asking, PHOTOS, data.items, further=data.train)
    # The deletion test of cells explains the photos, so they must be items.
    ensure(asking, SHOTS, [*data.items, *data.val])
    photos = data.val[:queries]
    raw = _raw_hits(asking, data, photos)
    rows = []
    if fit is not None:
        unfit(asking, (ITEMS, PHOTOS))
        rows += _photo_rows(asking, f"{ITEMS}, never fitted", ITEMS, photos, raw[ITEMS], seed, {})
        fit_and_move(asking, ITEMS, (), fit)
        alone = f"{ITEMS}, fitted to its own {len(data.items)} pictures"
        rows += _photo_rows(asking, alone, ITEMS, photos, raw[ITEMS], seed, {}, least_difference=0.0)
    space = asking.client.space(fit_and_move(asking, PHOTOS, (ITEMS, SHOTS), fit))
    words, image = space.first(ChannelKind.TEXT), space.first(ChannelKind.IMAGE)
    ids = [item.item_id for item in data.items]
    shown = sum(len(pictures) for item in data.train for pictures in pictures_of(item).values())
    further = ITEMS if fit is None else f"{ITEMS}, fitted with {shown:,} further photos"
    rows += _photo_rows(asking, further, ITEMS, photos, raw[ITEMS], seed, {5: 0.64}, least_difference=-0.03)
    rows += _photo_rows(asking, PHOTOS, PHOTOS, photos, raw[PHOTOS], seed, {1: 0.65, 5: 0.94})
    text_falls = deletion.texts(asking, ids, ITEMS, words, (image,), seed)
    cell_falls = deletion.pictures(
        asking, [(str(p.attributes["product"]), p.item_id) for p in photos], SHOTS, image, seed
    )
    sides = [UserSide(picture=picture_of(photo)) for photo in photos]
    rng = random.Random(seed)
    each = sums.sides_needed(queries)
    liking = [UserSide(liked=rng.sample(ids, 2), disliked=rng.sample(ids, 1)) for _ in range(each)]
    rows += [
        _falls_row("deletion: words, parts minus random", text_falls, 0.20, seed),
        _falls_row("deletion: photo cells, parts minus random", cell_falls, 0.045, seed),
        scan_row(asking, sides[:20], ITEMS, ids),
        sums.residual_row(
            asking, {"several pictures": sides[:each], "liked, several pictures": liking}, PHOTOS
        ),
    ]
    return rows


def _raw_hits(asking: Asking, data: Grocery, photos: Sequence[Item]) -> dict[str, dict[int, Floats]]:
    """The yardstick, by collection and k: cosine of raw encoder vectors, to one picture or the mean of several."""
    place = {item.item_id: n for n, item in enumerate(data.items)}
    targets = [place[str(photo.attributes["product"])] for photo in photos]
    asked = asking.encode_pictures("raw: photos", [picture_of(photo) for photo in photos])
    # The studio picture of each product comes first.
    shown = [
        (place[i.item_id], p)
        for i in (*data.items, *data.train)
        for ps in pictures_of(i).values()
        for p in ps
    ]
    owners = np.asarray([owner for owner, _ in shown])
    raw = asking.encode_pictures("raw: pictures", [picture for _, picture in shown])
    means = np.stack([raw[owners == n].mean(0) for n in range(len(place))])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    vectors = {ITEMS: raw[: len(place)], PHOTOS: means}
    return {name: {k: similar(asked, those, targets, k) for k in KS} for name, those in vectors.items()}


def _photo_rows(
    asking: Asking,
    what: str,
    collection: str,
    photos: Sequence[Item],
    raw: Mapping[int, Floats],
    seed: int,
    least: Mapping[int, float],
    least_difference: float | None = None,
) -> list[ReportRow]:
    """The rows of photo -> product at each k, each with its difference to the yardstick `raw`."""
    questions = [
        Question(str(photo.attributes["product"]), UserSide(picture=picture_of(photo))) for photo in photos
    ]
    rows = []
    for k, hits in zip(KS, find(asking, "photo → product", questions, collection, KS), strict=True):
        yardstick = "mean of raw pictures" if collection == PHOTOS else "raw picture cosine"
        rows.append(
            mean(
                f"{what}: val photo → product, R@{k}",
                hits,
                seed,
                least=least.get(k),
                yardstick=f"{yardstick} {raw[k].mean():.3f}",
            )
        )
        rows.append(mean(f"the same minus {yardstick}", hits - raw[k], seed, least=least_difference))
    return rows


def _falls_row(what: str, falls: deletion.Falls, least: float, seed: int) -> ReportRow:
    yardstick = f"parts {falls.parts.mean():.3f}, random {falls.drawn.mean():.3f}"
    return mean(what, falls.difference, seed, least=least, yardstick=yardstick)
