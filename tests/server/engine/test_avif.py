"""AVIF files: the size of what they code, whatever their header says."""

from __future__ import annotations

import io
import random
import struct
from typing import Any

import pytest
from PIL import Image, features

from itemlens_server.engine.pictures.avif import coded_pixels
from itemlens_server.engine.pictures.errors import PictureError
from itemlens_server.engine.pictures.file import PictureFile

pytestmark = pytest.mark.skipif(not features.check("avif"), reason="NOT RUN: this Pillow reads no AVIF")


def avif(width: int, height: int, mode: str = "RGB", **options: Any) -> bytes:
    out = io.BytesIO()
    Image.effect_noise((width, height), 90).convert(mode).save(out, "AVIF", **options)
    return out.getvalue()


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
@pytest.mark.parametrize("size", [(1, 1), (17, 5), (300, 200)])
@pytest.mark.parametrize("options", [{}, {"speed": 10, "subsampling": "4:4:4"}])
def test_the_coded_size_is_read(size: tuple[int, int], mode: str, options: dict[str, Any]) -> None:
    data = avif(*size, mode, **options)
    assert coded_pixels(data) == size[0] * size[1]
    assert PictureFile(data, 100_000).load().size == size


def test_a_frame_larger_than_the_header_says_counts_with_its_size() -> None:
    data = bytearray(avif(600, 400))
    at = data.index(b"ispe") + 8
    data[at : at + 8] = struct.pack(">LL", 64, 64)
    assert coded_pixels(bytes(data)) == 240_000
    honest = PictureFile(avif(64, 64), 1_000_000).memory_bytes
    assert PictureFile(bytes(data), 1_000_000).memory_bytes > honest + 20 * (240_000 - 64 * 64)
    with pytest.raises(PictureError, match="240000 pixels, the limit is 100000"):
        PictureFile(bytes(data), 100_000)


def test_an_animated_file_is_refused() -> None:
    data = avif(30, 20, save_all=True, append_images=[Image.new("RGB", (30, 20), "red")])
    with pytest.raises(PictureError, match="animated AVIF: send a still one"):
        PictureFile(data, 100_000)


def test_damaged_files_are_refused_or_have_a_size() -> None:
    whole = avif(40, 30)
    chance = random.Random(5)
    for _ in range(2000):
        data = bytearray(whole[: chance.randrange(len(whole))] if chance.random() < 0.3 else whole)
        for _ in range(chance.randrange(4)):
            if data:
                data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            assert coded_pixels(bytes(data)) > 0
        except PictureError as error:
            assert "AVIF" in str(error)
