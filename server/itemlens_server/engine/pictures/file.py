"""A picture file: format, size and memory from its header, and its decoded first frame."""

from __future__ import annotations

import io
import warnings
import zlib

from PIL import AvifImagePlugin, Image, ImageFile, TiffImagePlugin, features

from itemlens_server.engine.pictures import avif, jpeg, png, tiff
from itemlens_server.engine.pictures.errors import PictureError
from itemlens_server.engine.pictures.strips import STRIP_PIXELS
from itemlens_server.errors import Warning

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", *(["AVIF"] if features.check("avif") else []))
# Far more than any photograph. The tables for scaling a longer side would take more memory than the picture.
MAX_SIDE = 65_535

_OTHER_FORMATS = (  # name, offset, possible first bytes at the offset
    ("JPEG 2000", 0, (b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51")),
    ("JPEG XL", 0, (b"\xff\x0a", b"\0\0\0\x0cJXL ")),
    ("ICO", 0, (b"\0\0\1\0",)),
    ("HEIC", 4, (b"ftyphei", b"ftyphev", b"ftypmif1", b"ftypmsf1")),
    ("AVIF", 4, (b"ftypavif", b"ftypavis")),
    ("PSD", 0, (b"8BPS",)),
    ("PDF", 0, (b"%PDF",)),
    ("SVG", 0, (b"<svg", b"<?xml")),
    ("HTML", 0, (b"<!DOCTYPE", b"<!doctype", b"<html", b"<HTML")),
    ("PPM", 0, (b"P3", b"P5", b"P6")),
)
_BYTES_PER_PIXEL = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}  # else 4
# libwebp needs two canvases, the frame as bytes, and the planes of a lossless file. libavif needs planes of up to 16
# bits, their copy with film grain, and the frame as bytes.
_DECODER_BYTES_PER_PIXEL = {"WEBP": 13, "AVIF": 20}
_MARGIN = 1 << 20
MAX_LAYERS = 4
MAX_RUN_LENGTH_PIXELS = 4_000_000  # for BMP: Pillow decodes these in Python, about 5 megapixels per second
# Entropy-coded data that changes the pixels if part of the data is missing.
_NOISE = bytes(n % 251 + 1 for n in range(1 << 16))
_JPEG_END = b"\xff\xd9"

_SAMPLES, _BITS, _STRIP_ROWS, _TILE_WIDTH, _TILE_LENGTH, _ORIENTATION = 277, 258, 278, 322, 323, 274

# Pillow warns of each damaged tag: up to 65,000 lines of the log for one file.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # pictures are already decoded in parallel


class PictureFile:
    """A file with a valid header.

    memory_bytes: upper bound of the memory for decoding, the pixels included
    warnings:     complete after `load`
    """

    def __init__(self, data: bytes, max_pixels: int) -> None:
        """Read the header.

        Raises:
            PictureError: empty, not one of FORMATS, or too large by its header.
        """
        if not data:
            raise PictureError("picture is empty: send the bytes of an image file")
        self._jpeg = jpeg.structure(data) if data.startswith(b"\xff\xd8") else None
        self._cut = self._jpeg is not None and not self._jpeg.ended
        self._data = data.rstrip(b"\xff") if self._cut else data
        self._image = _open(self._data, max_pixels)
        self.warnings: tuple[Warning, ...] = ()
        self.size = width, height = self._image.size
        if width < 1 or height < 1:
            raise PictureError(f"picture has no pixels ({width} x {height}): send one of at least 1 x 1")
        if width * height > max_pixels:
            raise PictureError(
                f"picture has {width} x {height} = {width * height} pixels, the limit is {max_pixels}: "
                "send a smaller version"
            )
        self._coded_pixels = avif.coded_pixels(data) if self._image.format == "AVIF" else 0
        if self._coded_pixels > max_pixels:
            raise PictureError(
                f"picture has a coded frame of {self._coded_pixels} pixels, the limit is {max_pixels}: "
                "send a smaller version"
            )
        if max(width, height) > MAX_SIDE:
            raise PictureError(
                f"picture has {width} x {height} pixels, but a side has at most {MAX_SIDE}: send a smaller version"
            )
        if _run_length(self._image) and width * height > MAX_RUN_LENGTH_PIXELS:
            raise PictureError(
                f"picture is a run-length encoded BMP of more than {MAX_RUN_LENGTH_PIXELS} pixels: save it as PNG"
            )
        self.memory_bytes = self._memory_bytes()

    def load(self) -> Image.Image:
        """Decode the first frame, in the file's own mode.

        Raises:
            PictureError: damaged or cut short.
        """
        if not self._cut:
            _load(self._image)
            _use_eight_bit_transparency(self._image, self._data)
            return self._image
        # If the pixels do not depend on the data added here, only the end mark is missing.
        other = _open(self._data + _NOISE + _JPEG_END, self._image.width * self._image.height)
        _load(other)
        expected = _checksum(other)
        other.close()
        image = _open(self._data + _JPEG_END, self._image.width * self._image.height)
        _load(image)
        if _checksum(image) != expected:
            raise PictureError("picture is cut short, its end is missing: send the whole file")
        self.warnings += (
            Warning("PICTURE_TRUNCATED", "the JPEG lacks its end mark; all its pixels are there", "picture"),
        )
        return image

    def _memory_bytes(self) -> int:
        image = self._image
        pixels = max(image.width * image.height, self._coded_pixels)
        decoded = pixels * _BYTES_PER_PIXEL.get(image.mode, 4)
        total = decoded + pixels * _DECODER_BYTES_PER_PIXEL.get(image.format or "", 0)
        if self._jpeg is not None:
            total += self._jpeg.coefficient_bytes
        if isinstance(image, TiffImagePlugin.TiffImageFile):
            total += _tiff_bytes(image, decoded)
        if _run_length(image):
            total += 3 * pixels
        # The conversion of strips to RGB makes several copies of 4 bytes per pixel, and two of 8 if values are scaled.
        # Pillow copies metadata a few times, and keeps objects for each tile.
        total += 40 * max(STRIP_PIXELS, *image.size) + 4 * len(self._data) + 500 * len(image.tile)
        return total + png.MAX_TEXT_BYTES + _MARGIN


def _open(data: bytes, max_pixels: int) -> ImageFile.ImageFile:
    png.check(data)
    tiff.check(data)
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        assert isinstance(image, ImageFile.ImageFile)
    except Image.DecompressionBombError as error:
        raise PictureError(
            f"picture has far more than {max_pixels} pixels: send a smaller version"
        ) from error
    except ValueError as error:
        raise PictureError(f"picture is damaged or has too much metadata ({error}): save it again") from error
    except Exception as error:
        wanted = f"send one of {', '.join(FORMATS)}"
        if name := _format_outside(data):
            raise PictureError(f"format not supported: {name}; {wanted}") from error
        raise PictureError(f"not a picture, or its header is damaged: {wanted}, as a whole file") from error
    # A TIFF can list the same rows thousands of times. Up to four times is valid, for separate planes.
    covered = sum(
        (t.extents[2] - t.extents[0]) * (t.extents[3] - t.extents[1]) for t in image.tile if t.extents
    )
    if covered > MAX_LAYERS * max(1, image.width * image.height):
        raise PictureError("picture is damaged (its parts overlap): save it again")
    return image


def _format_outside(data: bytes) -> str:
    """Return the name of a known but unsupported format, or an empty string."""
    text = data[:64].lstrip(b"\xef\xbb\xbf \t\r\n")
    for name, offset, marks in _OTHER_FORMATS:
        if name not in FORMATS and (
            data.startswith(marks, offset) or (not offset and text.startswith(marks))
        ):
            return name
    return ""


def _load(image: Image.Image) -> None:
    # For damaged files decoders raise OSError, ValueError, SyntaxError, EOFError, struct.error, zlib.error and others.
    # All mean that the bytes are wrong.
    try:
        image.load()
    except Exception as error:
        raise PictureError(f"picture is damaged or cut short ({error}): send the whole file") from error


def _run_length(image: ImageFile.ImageFile) -> bool:
    return bool(image.tile) and image.tile[0].codec_name == "bmp_rle"


def _checksum(image: Image.Image) -> int:
    """Return the CRC of the decoded pixels, computed in strips to keep the copies of `tobytes` small."""
    rows = max(1, STRIP_PIXELS // image.width)
    checksum = 0
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        checksum = zlib.crc32(strip.tobytes(), checksum)
    return checksum


def _tiff_bytes(image: TiffImagePlugin.TiffImageFile, decoded: int) -> int:
    """Return the memory of a TIFF besides its pixels: one strip or tile, and a copy if Pillow rotates it, bytes."""
    tags = image.tag_v2
    samples = tags.get(_SAMPLES, 1)
    bits = max(tags.get(_BITS, (1,)))
    width, height = tags.get(_TILE_WIDTH, image.width), tags.get(_TILE_LENGTH, 0)
    if not height:  # strips, the last of which may be shorter
        height = min(tags.get(_STRIP_ROWS, image.height), max(image.size))
    strip: int = width * height * samples * bits // 8
    return strip + (decoded if tags.get(_ORIENTATION, 1) != 1 else 0)


def _use_eight_bit_transparency(image: Image.Image, data: bytes) -> None:
    """Convert a PNG's transparent colour to 8 bits, as Pillow has done with the pixels."""
    colour = image.info.get("transparency")
    if image.format != "PNG" or colour is None or data[12:16] != b"IHDR":
        return
    depth = data[24]
    if image.mode == "L" and depth < 8:
        image.info["transparency"] = colour * 255 // ((1 << depth) - 1)
    elif image.mode == "RGB" and depth == 16:
        image.info["transparency"] = tuple(value >> 8 for value in colour)
