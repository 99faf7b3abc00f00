"""Small answers, made by hand."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import pytest
from PIL import Image

from itemlens import (
    Explanation,
    HeatMap,
    Item,
    Part,
    PartKind,
    Recommendation,
    Recommendations,
)
from itemlens import Interest as UserInterest
from itemlens_demo.answers import Answer, ShownItem

Make: TypeAlias = Callable[..., Answer]


@pytest.fixture
def picture() -> bytes:
    """A small picture."""
    file = io.BytesIO()
    Image.new("RGB", (8, 6), "teal").save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def answer(picture: bytes) -> Make:
    """Makes an answer of one item. `words`: what each word of its text adds to the score."""

    def make(title: str, body: str, words: dict[str, float], *, pictured: bool = True) -> Answer:
        text = f"{title}\n{body}"
        places = [
            Part(
                PartKind.TOKEN,
                "text",
                value,
                source_channel="text",
                text=word,
                start=text.index(word),
                end=text.index(word) + len(word),
            )
            for word, value in words.items()
        ]
        by_channel = [
            Part(PartKind.CHANNEL, "text", sum(words.values())),
            Part(PartKind.BASELINE, "text", -0.1),
        ]
        if pictured:
            by_channel.append(Part(PartKind.CHANNEL, "image", 0.25))
        by_channel.append(Part(PartKind.NORMALISATION, "", -0.5))
        score = sum(part.value for part in by_channel)
        item = Item(
            "an-item",
            texts={"text": text},
            pictures={"image": [picture]} if pictured else {},
            attributes={"title": title, "domain": "shop"},
        )
        recommendation = Recommendation("an-item", 1, score, 0, tuple(by_channel), "Because.")
        explanation = Explanation(
            item_id="an-item",
            score=score,
            residual=2e-8,
            by_channel=tuple(by_channel),
            by_source=(),
            by_place=tuple(places),
            sums=(),
            sentence="Because <you> asked.",
            heat_maps=(HeatMap("image", 0, np.zeros((0, 0), np.float32), picture),) if pictured else (),
            error=None,
        )
        interests = (UserInterest(1.0, ("past",), None),)
        listed = Recommendations("r", "sp-1", (recommendation,), interests, 9, ())
        return Answer(listed, (ShownItem(item, recommendation, explanation),))

    return make
