"""Pictures: any file that a shop may have becomes the same kind of pixels, or a clear error."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from itemlens_server.engine.manifest import PicturePreprocessing
from itemlens_server.engine.pictures import STORED_BYTES, FittedPicture, read, stored_form, strips
from itemlens_server.engine.pictures.errors import PictureError
from itemlens_server.engine.pictures.file import FORMATS, MAX_SIDE, PictureFile
from itemlens_server.engine.pictures.fitting import fit_to_model, normalise
from itemlens_server.engine.pictures.strips import Colour, Strips
from support import picture_files

Array = npt.NDArray[Any]
LIMIT = 1_000_000
WHITE = (255, 255, 255)
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


def decode(
    data: bytes, max_pixels: int, background: Colour = WHITE, exif_orientation: bool = True
) -> Image.Image:
    """Preprocessing that keeps a whole picture at its own size."""
    return Strips(PictureFile(data, max_pixels).load(), exif_orientation).whole(background)


def fitted(image: Image.Image, pre: PicturePreprocessing) -> Image.Image:
    return fit_to_model(Strips(image), pre, WHITE)


def pixels(image: Image.Image, pre: PicturePreprocessing) -> Array:
    return normalise(fitted(image, pre), pre)


def reasons(picture: FittedPicture) -> list[str]:
    return [warning.reason for warning in picture.warnings]


def colour(image: Image.Image, x: int = 0, y: int = 0) -> tuple[int, ...]:
    value = image.getpixel((x, y))
    assert isinstance(value, tuple)
    return tuple(int(part) for part in value)


class TestDecode:
    @pytest.mark.parametrize("kind", FORMATS)
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


class TestTransparency:
    """The subject is visible, whatever the form of the transparency."""

    @staticmethod
    def logo(subject: Colour, ground: Colour = WHITE) -> Image.Image:
        image = Image.new("RGBA", (60, 60), (*ground, 0))
        image.paste((*subject, 255), (15, 15, 45, 45))
        return image

    @pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "GIF", "AVIF"])
    def test_a_white_logo_is_seen_on_black(self, kind: str) -> None:
        if kind not in FORMATS:
            pytest.skip(f"NOT RUN: this Pillow reads no {kind}")
        options = {"lossless": True} if kind == "WEBP" else {}
        picture = read(encoded(self.logo(WHITE, ground=(0, 0, 0)), kind, **options), STRETCH, LIMIT)
        assert max(colour(picture.image)) < 8
        assert min(colour(picture.image, 28, 20)) > 247
        assert picture.warnings == ()

    @pytest.mark.parametrize("value", [0, 40, 127, 128, 200, 255])
    def test_a_logo_of_the_grounds_own_colour_is_seen_on_its_opposite(self, value: int) -> None:
        ground = (value, value, value)
        picture = read(
            encoded(self.logo(ground)), STRETCH.model_copy(update={"alpha_background": ground}), LIMIT
        )
        assert colour(picture.image) == ((0, 0, 0) if value > 127 else (255, 255, 255))
        assert colour(picture.image, 28, 20) == ground

    def test_what_is_seen_on_the_ground_stays_there(self) -> None:
        picture = read(encoded(self.logo((230, 230, 230))), STRETCH, LIMIT)
        assert colour(picture.image) == WHITE
        assert picture.warnings == ()

    def test_what_is_kept_of_a_white_logo_shows_it(self) -> None:
        image = noise(300, 300).convert("RGB").point(lambda value: 250 + value % 6)
        image.putalpha(
            Image.effect_noise((300, 300), 90)
            .point(lambda value: 255 if value > 128 else 0)
            .resize((300, 300))
        )
        data = encoded(image)
        picture = read(data, STRETCH, LIMIT)
        kept = stored_form(data, picture.image)
        assert len(kept) < len(data)
        assert read(kept, STRETCH, LIMIT).image == picture.image

    @pytest.mark.parametrize("alpha", [0, 255])
    def test_a_picture_of_one_colour_is_warned_of(self, alpha: int) -> None:
        assert reasons(
            read(encoded(Image.new("RGBA", (50, 50), (255, 255, 255, alpha))), STRETCH, LIMIT)
        ) == ["PICTURE_BLANK"]
        assert reasons(read(encoded(Image.new("RGB", (50, 50), (9, 99, 9)), "JPEG"), STRETCH, LIMIT)) == [
            "PICTURE_BLANK"
        ]

    def test_a_picture_with_something_in_it_is_not(self) -> None:
        faint = Image.new("RGB", (50, 50), WHITE)
        faint.paste((235, 255, 255), (10, 10, 40, 40))
        assert reasons(read(encoded(faint), STRETCH, LIMIT)) == []

    def test_alpha_that_a_bitmap_does_not_use_is_ignored(self) -> None:
        photo = noise(20, 30)
        assert decode(picture_files.bitmap_without_alpha(photo), LIMIT) == photo

    def test_alpha_that_a_bitmap_uses_is_not(self) -> None:
        photo = noise(20, 30)
        photo.putalpha(0)
        photo.putpixel((3, 4), (1, 2, 3, 255))
        image = decode(picture_files.bitmap(photo), LIMIT)
        assert (colour(image), colour(image, 3, 4)) == (WHITE, (1, 2, 3))

    @pytest.mark.parametrize(
        ("mode", "depth", "shown", "transparent"),
        [
            ("I;16", 16, 65535, 4660),
            ("RGB", 16, (65535, 0, 0), (0, 0, 4660)),
            ("L", 4, 15, 3),
            ("L", 2, 3, 1),
            ("1", 1, 1, 0),
        ],
    )
    def test_the_transparent_colour_of_a_png_is_in_the_files_depth(
        self, mode: str, depth: int, shown: Any, transparent: Any
    ) -> None:
        data = picture_files.png(depth, [[shown, transparent]], transparent)
        assert Image.open(io.BytesIO(data)).mode == mode
        image = decode(data, LIMIT, background=(9, 8, 7))
        scaled = np.array(shown) * 255 // ((1 << depth) - 1)
        assert colour(image, 0) == tuple(np.broadcast_to(scaled, 3))
        assert colour(image, 1) == (9, 8, 7)


class TestJpegEnds:
    @pytest.mark.parametrize(
        "options", [{}, {"progressive": True}, {"quality": 97, "subsampling": 0}], ids=str
    )
    @pytest.mark.parametrize("missing", [1, 2])
    def test_without_its_end_mark_a_whole_picture_is_read_and_warned_of(
        self, options: dict[str, Any], missing: int
    ) -> None:
        data = encoded(noise(75, 61), "JPEG", **options)
        picture = read(data[:-missing], STRETCH, LIMIT)
        assert reasons(picture) == ["PICTURE_TRUNCATED"]
        assert picture.image == read(data, STRETCH, LIMIT).image

    @pytest.mark.parametrize("options", [{}, {"progressive": True}], ids=str)
    @pytest.mark.parametrize("kept", [0.5, 0.9, 0.98])
    def test_cut_in_the_middle_it_is_refused(self, options: dict[str, Any], kept: float) -> None:
        data = encoded(noise(75, 61), "JPEG", **options)
        with pytest.raises(PictureError, match="cut short, its end is missing"):
            read(data[: int(len(data) * kept)], STRETCH, LIMIT)


class TestRefusals:
    @pytest.mark.parametrize(
        ("data", "name"),
        [
            (encoded(noise(9, 9), "JPEG2000"), "JPEG 2000"),
            (encoded(noise(16, 16), "ICO"), "ICO"),
            (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
            (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
            (b"\n<?xml version='1.0'?><svg/>", "SVG"),
            (b"<!DOCTYPE html><html>404</html>", "HTML"),
        ],
    )  # fmt: skip
    def test_another_format_is_named(self, data: bytes, name: str) -> None:
        with pytest.raises(PictureError, match=f"format not supported: {name}; send one of JPEG"):
            read(data, STRETCH, LIMIT)

    def test_a_jpeg_of_very_many_scans_is_not_decoded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert read(picture_files.many_scans(64, 48, 90), STRETCH, LIMIT)
        monkeypatch.setattr(Image.Image, "load", lambda *_: pytest.fail("decoded"))
        with pytest.raises(PictureError, match="more than 100 JPEG scans"):
            read(picture_files.many_scans(64, 48, 101), STRETCH, LIMIT)

    def test_a_jpeg_of_very_many_segments_is_not_opened(self) -> None:
        data = encoded(noise(9, 9), "JPEG")
        with pytest.raises(PictureError, match="more than 2000 JPEG segments"):
            read(data[:2] + b"\xff\xe5\0\2" * 2001 + data[2:], STRETCH, LIMIT)
        with pytest.raises(PictureError, match="damaged"):
            read(data[:2] + b"\xff" * 5000 + data[2:], STRETCH, LIMIT)

    def test_a_png_of_very_many_chunks_is_not_opened(self) -> None:
        with pytest.raises(PictureError, match="more than 2000 PNG chunks"):
            read(picture_files.with_texts(encoded(noise(9, 9)), 2001, b"x"), STRETCH, LIMIT)

    def test_compressed_texts_of_a_png_are_bounded_together(self) -> None:
        text = bytes(1_000_000)
        assert read(picture_files.with_texts(encoded(noise(9, 9)), 4, text), STRETCH, LIMIT)
        with pytest.raises(PictureError, match="too much metadata"):
            read(picture_files.with_texts(encoded(noise(9, 9)), 5, text), STRETCH, LIMIT)

    def test_a_bitmap_that_takes_seconds_of_python_is_not_decoded(self) -> None:
        assert read(picture_files.run_length_bitmap(20, 20), STRETCH, LIMIT)
        with pytest.raises(PictureError, match="run-length encoded BMP of more than 4000000"):
            read(picture_files.run_length_bitmap(2100, 2000), STRETCH, 5_000_000)

    def test_a_side_longer_than_any_picture_has(self) -> None:
        with pytest.raises(PictureError, match=f"a side has at most {MAX_SIDE}"):
            read(encoded(Image.new("L", (MAX_SIDE + 1, 1))), STRETCH, LIMIT)

    def test_a_tiff_of_very_many_strips_is_not_opened(self) -> None:
        with pytest.raises(PictureError, match="TIFF tag of 200000 numbers"):
            read(picture_files.tiff(8, 8, strips=200_000), STRETCH, LIMIT)
        with pytest.raises(PictureError, match="overlap"):
            read(picture_files.tiff(8, 8, strips=50), STRETCH, LIMIT)

    @pytest.mark.parametrize(
        ("data", "says"),
        [
            (b"", "empty"),
            (b"\0" * 100, "not a picture"),
            (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "JPEG, PNG"),
            (b"\x89PNG\r\n\x1a\n", "not a picture"),
        ],
    )
    def test_a_file_that_is_not_a_picture(self, data: bytes, says: str) -> None:
        with pytest.raises(PictureError, match=says):
            decode(data, LIMIT)

    def test_a_format_outside_the_list(self) -> None:
        with pytest.raises(PictureError, match="send one of JPEG"):
            decode(encoded(noise(4, 4), "PPM"), LIMIT)

    @pytest.mark.parametrize("kind", FORMATS)
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
        data = picture_files.claiming(side, side)
        monkeypatch.setattr(Image.Image, "load", lambda *_: pytest.fail("decoded"))
        with pytest.raises(PictureError, match="pixels"):
            decode(data, LIMIT)

    @settings(max_examples=60, deadline=None)
    @given(st.sampled_from(FORMATS), st.data())
    def test_damaged_bytes_give_a_picture_or_a_picture_error(self, kind: str, data: st.DataObject) -> None:
        good = bytearray(encoded(noise(12, 12), kind))
        for _ in range(data.draw(st.integers(1, 8))):
            good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
        with suppress(PictureError):
            assert decode(bytes(good), LIMIT).mode == "RGB"


class TestGeometry:
    def test_stretch_ignores_the_shape(self) -> None:
        assert fitted(noise(10, 100), STRETCH).size == (56, 40)

    @settings(max_examples=80, deadline=None)
    @given(
        st.integers(2, 90),
        st.integers(2, 90),
        st.sampled_from(["bilinear", "bicubic", "lanczos"]),
        st.sampled_from([STRETCH, CROP]),
    )
    def test_strips_give_the_pixels_that_pillow_gives_of_the_whole(
        self, height: int, width: int, resample: Any, pre: PicturePreprocessing
    ) -> None:
        pre = pre.model_copy(update={"resample": resample})
        image = noise(height, width)
        size = (pre.width, pre.height)
        if pre.resize_to:
            size = (pre.resize_to * width // min(height, width), pre.resize_to * height // min(height, width))
        whole = image.resize(size, Image.Resampling[resample.upper()])
        left, top = (size[0] - pre.width) // 2, (size[1] - pre.height) // 2
        if image.size == (pre.width, pre.height):
            whole, left, top = image, 0, 0
        with patch.object(strips, "STRIP_PIXELS", 300):
            assert fitted(image, pre) == whole.crop((left, top, left + pre.width, top + pre.height))

    @pytest.mark.parametrize("turned", range(1, 9))
    def test_strips_of_a_turned_picture_are_those_of_the_upright_one(self, turned: int) -> None:
        image = noise(70, 50)
        image.info["exif"] = orientation(turned).tobytes()
        with patch.object(strips, "STRIP_PIXELS", 300):
            upright = ImageOps.exif_transpose(image)
            upright.info.clear()
            assert Strips(image).whole(WHITE) == upright
            assert Strips(image).whole(WHITE, (3, 7, 41, 49)) == upright.crop((3, 7, 41, 49))

    def test_the_crop_is_central(self) -> None:
        image = Image.new("RGB", (120, 60), "black")
        image.paste((255, 255, 255), (30, 0, 90, 60))
        values = np.asarray(fitted(image, CROP))
        assert values.shape == (40, 40, 3)
        assert values.min() > 250

    @settings(max_examples=40, deadline=None)
    @given(st.integers(1, 300), st.integers(1, 300), st.sampled_from([STRETCH, CROP]))
    def test_the_size_is_always_the_models(self, height: int, width: int, pre: PicturePreprocessing) -> None:
        assert pixels(noise(height, width), pre).shape == (3, pre.height, pre.width)

    @pytest.mark.parametrize("size", [(1, 60_000), (60_000, 1)])
    def test_a_long_strip_does_not_blow_up(self, size: tuple[int, int]) -> None:
        assert fitted(Image.new("RGB", size), CROP).size == (40, 40)

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


def test_damaged_metadata_does_not_fill_the_log() -> None:
    # In its own process: pytest sets the filters of warnings itself.
    count = 500
    tags = b"".join(struct.pack("<HHLL", 1000 + n, 7, 1 << 20, 8) for n in range(count))
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", count) + tags + bytes(4)
    program = (
        "import sys; from itemlens_server.engine.pictures.file import PictureFile;"
        "PictureFile(sys.stdin.buffer.read(), 1000).load().getexif()"
    )
    data = encoded(noise(8, 8), "JPEG", exif=exif)
    done = subprocess.run([sys.executable, "-c", program], input=data, capture_output=True, check=True)
    assert done.stderr == b""


class TestStoredForm:
    @pytest.mark.parametrize("file", FILES)
    @pytest.mark.parametrize("pre", [STRETCH, CROP], ids=["stretch", "crop"])
    def test_what_is_kept_gives_the_same_pixels(self, file: str, pre: PicturePreprocessing) -> None:
        data = FILES[file]()
        image = decode(data, LIMIT)
        kept = stored_form(data, fitted(image, pre))
        np.testing.assert_array_equal(pixels(decode(kept, LIMIT), pre), pixels(image, pre))
        assert len(kept) <= len(data)

    @settings(max_examples=25, deadline=None)
    @given(st.integers(1, 150), st.integers(1, 150), st.integers(0, 99), st.sampled_from([STRETCH, CROP]))
    def test_a_second_pass_changes_nothing(
        self, height: int, width: int, seed: int, pre: PicturePreprocessing
    ) -> None:
        once = fitted(noise(height, width, seed), pre)
        assert fitted(once, pre) == once

    def test_a_small_original_is_kept(self) -> None:
        data = FILES["small"]()
        assert len(data) <= STORED_BYTES
        assert stored_form(data, fitted(decode(data, LIMIT), STRETCH)) == data

    def test_a_large_original_is_reduced(self) -> None:
        data = FILES["large jpeg"]()
        kept = stored_form(data, fitted(decode(data, LIMIT), STRETCH))
        assert len(kept) < len(data)
        assert decode(kept, LIMIT).size == (STRETCH.width, STRETCH.height)
