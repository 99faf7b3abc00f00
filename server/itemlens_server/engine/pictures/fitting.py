"""Geometry and scale: from a decoded picture to a model's input."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from itemlens_server.engine.manifest import PicturePreprocessing
from itemlens_server.engine.pictures.strips import Box, Colour, Strips

# Pictures with a larger ratio of sides are cut to their middle before scaling. Scaling the shorter side of a 1 x 60,000
# picture to 256 would make 15 million rows, of which only the middle 224 are used.
_LONGEST_STRIP = 64

_RESAMPLE = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def fit_to_model(strips: Strips, pre: PicturePreprocessing, ground: Colour) -> Image.Image:
    """Return the picture on `ground`, resized and cropped to exactly pre.height x pre.width, 8-bit RGB.

    A picture of that size is returned unchanged, even if `pre` would enlarge and crop it: the catalogue stores pictures
    at model size, which must not change when they are read again.
    """
    if strips.size == (pre.width, pre.height):
        return strips.whole(ground)
    box, (width, height) = _scaling(strips.size, pre)
    resample = _RESAMPLE[pre.resample]
    if _columns_first(box, height, width):
        scaled = strips.whole(ground, box).resize((width, height), resample)
    else:
        # Pillow scales rows first, then columns. The first step by strips gives the same pixels without memory for the
        # whole picture in RGB.
        narrow = Image.new("RGB", (width, box[3] - box[1]))
        for top, strip in strips.on(ground, box):
            narrow.paste(strip.resize((width, strip.height), resample), (0, top))
        scaled = narrow.resize((width, height), resample)
    left, top = (width - pre.width) // 2, (height - pre.height) // 2
    return scaled.crop((left, top, left + pre.width, top + pre.height))


def working_bytes(size: tuple[int, int], pre: PicturePreprocessing) -> int:
    """Return an upper bound of the memory of `fit_to_model` besides the strips, for a picture of `size` in either
    orientation, bytes."""
    return max(_working_bytes(size, pre), _working_bytes(size[::-1], pre))


def normalise(image: Image.Image, pre: PicturePreprocessing) -> npt.NDArray[np.float32]:
    """Scale an RGB picture: (value / 255 - mean) / std, as float32 [3, H, W]."""
    values = np.asarray(image, dtype=np.float32) / np.float32(255)
    mean, std = np.array(pre.mean, dtype=np.float32), np.array(pre.std, dtype=np.float32)
    scaled = (values - mean) / std
    return np.ascontiguousarray(scaled.transpose(2, 0, 1))


def _scaling(size: tuple[int, int], pre: PicturePreprocessing) -> tuple[Box, tuple[int, int]]:
    """Return the box that is kept of a picture, and the size that it is scaled to."""
    if pre.resize == "stretch":
        return (0, 0, *size), (pre.width, pre.height)
    longest = _LONGEST_STRIP * min(size)
    kept_width, kept_height = (min(side, longest) for side in size)
    left, top = (size[0] - kept_width) // 2, (size[1] - kept_height) // 2
    shorter = pre.resize_to or min(pre.height, pre.width)
    width, height = (shorter * side // min(size) for side in (kept_width, kept_height))
    return (left, top, left + kept_width, top + kept_height), (width, height)


def _columns_first(box: Box, height: int, width: int) -> bool:
    """Return whether Pillow (since 13) scales columns first, as it does with pictures of more than twice the height."""
    reduced = box[3] - box[1] - height
    return reduced > 0 and reduced > 2 * (box[2] - box[0] - width)


def _working_bytes(size: tuple[int, int], pre: PicturePreprocessing) -> int:
    box, (width, height) = _scaling(size, pre)
    columns, rows = box[2] - box[0], box[3] - box[1]
    between = columns * (rows + height) if _columns_first(box, height, width) else width * rows
    # Pictures with 4 bytes per pixel, and the float32 array.
    return 4 * (between + width * height) + 32 * pre.width * pre.height
