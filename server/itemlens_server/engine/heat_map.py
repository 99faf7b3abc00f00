"""Heat maps: pictures with the parts of their cells on top. Warm colours raise the score, cold colours lower it."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

WARM = np.array([214, 60, 30], np.float32)
COLD = np.array([40, 90, 200], np.float32)
STRENGTH = 0.65


@dataclass(frozen=True)
class HeatMapDrawer:
    """Draws heat maps of an encoder's contents. rows, columns: the grid of places; picture: returns a stored content as
    the model sees it."""

    rows: int
    columns: int
    picture: Callable[[bytes], Image.Image]

    def draw(self, stored: bytes, values: Sequence[float]) -> bytes:
        """Return a PNG of a stored content with the values of its places, given row by row, on top."""
        return draw(self.picture(stored), values, self.rows, self.columns)


def draw(picture: Image.Image, values: Sequence[float], rows: int, columns: int) -> bytes:
    """Return a PNG of the size of `picture` with the cells' values, given row by row and scaled by the largest absolute
    value, on top."""
    grid = np.asarray(values, np.float32).reshape(rows, columns)
    scaled = grid / max(float(np.abs(grid).max()), 1e-12)
    smooth = Image.fromarray(scaled).resize(picture.size, Image.Resampling.BICUBIC)
    heat = np.clip(np.asarray(smooth, np.float32), -1, 1)[..., None]
    base = np.asarray(picture.convert("RGB"), np.float32)
    grey = base.mean(-1, keepdims=True) * 0.5 + base * 0.5
    colour = np.where(heat > 0, WARM, COLD)
    opacity = STRENGTH * np.abs(heat)
    mixed = grey * (1 - opacity) + colour * opacity
    out = io.BytesIO()
    Image.fromarray(np.clip(mixed, 0, 255).astype(np.uint8)).save(out, "PNG", compress_level=1)
    return out.getvalue()
