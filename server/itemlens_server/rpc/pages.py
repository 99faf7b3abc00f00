"""Pages of lists: their sizes, and the tokens that say where the next page begins."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from hashlib import blake2b

from itemlens_server.errors import InvalidArgument

DEFAULT_PAGE, LARGEST_PAGE = 100, 1000
# A page ends early at this size, because it must fit into a message.
PAGE_BYTES = 8 << 20
VERSION, DIGEST_BYTES = b"\x01", 8
# An id has at most 256 characters.
LONGEST_TOKEN = 2000


def page_size(wanted: int) -> int:
    """The number of entries of a page; the default one for 0."""
    return min(wanted or DEFAULT_PAGE, LARGEST_PAGE)


@dataclass(frozen=True)
class Listing:
    """What is listed page by page, in the order of keys that do not change. So an entry that stays is listed once,
    whatever is written between the pages.

    method: the RPC. what: all that decides which entries are listed; its repr must be the same at the next call.

    A token is the version, a checksum, and the key of the last entry of its page, in URL-safe Base64. The checksum is
    of the listing, too, so that a token leads on in no other list.
    """

    method: str
    what: tuple[object, ...]

    def token(self, key: bytes) -> str:
        """The token of the page after the entry with this key."""
        return base64.urlsafe_b64encode(VERSION + self._checksum(key) + key).rstrip(b"=").decode()

    def after(self, token: str) -> bytes:
        """The key after which a page begins; empty for the first page, whose token is empty.

        Raises:
            InvalidArgument: it is no token of this list.
        """
        if not token:
            return b""
        try:
            data = base64.urlsafe_b64decode(token[:LONGEST_TOKEN] + "=" * (-len(token) % 4))
        except ValueError:
            data = b""
        key = data[len(VERSION) + DIGEST_BYTES :]
        if not key or self.token(key) != token:
            raise InvalidArgument(
                f"not a page token of this list: give next_page_token of the last page of {self.method}, with the same "
                "request but for page_size", "page_token",
            )  # fmt: skip
        return key

    def _checksum(self, key: bytes) -> bytes:
        return blake2b(repr((self.method, *self.what, key)).encode(), digest_size=DIGEST_BYTES).digest()
