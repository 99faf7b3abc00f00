"""A picture with its cells' parts of the score laid over it: warm for, cold against."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

WARM = np.array([214, 60, 30], np.float32)
COLD = np.array([40, 90, 200], np.float32)
STRENGTH = 0.65


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
