"""The error of an export."""

from __future__ import annotations

from itemlens_server.errors import ItemlensError


class ExportError(ItemlensError):
    """The export failed. The message says what to change."""
