"""Grocery: 81 products with one studio picture each, and photos of them taken in shops.

M. Klasson et al., "A Hierarchical Grocery Store Image Dataset with Visual and Semantic Labels", WACV 2019. Asked is
with the photos of the split `val`; those of `train` are further pictures of their items in `grocery-photos`, which
is the collection that is fitted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from itemlens import ChannelKind, Item, Side

from . import deletion, sums
from .ask import Asking, Question, find, similar
from .collections import Fit, ensure, fit_and_move
from .lists import scan_row
from .rows import Floats, Row, mean

ITEMS, PHOTOS, SHOTS = "grocery", "grocery-photos", "grocery-shots"
COLLECTIONS = (ITEMS, PHOTOS, SHOTS)
MOST_PICTURES = 64
"""The server's default limit for an item; two products have more photos than that."""


@dataclass(frozen=True)
class Photo:
    """A photo of a product."""

    photo_id: str
    item_id: str
    split: str
    path: Path


@dataclass(frozen=True)
class Grocery:
    """The data set: items with their text and studio picture, and the photos."""

    items: Sequence[Item]
    photos: Sequence[Photo]

    def of(self, split: str) -> list[Photo]:
        """Photos of one split."""
        return [photo for photo in self.photos if photo.split == split]

    def with_photos(self) -> list[Item]:
        """The items, their train photos behind the studio picture."""
        found = []
        for item in self.items:
            assert item.picture is not None
            more = [photo.path for photo in self.of("train") if photo.item_id == item.item_id]
            found.append(replace(item, picture=None, pictures=[item.picture, *more][:MOST_PICTURES]))
        return found

    def with_shots(self) -> list[Item]:
        """The items, and each val photo as an item of its own: what the deletion test of cells removes from."""
        return [*self.items, *(Item(photo.photo_id, picture=photo.path) for photo in self.of("val"))]


def measure(asking: Asking, data: Grocery, fit: Fit | None, seed: int, queries: int) -> list[Row]:
    """All rows of grocery. `queries` bounds the number of photos asked with."""
    several, shots = data.with_photos(), data.with_shots()
    ensure(asking, ITEMS, data.items, len(data.items))
    ensure(asking, PHOTOS, several, len(several))
    ensure(asking, SHOTS, shots, len(shots))
    space = asking.client.space(fit_and_move(asking, PHOTOS, (ITEMS, SHOTS), fit))
    photos = data.of("val")[:queries]
    words, image = space.first(ChannelKind.TEXT), space.first(ChannelKind.IMAGE)
    ids = [item.item_id for item in data.items]
    rows = _photo_rows(asking, data, several, photos, seed)
    text_falls = deletion.texts(asking, ids, ITEMS, words, (image,), seed)
    cell_falls = deletion.pictures(asking, [(p.item_id, p.photo_id) for p in photos], SHOTS, image, seed)
    sides = [Side(picture=photo.path) for photo in photos]
    rows += [
        _falls_row("deletion: words, parts minus random", text_falls, 0.20, seed),
        _falls_row("deletion: photo cells, parts minus random", cell_falls, 0.045, seed),
        scan_row(asking, sides[:20], ITEMS, ids),
        sums.residual_row(
            asking,
            {
                "several pictures": sides[:8],
                "liked, several pictures": [Side(liked=ids[n : n + 2], disliked=[ids[-n - 1]]) for n in range(8)],
            },
            PHOTOS,
        ),
    ]
    return rows


def _photo_rows(
    asking: Asking, data: Grocery, several: Sequence[Item], photos: Sequence[Photo], seed: int
) -> list[Row]:
    """Photo -> product, against the raw cosine of plain encoder outputs: to one picture, to the mean of several."""
    questions = [Question(photo.item_id, Side(picture=photo.path)) for photo in photos]
    place = {item.item_id: n for n, item in enumerate(data.items)}
    targets = [place[photo.item_id] for photo in photos]
    asked = asking.encode("raw: photos", [photo.path for photo in photos])
    pictures = [(n, picture) for n, item in enumerate(several) for picture in item.pictures]
    owners = [n for n, _ in pictures]
    raw = asking.encode("raw: pictures", [picture for _, picture in pictures])
    first = [owners.index(n) for n in range(len(several))]
    means = [raw[[m for m, owner in enumerate(owners) if owner == n]].mean(0) for n in range(len(several))]
    rows = []
    for collection, vectors, least in (
        (ITEMS, raw[first], {5: 0.64}),
        (PHOTOS, _units(means), {1: 0.60, 5: 0.90}),
    ):
        for k in (1, 5):
            hits = find(asking, f"{collection}: photo, R@{k}", questions, collection, k)
            plain = similar(asked, vectors, targets, k)
            told = f"raw picture cosine {plain.mean():.3f}"
            rows.append(
                mean(f"{collection}: val photo → product, R@{k}", hits, seed, least=least.get(k), yardstick=told)
            )
            if collection == ITEMS and k == 5:
                rows.append(mean("the same minus raw picture cosine", hits - plain, seed, least=-0.03))
    return rows
