"""What can go wrong in an export."""

from __future__ import annotations


class ExportError(Exception):
    """The export cannot go on; the message says what to change."""
