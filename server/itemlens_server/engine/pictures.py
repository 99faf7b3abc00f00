"""Bytes -> pixels: the one place pictures are decoded, for serving, for `fit` and for the exporter's parity
check.

The order is fixed: decode -> EXIF orientation -> transparency onto the background -> RGB -> geometry ->
scale.
"""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from itemlens_server.engine.manifest import PicturePreprocessing

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
STORED_BYTES = 32 * 1024
WHITE = (255, 255, 255)

# A strip this many times longer than wide is cut to its middle before it is scaled: scaling the shorter side
# of a 1 x 100,000 picture up to 256 would make 25 million rows of it, all but the middle 224 to be thrown
# away.
_LONGEST_STRIP = 64

_RESAMPLE = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


class PictureError(ValueError):
    """The bytes are no picture that can be encoded; the message says what to change."""


def decode(
    data: bytes,
    max_pixels: int,
    *,
    background: tuple[int, int, int] = WHITE,
    exif_orientation: bool = True,
) -> Image.Image:
    """Decode the first frame of `data` to 8-bit RGB, upright, with transparency laid on `background`.

    CMYK, palette, grey and 16-bit pictures are converted by their full range. Colour profiles are not
    applied.
    PictureError: empty, not one of FORMATS, damaged or cut short, or of more than `max_pixels` pixels (read
    from the header, before anything is decoded).
    """
    if not data:
        raise PictureError("picture is empty: send the bytes of an image file")
    with _open(data, max_pixels) as opened:
        width, height = opened.size
        if width < 1 or height < 1:
            raise PictureError(f"picture has no pixels ({width} x {height}): send one of at least 1 x 1")
        if width * height > max_pixels:
            raise PictureError(
                f"picture has {width} x {height} = {width * height} pixels, the limit is {max_pixels}: "
                "send a smaller version"
            )
        # Decoders of half-broken files raise OSError, ValueError, SyntaxError, EOFError, struct.error,
        # zlib.error ...; whichever it is, the fault lies with the bytes.
        try:
            opened.load()
        except Exception as error:
            raise PictureError(f"picture is damaged or cut short ({error}): send the whole file") from error
        return _to_rgb(_upright(opened) if exif_orientation else opened, background)


def fit_to_model(image: Image.Image, pre: PicturePreprocessing) -> Image.Image:
    """The geometric part: `image` resized and cropped to exactly pre.height x pre.width.

    A picture that has that size already is left as it is, also where `pre` would enlarge and crop it: it is
    taken for one that went through here before, which is what lets the catalogue keep pictures at model size.
    """
    if image.size == (pre.width, pre.height):
        return image
    resample = _RESAMPLE[pre.resample]
    if pre.resize == "stretch":
        return image.resize((pre.width, pre.height), resample)
    image = _without_ends(image)
    shorter = pre.resize_to or min(pre.height, pre.width)
    width, height = (shorter * side // min(image.size) for side in image.size)
    left, top = (width - pre.width) // 2, (height - pre.height) // 2
    return image.resize((width, height), resample).crop((left, top, left + pre.width, top + pre.height))


def normalise(image: Image.Image, pre: PicturePreprocessing) -> npt.NDArray[np.float32]:
    """Scale an RGB picture: (value / 255 - mean) / std, as float32 [3, H, W]."""
    values = np.asarray(image, dtype=np.float32) / np.float32(255)
    mean, std = np.array(pre.mean, dtype=np.float32), np.array(pre.std, dtype=np.float32)
    scaled = (values - mean) / std
    return np.ascontiguousarray(scaled.transpose(2, 0, 1))


def pixels(image: Image.Image, pre: PicturePreprocessing) -> npt.NDArray[np.float32]:
    """What the encoder reads: float32 [3, pre.height, pre.width]."""
    return normalise(fit_to_model(image, pre), pre)


def stored_form(data: bytes, fitted: Image.Image) -> bytes:
    """The bytes to keep for the catalogue, from the original `data` and what `fit_to_model` made of it.

    Small originals are kept as they are; of larger ones the smaller of the original and a lossless PNG at
    model input size. Either way decode + pixels of what is kept gives the same pixels as the original, bit
    for bit.
    """
    if len(data) <= STORED_BYTES:
        return data
    buffer = io.BytesIO()
    fitted.save(buffer, "PNG")
    reduced = buffer.getvalue()
    return min(data, reduced, key=len)


def _open(data: bytes, max_pixels: int) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise PictureError(
            f"picture has far more than {max_pixels} pixels: send a smaller version"
        ) from error
    except Exception as error:
        raise PictureError(
            f"not a picture, or its header is damaged: send one of {', '.join(FORMATS)}, whole"
        ) from error


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # malformed EXIF is common and no reason to refuse a picture that decodes
        return image


def _to_rgb(image: Image.Image, background: tuple[int, int, int]) -> Image.Image:
    if image.mode == "I" or image.mode == "F" or image.mode.startswith("I;16"):
        return _eight_bit(image).convert("RGB")
    if image.has_transparency_data:
        canvas = Image.new("RGBA", image.size, (*background, 255))
        return Image.alpha_composite(canvas, image.convert("RGBA")).convert("RGB")
    if image.mode == "RGB":
        return image.copy()  # a plain Image, with no open file behind it
    return image.convert("RGB")


def _eight_bit(image: Image.Image) -> Image.Image:
    """Grey of more than 8 bits, scaled to 0..255; Pillow's own conversion would clip everything above 255."""
    values = np.nan_to_num(np.asarray(image).astype(np.float64), posinf=0.0, neginf=0.0)
    if image.mode == "F":
        low, high = min(values.min(), 0.0), max(values.max(), 1.0)
    else:
        # 32-bit integer files hold 16-bit values nearly always; anything wider is scaled by what is there.
        low, high = min(values.min(), 0.0), max(values.max(), 65535.0)
    return Image.fromarray(np.round((values - low) * (255.0 / (high - low))).astype(np.uint8))


def _without_ends(image: Image.Image) -> Image.Image:
    width, height = image.size
    longest = _LONGEST_STRIP * min(width, height)
    if max(width, height) <= longest:
        return image
    kept = (min(width, longest), min(height, longest))
    left, top = (width - kept[0]) // 2, (height - kept[1]) // 2
    return image.crop((left, top, left + kept[0], top + kept[1]))
