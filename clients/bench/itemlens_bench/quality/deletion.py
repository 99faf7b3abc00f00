"""The deletion test: do the parts of an explanation name what the score depends on?

The user likes item i; the candidate is a random one of i's top 5. The test removes the words (cells) with the largest
parts, 10, 20, 30 and 50% of them, encodes the rest again and scores it. The report has the mean fall of the score,
minus that for the same number of random words (cells). Punctuation and special tokens are never removed. A removed
cell gets the picture's mean colour. After V. Petsiuk et al., "RISE", BMVC 2018.
"""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from itemlens import ChannelWeight, Explanation, FuseInput, Part, PartKind, UserSide

from .ask import Asking
from .rows import Floats

SHARES = (0.1, 0.2, 0.3, 0.5)
RANDOM_DRAWS = 3
TOP = 5

Spoil = Callable[[Sequence[Part]], FuseInput]
T = TypeVar("T")


@dataclass(frozen=True)
class Falls:
    """Mean fall of each case's score, after the removal of the largest parts and of random ones."""

    parts: Floats
    drawn: Floats

    @property
    def difference(self) -> Floats:
        """Largest parts minus random ones, case by case."""
        return self.parts - self.drawn


def texts(
    asking: Asking, item_ids: Sequence[str], collection: str, channel: str, others: Sequence[str], seed: int
) -> Falls:
    """The test on words. Candidates are found and scored by words alone: the channels `others` have weight 0."""
    alone = {other: ChannelWeight(weight=0.0) for other in others}
    stored = {}
    for entry in asking.client.get_items(item_ids, collection=collection):
        stored[entry.item.item_id] = entry.item.texts[channel]

    def ask(n: int) -> tuple[float, float]:
        rng = random.Random(f"{seed} {n}")
        side = UserSide(liked=[item_ids[n]], channel_weights=alone)
        listed = asking.client.recommend(side, k=TOP, collection=collection, query_vectors=True)
        candidate = rng.choice(listed.items).item_id
        (explained,) = asking.explain([candidate], side, collection=collection)
        words = [
            p for p in explained.by_place if p.kind is PartKind.TOKEN and any(c.isalnum() for c in p.text)
        ]
        text = stored[candidate]
        query = listed.interests[0].query_vector
        assert query is not None

        def spoil(gone: Sequence[Part]) -> FuseInput:
            return FuseInput(texts={channel: without(text, [(p.start, p.end) for p in gone])})

        return _falls(asking, explained, words, spoil, query.values, listed.space_id, rng)

    return _both(asking.each("deletion of words", ask, range(len(item_ids))))


def pictures(
    asking: Asking, pairs: Sequence[tuple[str, str]], collection: str, channel: str, seed: int
) -> Falls:
    """The test on cells: for each (product, photo), both items of `collection`, a user who likes the product."""

    def ask(n: int) -> tuple[float, float]:
        rng = random.Random(f"{seed} {n}")
        product, photo = pairs[n]
        side = UserSide(liked=[product])
        listed = asking.client.recommend(
            side, k=1, candidates=[photo], collection=collection, query_vectors=True
        )
        (explained,) = asking.explain([photo], side, collection=collection)
        cells = [p for p in explained.by_place if p.kind is PartKind.CELL and not p.predicted]
        grid = 1 + max(p.row for p in cells), 1 + max(p.column for p in cells)
        stored = asking.client.get_items([photo], pictures=True, collection=collection)[0].item.pictures
        assert isinstance(stored, dict)
        picture = stored[channel][0]
        assert isinstance(picture, bytes)
        query = listed.interests[0].query_vector
        assert query is not None

        def spoil(gone: Sequence[Part]) -> FuseInput:
            filled = fill(picture, [(p.row, p.column) for p in gone], grid)
            return FuseInput(pictures={channel: [filled]})

        return _falls(asking, explained, cells, spoil, query.values, listed.space_id, rng)

    return _both(asking.each("deletion of cells", ask, range(len(pairs))))


def _falls(
    asking: Asking,
    explained: Explanation,
    parts: Sequence[Part],
    spoil: Spoil,
    query: NDArray[np.float32],
    space: str,
    rng: random.Random,
) -> tuple[float, float]:
    largest = sorted(parts, key=lambda p: -p.value)
    spoilt = []
    for share in SHARES:
        count = min(len(parts), max(1, round(share * len(parts))))
        spoilt.append(spoil(largest[:count]))
        spoilt += [spoil(rng.sample(list(parts), count)) for _ in range(RANDOM_DRAWS)]
    scores = asking.fuse(spoilt, space).astype(np.float64) @ query.astype(np.float64)
    # Columns: the largest removed, then the random draws.
    falls = (explained.score - scores).reshape(len(SHARES), 1 + RANDOM_DRAWS)
    return float(falls[:, 0].mean()), float(falls[:, 1:].mean())


def _both(falls: Sequence[tuple[float, float]]) -> Falls:
    named, drawn = zip(*falls, strict=True)
    return Falls(np.asarray(named), np.asarray(drawn))


def without(text: str, spans: Sequence[tuple[int, int]]) -> str:
    """`text` with some spans of characters cut out, and the blanks around them joined."""
    gone = set().union(*(range(start, end) for start, end in spans)) if spans else set()
    kept = "".join(" " if n in gone else character for n, character in enumerate(text))
    # Encoders refuse a blank text, so a text without words becomes a full stop.
    return " ".join(kept.split()) or "."


def fill(picture: bytes, cells: Sequence[tuple[int, int]], grid: tuple[int, int]) -> bytes:
    """`picture` with some cells (row, column) of a grid filled with its mean colour, as PNG."""
    pixels = np.array(Image.open(io.BytesIO(picture)).convert("RGB"))
    colour = pixels.reshape(-1, 3).mean(0).round().astype(np.uint8)
    rows = np.linspace(0, pixels.shape[0], grid[0] + 1).round().astype(int)
    columns = np.linspace(0, pixels.shape[1], grid[1] + 1).round().astype(int)
    for row, column in cells:
        pixels[rows[row] : rows[row + 1], columns[column] : columns[column + 1]] = colour
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()
