"""Searches for items by two words of their titles, by crops of their pictures and by both, beside the raw cosines.

37% of the fashion items share their title with another item, so hits count ties by expectation.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from itemlens import ChannelKind, Item, UserSide

from .ask import AT_ONCE, Asking, Question, find, ranked_hits, similar
from .queries import picture_of, spoilt, text_of, two_words
from .rows import Floats, ReportRow, mean

K = 10
PICTURE_WEIGHTS = (0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0)
"""Weights of the raw picture cosine relative to the raw text cosine, tried for the blend."""

Vectors: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True)
class Searches:
    """Queries for the same targets by words, by picture and by both."""

    targets: list[str]
    words: list[Question]
    picture: list[Question]
    both: list[Question]

    @staticmethod
    def of(items: Sequence[Item], seed: int, count: int) -> Searches:
        """Queries for `count` random items with at least two words."""
        rng = random.Random(seed)
        eligible = [item for item in items if len(text_of(item).split()) >= 2]
        chosen = rng.sample(eligible, min(count, len(eligible)))
        words = [two_words(rng, text_of(item)) for item in chosen]
        pictures = [spoilt(rng, picture_of(item)) for item in chosen]
        targets = [item.item_id for item in chosen]
        return Searches(
            targets,
            [Question(t, UserSide(text=w)) for t, w in zip(targets, words, strict=True)],
            [Question(t, UserSide(picture=p)) for t, p in zip(targets, pictures, strict=True)],
            [
                Question(t, UserSide(text=w, picture=p))
                for t, w, p in zip(targets, words, pictures, strict=True)
            ],
        )

    @property
    def kinds(self) -> Mapping[str, list[Question]]:
        """The questions by kind."""
        return {"words": self.words, "picture": self.picture, "words + picture": self.both}

    def ask(self, asking: Asking, collection: str) -> dict[str, Floats]:
        """The server's hits of each question, by kind."""
        return {kind: find(asking, f"by {kind}", some, collection)[0] for kind, some in self.kinds.items()}


@dataclass(frozen=True)
class RawVectors:
    """Unit raw vectors of the titles and pictures of all items, float32 [items, dimension]."""

    item_ids: Sequence[str]
    texts: Vectors
    pictures: Vectors

    @staticmethod
    def of(asking: Asking, items: Sequence[Item]) -> RawVectors:
        """Those of items with a title and a picture, encoded."""
        return RawVectors(
            [item.item_id for item in items],
            asking.encode_texts("raw: titles", [text_of(item) for item in items]),
            asking.encode_pictures("raw: pictures", [picture_of(item) for item in items]),
        )

    @staticmethod
    def stored(asking: Asking, item_ids: Sequence[str], collection: str, batch: int = 500) -> RawVectors:
        """The same from a collection whose space is not fitted: its ITEM vectors hold them, channel by channel, each
        followed by two flags."""
        space = asking.client.space(asking.client.get_collection(collection).space_id)
        assert not space.fitted
        blocks, start = {}, 0
        for channel in space.channels:
            blocks[channel.kind] = slice(start, start + channel.dimension)
            start += channel.dimension + 2

        def vectors(ids: Sequence[str]) -> Vectors:
            entries = asking.client.get_items(ids, vectors=True, collection=collection)
            return np.stack([entry.vector.values for entry in entries if entry.vector is not None])

        parts = [item_ids[n : n + batch] for n in range(0, len(item_ids), batch)]
        h = np.concatenate(asking.each(f"{collection}: raw vectors", vectors, parts))
        return RawVectors(item_ids, h[:, blocks[ChannelKind.TEXT]], h[:, blocks[ChannelKind.IMAGE]])

    @cached_property
    def rows(self) -> Mapping[str, int]:
        """The row of each item."""
        return {item_id: n for n, item_id in enumerate(self.item_ids)}

    def take(self, item_ids: Sequence[str]) -> RawVectors:
        """Those of some items."""
        rows = [self.rows[item_id] for item_id in item_ids]
        return RawVectors(item_ids, self.texts[rows], self.pictures[rows])

    def blend(self, weight: float) -> Vectors:
        """Vectors whose products with [text, picture] are text cosine + weight * picture cosine."""
        return np.hstack([self.texts, np.float32(weight) * self.pictures])


@dataclass(frozen=True)
class RawHits:
    """What raw cosines find, by kind of search. The picture's `weight` is the best one for these very questions."""

    hits: Mapping[str, Floats]
    weight: float

    @staticmethod
    def of(asking: Asking, searches: Searches, raw: RawVectors) -> RawHits:
        """The hits of the searches among the items of `raw`."""
        words = asking.encode_texts("raw: words", [question.side.text or "" for question in searches.words])
        crops = [picture for q in searches.picture if (picture := q.side.picture) is not None]
        shown = asking.encode_pictures("raw: crops", crops)
        targets = [raw.rows[target] for target in searches.targets]
        blends = _blends(words, shown, raw, targets)
        weight = max(blends, key=lambda w: float(blends[w].mean()))
        alone = {
            "words": similar(words, raw.texts, targets, K),
            "picture": similar(shown, raw.pictures, targets, K),
        }
        return RawHits({**alone, "words + picture": blends[weight]}, weight)

    @property
    def names(self) -> Mapping[str, str]:
        """What each kind of search is compared with."""
        blend = f"raw text + {self.weight:g} raw picture cosine"
        return {"words": "raw text cosine", "picture": "raw picture cosine", "words + picture": blend}


def _blends(words: Vectors, shown: Vectors, raw: RawVectors, targets: Sequence[int]) -> dict[float, Floats]:
    """The hits of text cosine + weight * picture cosine, by weight. Both cosines are computed once."""
    hits: dict[float, list[Floats]] = {weight: [] for weight in PICTURE_WEIGHTS}
    for start in range(0, len(words), AT_ONCE):
        some = slice(start, start + AT_ONCE)
        texts, pictures = words[some] @ raw.texts.T, shown[some] @ raw.pictures.T
        for weight, found in hits.items():
            found.append(ranked_hits(texts + np.float32(weight) * pictures, targets[some], K))
    return {weight: np.concatenate(found) for weight, found in hits.items()}


def compared(
    what: str, ours: Mapping[str, Floats], raw: RawHits, seed: int, least: float | None = None
) -> list[ReportRow]:
    """The rows of each kind of search, and of its paired difference to the raw cosines, which is held to `least`."""
    rows = []
    for kind, hits in ours.items():
        beside = f"{raw.names[kind]} {raw.hits[kind].mean():.3f}"
        rows.append(mean(f"{what}: {kind}, R@{K}", hits, seed, yardstick=beside))
        rows.append(mean(f"the same minus {raw.names[kind]}", hits - raw.hits[kind], seed, least=least))
    return rows
