"""The one error of this package."""

from __future__ import annotations


class PictureError(ValueError):
    """The bytes are no picture that can be encoded; the message says what to change."""
