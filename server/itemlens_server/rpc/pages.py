"""Pages of lists that are ordered by row: their sizes and tokens."""

from __future__ import annotations

import re

from itemlens_server.errors import InvalidArgument

DEFAULT_PAGE, LARGEST_PAGE = 100, 1000
# A page ends early at this size, because it must fit into a message.
PAGE_BYTES = 8 << 20
# A row in hexadecimal: a signed 64-bit integer of SQLite.
_TOKEN = re.compile(r"[1-9a-f][0-9a-f]{0,14}")


def page_size(wanted: int) -> int:
    """The number of entries of a page; the default one for 0."""
    return min(wanted or DEFAULT_PAGE, LARGEST_PAGE)


def page_token(row: int) -> str:
    """The token of the page after a row."""
    return f"{row:x}"


def row_of(token: str, method: str) -> int:
    """The row after which a page begins; 0 for the first page, whose token is empty.

    Raises:
        InvalidArgument: it is no token of `method`.
    """
    if not token:
        return 0
    if not _TOKEN.fullmatch(token):
        raise InvalidArgument(
            f"not a page token of {method}; give next_page_token of the last page", "page_token"
        )
    return int(token, 16)
