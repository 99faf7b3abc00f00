"""Queries made from an item's content: two words of its title, or a degraded copy of its picture."""

from __future__ import annotations

import hashlib
import io
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageEnhance, ImageOps

from itemlens import Item, Picture


def two_words(rng: random.Random, title: str) -> str:
    """Two random words of a title, in their order. The title must have at least two."""
    words = title.split()
    return " ".join(words[n] for n in sorted(rng.sample(range(len(words)), 2)))


def spoilt(rng: random.Random, picture: Picture) -> bytes:
    """A picture cropped to 65-85% of each side, mirrored and dimmed to 60-90%, as PNG."""
    data = picture if isinstance(picture, bytes) else Path(picture).read_bytes()
    image = Image.open(io.BytesIO(data)).convert("RGB")
    share = rng.uniform(0.65, 0.85)
    width, height = max(1, round(image.width * share)), max(1, round(image.height * share))
    left, top = rng.randint(0, image.width - width), rng.randint(0, image.height - height)
    crop = ImageOps.mirror(image.crop((left, top, left + width, top + height)))
    out = io.BytesIO()
    ImageEnhance.Brightness(crop).enhance(rng.uniform(0.6, 0.9)).save(out, "PNG")
    return out.getvalue()


def draw(item_id: str) -> float:
    """A pseudo-random number in [0, 1), always the same for an item, so that collections can be kept between runs."""
    return int.from_bytes(hashlib.sha256(f"0:{item_id}".encode()).digest()[:8], "big") / 2**64


def text_of(item: Item) -> str:
    """The one text of an item as a mapping reads it."""
    return next(iter(item.texts.values()))


def pictures_of(item: Item) -> Mapping[str, Sequence[Picture]]:
    """The pictures of an item as a mapping reads it, by channel."""
    assert isinstance(item.pictures, Mapping)
    return item.pictures


def picture_of(item: Item) -> Picture:
    """The first picture of an item."""
    return next(iter(pictures_of(item).values()))[0]
