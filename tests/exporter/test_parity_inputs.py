"""The inputs of the parity check: many, varied, and the same on every machine."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

import pytest
from PIL import Image

# Imported before the other tests take a part of them.
from itemlens_exporter.parity_inputs import pictures, texts


@pytest.mark.parametrize("made", [texts, pictures])
def test_more_than_200_which_the_seed_decides(made: Callable[[int], Sequence[object]]) -> None:
    inputs = made(0)
    assert len(inputs) > 200
    assert inputs == made(0) != made(1)


def test_texts_are_of_all_lengths_and_scripts() -> None:
    words = [len(text.split()) for text in texts()]
    assert min(words) == 1 and max(words) >= 700
    letters = set("".join(texts()))
    assert {"a", "中", "😀", "م", "м"} <= letters


def test_pictures_are_of_both_formats_and_many_sizes() -> None:
    opened = [Image.open(io.BytesIO(data)) for data in pictures()]
    assert {picture.format for picture in opened} == {"PNG", "JPEG"}
    assert len({picture.size for picture in opened}) > 200
