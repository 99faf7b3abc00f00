"""What can go wrong in an export."""

from __future__ import annotations

from itemlens_server.errors import ItemlensError


class ExportError(ItemlensError):
    """The export cannot go on; the message says what to change."""
