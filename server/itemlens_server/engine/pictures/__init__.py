"""Decoding of pictures, shared by serving, `fit` and the exporter's parity check.

The order is fixed: decode -> EXIF orientation -> transparency onto the background -> RGB -> geometry -> scale.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
from PIL import Image

from itemlens_server.engine.manifest import PicturePreprocessing
from itemlens_server.engine.pictures.file import PictureFile
from itemlens_server.engine.pictures.fitting import fit_to_model, working_bytes
from itemlens_server.engine.pictures.strips import Strips
from itemlens_server.errors import Warning

STORED_BYTES = 32 * 1024
# Largest range of values (0 to 255) that counts as one colour: the eye sees no more in such a picture.
ONE_COLOUR = 16


@dataclass(frozen=True)
class FittedPicture:
    """A picture as the model reads it: 8-bit RGB, pre.height x pre.width."""

    image: Image.Image
    warnings: tuple[Warning, ...] = ()


def read(
    data: bytes,
    pre: PicturePreprocessing,
    max_pixels: int,
    reserve: Callable[[int], AbstractContextManager[object]] = nullcontext,
) -> FittedPicture:
    """Decode the first frame of `data` and fit it to the model.

    Transparent pixels show `pre.alpha_background`, or its opposite if nothing would be visible on that, as with a white
    logo on white.
    `reserve` receives an upper bound of the memory needed, bytes, and waits until that is available.

    Raises:
        PictureError: empty, not one of FORMATS, damaged, cut short or too large. If possible this is found from the
            header, before decoding.
    """
    file = PictureFile(data, max_pixels)
    with reserve(file.memory_bytes + working_bytes(file.size, pre)):
        return _fitted(file, pre)


def stored_form(data: bytes, fitted: Image.Image) -> bytes:
    """Return the bytes to store, from the original `data` and the image of `read`.

    Small originals are stored unchanged. For larger ones, the smaller of the original and a lossless PNG at model
    input size is stored. In both cases `read` of the stored bytes gives exactly the pixels of the original.
    """
    if len(data) <= STORED_BYTES:
        return data
    buffer = io.BytesIO()
    fitted.save(buffer, "PNG")
    reduced = buffer.getvalue()
    return min(data, reduced, key=len)


def _fitted(file: PictureFile, pre: PicturePreprocessing) -> FittedPicture:
    strips = Strips(file.load(), pre.exif_orientation)
    ground = pre.alpha_background
    image = fit_to_model(strips, pre, ground)
    if strips.transparent and _of_one_colour(image):
        red, green, blue = (0 if value > 127 else 255 for value in ground)
        other = fit_to_model(strips, pre, (red, green, blue))
        image = image if _of_one_colour(other) else other
    warnings = file.warnings
    if _of_one_colour(image):
        message = "the picture has only one colour for the model; send one that shows the item"
        warnings += (Warning("PICTURE_BLANK", message, "picture"),)
    return FittedPicture(image, warnings)


def _of_one_colour(image: Image.Image) -> bool:
    return int(np.ptp(np.asarray(image), axis=(0, 1)).max()) <= ONE_COLOUR
