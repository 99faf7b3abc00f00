"""The error of this package."""

from __future__ import annotations


class PictureError(ValueError):
    """The bytes cannot be encoded as a picture. The message says what to change."""
