"""Pictures with their cells' parts of the score laid over them: warm for, cold against."""

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
    """Draws heat maps of an encoder's contents. rows, columns: of their places; picture: a stored content as the
    model sees it."""

    rows: int
    columns: int
    picture: Callable[[bytes], Image.Image]

    def draw(self, stored: bytes, values: Sequence[float]) -> bytes:
        """PNG of a stored content with the values of its places, row by row, laid over it."""
        return draw(self.picture(stored), values, self.rows, self.columns)


def draw(picture: Image.Image, values: Sequence[float], rows: int, columns: int) -> bytes:
    """PNG of the size of `picture`: cells' values, row by row, scaled by the largest in size."""
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
