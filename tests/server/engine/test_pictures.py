"""Pictures: any file a shop may hold becomes the same kind of pixels, or a clear error."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from itemlens_server.engine.manifest import PicturePreprocessing
from itemlens_server.engine.pictures import (
    STORED_BYTES,
    PictureError,
    decode,
    fit_to_model,
    normalise,
    pixels,
    stored_form,
)

LIMIT = 1_000_000
STRETCH = PicturePreprocessing(
    height=40, width=56, resize="stretch", mean=(0.5,) * 3, std=(0.5,) * 3, grid_height=1, grid_width=1
)
CROP = PicturePreprocessing(
    height=40,
    width=40,
    resize="shorter_side",
    resize_to=48,
    resample="bilinear",
    mean=(0.4, 0.5, 0.6),
    std=(0.2, 0.3, 0.4),
    grid_height=1,
    grid_width=1,
)


def noise(height: int, width: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def colour(image: Image.Image, x: int = 0, y: int = 0) -> tuple[int, ...]:
    value = image.getpixel((x, y))
    assert isinstance(value, tuple)
    return tuple(int(part) for part in value)


class TestDecode:
    @pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "GIF", "JPEG", "WEBP"])
    def test_every_allowed_format_gives_rgb_of_the_same_size(self, kind: str) -> None:
        image = decode(encoded(Image.new("RGB", (7, 5), (250, 10, 20)), kind), LIMIT)
        assert (image.mode, image.size) == ("RGB", (7, 5))
        assert np.abs(np.array(colour(image)) - (250, 10, 20)).max() < 8

    def test_one_pixel_is_a_picture(self) -> None:
        assert pixels(decode(encoded(Image.new("RGB", (1, 1), "red")), LIMIT), STRETCH).shape == (3, 40, 56)

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_exif_orientation_is_applied(self, orientation: int) -> None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        image = decode(encoded(noise(20, 30), "JPEG", exif=exif), LIMIT)
        assert image.size == ((30, 20) if orientation <= 4 else (20, 30))

    def test_exif_orientation_can_be_left_alone(self) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6
        image = decode(encoded(noise(20, 30), "JPEG", exif=exif), LIMIT, exif_orientation=False)
        assert image.size == (30, 20)

    @pytest.mark.filterwarnings("ignore:Corrupt EXIF")
    def test_malformed_exif_does_not_cost_the_picture(self) -> None:
        data = encoded(noise(20, 30), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff garbage")
        assert decode(data, LIMIT).size == (30, 20)

    def test_transparency_is_laid_on_the_background(self) -> None:
        data = encoded(Image.new("RGBA", (2, 2), (255, 0, 0, 0)))
        assert colour(decode(data, LIMIT)) == (255, 255, 255)
        assert colour(decode(data, LIMIT, background=(0, 0, 255))) == (0, 0, 255)

    def test_half_transparency_is_mixed(self) -> None:
        red, green, blue = colour(decode(encoded(Image.new("RGBA", (2, 2), (0, 0, 0, 128))), LIMIT))
        assert (red, green, blue) == (127, 127, 127)

    def test_a_transparent_palette_colour_is_background(self) -> None:
        image = Image.new("P", (2, 2), 1)
        image.putpalette([0, 0, 0, 9, 9, 9])
        assert colour(decode(encoded(image, transparency=1), LIMIT)) == (255, 255, 255)

    def test_grey_with_alpha(self) -> None:
        assert colour(decode(encoded(Image.new("LA", (2, 2), (40, 255))), LIMIT)) == (40, 40, 40)

    def test_bilevel(self) -> None:
        assert colour(decode(encoded(Image.new("1", (2, 2), 1)), LIMIT)) == (255, 255, 255)

    def test_cmyk_is_converted(self) -> None:
        red, green, _ = colour(decode(encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG"), LIMIT))
        assert red > 200
        assert green < 60

    @pytest.mark.parametrize("kind", ["PNG", "TIFF"])
    def test_sixteen_bits_are_scaled_not_clipped(self, kind: str) -> None:
        ramp = np.array([[0, 257, 32896, 65535]], dtype=np.uint16)
        image = decode(encoded(Image.fromarray(ramp), kind), LIMIT)
        assert [colour(image, x)[0] for x in range(4)] == [0, 1, 128, 255]

    def test_float_pictures_are_scaled(self) -> None:
        image = decode(encoded(Image.fromarray(np.array([[0.0, 0.5, 1.0]], dtype=np.float32)), "TIFF"), LIMIT)
        assert [colour(image, x)[0] for x in range(3)] == [0, 128, 255]

    @pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
    def test_of_an_animation_the_first_frame_counts(self, kind: str) -> None:
        frames = [Image.new("RGB", (6, 6), name) for name in ("red", "blue")]
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True)
        assert np.abs(np.array(colour(decode(data, LIMIT))) - (255, 0, 0)).max() < 8

    def test_what_is_returned_holds_no_file(self) -> None:
        assert type(decode(encoded(noise(4, 4)), LIMIT)) is Image.Image


class TestRefusals:
    @pytest.mark.parametrize(
        ("data", "says"),
        [
            (b"", "empty"),
            (b"\0" * 100, "not a picture"),
            (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "JPEG, PNG"),
            (b"\x89PNG\r\n\x1a\n", "not a picture"),
        ],
    )
    def test_what_is_no_picture(self, data: bytes, says: str) -> None:
        with pytest.raises(PictureError, match=says):
            decode(data, LIMIT)

    def test_a_format_outside_the_list(self) -> None:
        with pytest.raises(PictureError, match="send one of JPEG"):
            decode(encoded(noise(4, 4), "PPM"), LIMIT)

    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"])
    @pytest.mark.parametrize("share", [0.3, 0.7])
    def test_cut_short(self, kind: str, share: float) -> None:
        data = encoded(noise(64, 64), kind)
        with pytest.raises(PictureError, match="whole"):
            decode(data[: int(len(data) * share)], LIMIT)

    def test_more_pixels_than_allowed_is_seen_in_the_header(self) -> None:
        with pytest.raises(PictureError, match=r"30 x 20 = 600 pixels, the limit is 599"):
            decode(encoded(noise(20, 30)), 599)
        assert decode(encoded(noise(20, 30)), 600)

    @pytest.mark.parametrize("side", [9_000, 50_000])
    def test_a_decompression_bomb_is_not_decoded(self, side: int, monkeypatch: pytest.MonkeyPatch) -> None:
        data = encoded(Image.new("1", (side, side)))
        monkeypatch.setattr(Image.Image, "load", lambda *_: pytest.fail("decoded"))
        with pytest.raises(PictureError, match="pixels"):
            decode(data, LIMIT)

    @settings(max_examples=60, deadline=None)
    @given(st.sampled_from(["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"]), st.data())
    def test_damaged_bytes_give_a_picture_or_a_picture_error(self, kind: str, data: st.DataObject) -> None:
        good = bytearray(encoded(noise(12, 12), kind))
        for _ in range(data.draw(st.integers(1, 8))):
            good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
        with suppress(PictureError):
            assert decode(bytes(good), LIMIT).mode == "RGB"


class TestGeometry:
    def test_stretch_ignores_the_shape(self) -> None:
        assert fit_to_model(noise(10, 100), STRETCH).size == (56, 40)

    def test_the_crop_is_central(self) -> None:
        image = Image.new("RGB", (120, 60), "black")
        image.paste((255, 255, 255), (30, 0, 90, 60))
        values = np.asarray(fit_to_model(image, CROP))
        assert values.shape == (40, 40, 3)
        assert values.min() > 250

    @settings(max_examples=40, deadline=None)
    @given(st.integers(1, 300), st.integers(1, 300), st.sampled_from([STRETCH, CROP]))
    def test_the_size_is_always_the_models(self, height: int, width: int, pre: PicturePreprocessing) -> None:
        assert pixels(noise(height, width), pre).shape == (3, pre.height, pre.width)

    @pytest.mark.parametrize("size", [(1, 60_000), (60_000, 1)])
    def test_a_long_strip_does_not_blow_up(self, size: tuple[int, int]) -> None:
        assert fit_to_model(Image.new("RGB", size), CROP).size == (40, 40)

    def test_scaling(self) -> None:
        values = normalise(Image.new("RGB", (40, 40), (255, 0, 51)), CROP)
        assert values.dtype == np.float32
        assert values.flags.c_contiguous
        expected = (np.array([1.0, 0.0, 0.2]) - CROP.mean) / CROP.std
        np.testing.assert_allclose(values[:, 3, 7], expected, rtol=1e-6)


FILES: dict[str, Callable[[], bytes]] = {
    "small": lambda: encoded(noise(30, 30)),
    "large png": lambda: encoded(noise(300, 200)),
    "large jpeg": lambda: encoded(noise(500, 400), "JPEG", quality=95),
    "transparent": lambda: encoded(noise(200, 200).convert("RGBA").rotate(30)),
    "sixteen bits": lambda: encoded(Image.fromarray(np.arange(250_00, dtype=np.uint16).reshape(125, 200))),
    "rotated": lambda: encoded(noise(300, 400), "JPEG", quality=95, exif=orientation(6)),
}


def orientation(value: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


class TestStoredForm:
    @pytest.mark.parametrize("file", FILES)
    @pytest.mark.parametrize("pre", [STRETCH, CROP], ids=["stretch", "crop"])
    def test_what_is_kept_gives_the_same_pixels(self, file: str, pre: PicturePreprocessing) -> None:
        data = FILES[file]()
        image = decode(data, LIMIT)
        kept = stored_form(data, fit_to_model(image, pre))
        np.testing.assert_array_equal(pixels(decode(kept, LIMIT), pre), pixels(image, pre))
        assert len(kept) <= len(data)

    @settings(max_examples=25, deadline=None)
    @given(st.integers(1, 150), st.integers(1, 150), st.integers(0, 99), st.sampled_from([STRETCH, CROP]))
    def test_a_second_pass_changes_nothing(
        self, height: int, width: int, seed: int, pre: PicturePreprocessing
    ) -> None:
        once = fit_to_model(noise(height, width, seed), pre)
        assert fit_to_model(once, pre) is once

    def test_a_small_original_is_kept(self) -> None:
        data = FILES["small"]()
        assert len(data) <= STORED_BYTES
        assert stored_form(data, fit_to_model(decode(data, LIMIT), STRETCH)) == data

    def test_a_large_original_is_reduced(self) -> None:
        data = FILES["large jpeg"]()
        kept = stored_form(data, fit_to_model(decode(data, LIMIT), STRETCH))
        assert len(kept) < len(data)
        assert decode(kept, LIMIT).size == (STRETCH.width, STRETCH.height)
