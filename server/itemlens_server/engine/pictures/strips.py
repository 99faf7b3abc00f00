"""A decoded picture as strips of upright 8-bit RGB rows, without a second copy of the picture in any mode."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from PIL import Image

Colour = tuple[int, int, int]
Box = tuple[int, int, int, int]  # left, top, right, bottom

STRIP_PIXELS = 1 << 17

_ORIENTATION = 0x0112
_TRANSPOSED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Strips:
    """A decoded, upright picture. `size`: width and height, pixels."""

    def __init__(self, image: Image.Image, exif_orientation: bool = True) -> None:
        self._image = image
        self._orientation = _orientation(image) if exif_orientation else 1
        width, height = image.size
        self.size = (height, width) if self._orientation > 4 else (width, height)
        self._deep = image.mode in ("I", "F") or image.mode.startswith("I;16")
        self._low, self._high = self._range() if self._deep else (0.0, 255.0)
        # Programs without support for alpha leave the fourth byte of a BMP's pixels at 0.
        unused_alpha = image.format in ("BMP", "DIB") and not self._any_alpha()
        self.transparent = image.has_transparency_data and not unused_alpha

    def on(self, ground: Colour, box: Box | None = None) -> Iterator[tuple[int, Image.Image]]:
        """Yield the strips of `box` (default: all) from top to bottom, 8-bit RGB, each with its first row in the box.
        Transparent pixels show `ground`. CMYK, palette, grey and 16-bit pixels are converted by their full range.
        Colour profiles are not applied."""
        for top, strip in self._strips(box or (0, 0, *self.size)):
            yield top, self._rgb(strip, ground)

    def whole(self, ground: Colour, box: Box | None = None) -> Image.Image:
        """Return the strips of `box` as one picture."""
        left, top, right, bottom = box = box or (0, 0, *self.size)
        picture = Image.new("RGB", (right - left, bottom - top))
        for y, strip in self.on(ground, box):
            picture.paste(strip, (0, y))
        return picture

    def _strips(self, box: Box) -> Iterator[tuple[int, Image.Image]]:
        left, top, right, bottom = box
        rows = max(1, STRIP_PIXELS // (right - left))
        for y in range(top, bottom, rows):
            upright = (left, y, right, min(y + rows, bottom))
            strip = self._image.crop(self._in_file(upright))
            if self._orientation in _TRANSPOSED:
                strip = strip.transpose(_TRANSPOSED[self._orientation])
            yield y - top, strip

    def _in_file(self, box: Box) -> Box:
        """Return the box in the file's picture of an upright box."""
        left, top, right, bottom = box
        if self._orientation > 4:  # rows of the upright picture are columns of the file's
            left, top, right, bottom = top, left, bottom, right
        width, height = self._image.size
        if self._orientation in (2, 3, 7, 8):
            left, right = width - right, width - left
        if self._orientation in (3, 4, 6, 7):
            top, bottom = height - bottom, height - top
        return left, top, right, bottom

    def _rgb(self, strip: Image.Image, ground: Colour) -> Image.Image:
        if self._deep:
            values = _values(strip)
            scaled = np.round((values - self._low) * (255.0 / (self._high - self._low))).astype(np.uint8)
            if not self.transparent:
                return Image.fromarray(scaled).convert("RGB")
            alpha = np.where(values == strip.info["transparency"], 0, 255).astype(np.uint8)
            strip = Image.merge("LA", (Image.fromarray(scaled), Image.fromarray(alpha)))
        if self.transparent:
            canvas = Image.new("RGBA", strip.size, (*ground, 255))
            return Image.alpha_composite(canvas, strip.convert("RGBA")).convert("RGB")
        return strip.convert("RGB")

    def _range(self) -> tuple[float, float]:
        """Return the values that become 0 and 255. Pillow's conversion would clip everything above 255."""
        usual = 1.0 if self._image.mode == "F" else 65535.0
        if self._image.mode.startswith("I;16"):
            return 0.0, usual
        # 32-bit integer files nearly always hold 16-bit values; wider values are scaled by their range.
        low, high = 0.0, usual
        for _, strip in self._strips((0, 0, *self.size)):
            values = _values(strip)
            low, high = min(low, float(values.min())), max(high, float(values.max()))
        return low, high

    def _any_alpha(self) -> bool:
        if self._image.mode != "RGBA":
            return True
        strips = self._strips((0, 0, *self.size))
        return any(strip.getchannel("A").getbbox() is not None for _, strip in strips)


def _values(strip: Image.Image) -> npt.NDArray[np.float64]:
    return np.nan_to_num(np.asarray(strip).astype(np.float64), posinf=0.0, neginf=0.0)


def _orientation(image: Image.Image) -> int:
    try:
        found = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # malformed EXIF is common and not a reason to refuse a picture that decodes
        return 1
    return found if found in _TRANSPOSED else 1
