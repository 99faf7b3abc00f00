"""Grocery: 81 products with one studio picture each, and photos of them taken in shops.

M. Klasson et al., "A Hierarchical Grocery Store Image Dataset with Visual and Semantic Labels", WACV 2019. Asked is
with the photos of the split `val`; those of `train` are further pictures of their items in `grocery-photos`, which
is the collection that is fitted.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from itemlens import ChannelKind, Item, UserSide

from . import deletion, sums
from .ask import Asking, Question, find, similar
from .collections import Fit, ensure, fit_and_move
from .lists import scan_row
from .queries import picture_of, pictures_of
from .rows import ReportRow, mean

ITEMS, PHOTOS, SHOTS = "grocery", "grocery-photos", "grocery-shots"
KS = (1, 5)


@dataclass(frozen=True)
class Grocery:
    """The data set: products with their studio picture; train photos, to be merged into them; and val photos, each an
    item of its own whose attribute `product` is what it shows."""

    items: Sequence[Item]
    train: Sequence[Item]
    val: Sequence[Item]


def measure(asking: Asking, *, data: Grocery, fit: Fit | None, seed: int, queries: int) -> list[ReportRow]:
    """All rows of grocery. `queries` bounds the number of photos asked with."""
    ensure(asking, ITEMS, data.items)
    ensure(asking, PHOTOS, data.items, further=data.train)
    # The deletion test of cells explains the photos, so they must be items themselves.
    ensure(asking, SHOTS, [*data.items, *data.val])
    space = asking.client.space(fit_and_move(asking, PHOTOS, (ITEMS, SHOTS), fit))
    photos = data.val[:queries]
    words, image = space.first(ChannelKind.TEXT), space.first(ChannelKind.IMAGE)
    ids = [item.item_id for item in data.items]
    rows = _photo_rows(asking, data, photos, seed)
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


def _photo_rows(asking: Asking, data: Grocery, photos: Sequence[Item], seed: int) -> list[ReportRow]:
    """Photo -> product, against the raw cosine of plain encoder outputs: to one picture, to the mean of several."""
    questions = [
        Question(str(photo.attributes["product"]), UserSide(picture=picture_of(photo))) for photo in photos
    ]
    place = {item.item_id: n for n, item in enumerate(data.items)}
    targets = [place[str(photo.attributes["product"])] for photo in photos]
    asked = asking.encode("raw: photos", [picture_of(photo) for photo in photos])
    # Of each product the studio picture comes first.
    shown = [
        (place[i.item_id], p)
        for i in (*data.items, *data.train)
        for ps in pictures_of(i).values()
        for p in ps
    ]
    owners = np.asarray([owner for owner, _ in shown])
    raw = asking.encode("raw: pictures", [picture for _, picture in shown])
    means = np.stack([raw[owners == n].mean(0) for n in range(len(place))])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    rows = []
    for collection, vectors, least in (
        (ITEMS, raw[: len(place)], {5: 0.64}),
        (PHOTOS, means, {1: 0.60, 5: 0.90}),
    ):
        for k, hits in zip(KS, find(asking, "photo → product", questions, collection, KS), strict=True):
            plain = similar(asked, vectors, targets, k)
            told = f"raw picture cosine {plain.mean():.3f}"
            what = f"{collection}: val photo → product, R@{k}"
            rows.append(mean(what, hits, seed, least=least.get(k), yardstick=told))
            if collection == ITEMS and k == 5:
                rows.append(mean("the same minus raw picture cosine", hits - plain, seed, least=-0.03))
    return rows


def _falls_row(what: str, falls: deletion.Falls, least: float, seed: int) -> ReportRow:
    told = f"parts {falls.parts.mean():.3f}, random {falls.drawn.mean():.3f}"
    return mean(what, falls.difference, seed, least=least, yardstick=told)
