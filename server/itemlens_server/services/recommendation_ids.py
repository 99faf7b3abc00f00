"""The ids of recommendations, which the server recognises as its own without keeping them.

An id is 40 hexadecimal digits: the time in milliseconds (12), random bits (12), and a keyed hash of both and of the
collection (16). So ids sort by time, and nobody without the store's key can make one.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

from itemlens_server.errors import InvalidArgument, quoted

KEY = "recommendation ids"
"""Name of the key among the store's secrets."""
_OURS = re.compile(r"[0-9a-f]{40}")
_LAST = (1 << 48) - 1
_TIME, _SIGNED, _HASH_BYTES = 12, 24, 8


@dataclass(frozen=True)
class RecommendationIds:
    """Makes and recognises ids with `key`, 1 to 64 bytes."""

    key: bytes

    def make(self, collection: int, seconds: float) -> str:
        """Return a new id for a recommendation from a collection, given by its number, at a time since the epoch."""
        signed = self.bound(seconds) + secrets.token_hex(6)
        return signed + self._hash(collection, signed)

    @staticmethod
    def bound(seconds: float) -> str:
        """Return the text from which on the ids of this time and of later ones sort."""
        return f"{min(max(0, int(1000 * seconds)), _LAST):012x}"

    @staticmethod
    def seconds(recommendation_id: str) -> float:
        """Return the time at which an id was made, since the epoch."""
        return int(recommendation_id[:_TIME], 16) / 1000

    def is_ours(self, recommendation_id: str, collection: int) -> bool:
        """Return whether `make` made the id for the collection."""
        if not _OURS.fullmatch(recommendation_id):
            return False
        signed = recommendation_id[:_SIGNED]
        return hmac.compare_digest(recommendation_id[_SIGNED:], self._hash(collection, signed))

    def check(self, recommendation_id: str, collection: int) -> None:
        """Check the id of an event, which may have none.

        Raises:
            InvalidArgument: it is no id of a recommendation from the collection.
        """
        if recommendation_id and not self.is_ours(recommendation_id, collection):
            raise InvalidArgument(
                f"{quoted(recommendation_id)} is not the id of a recommendation from this collection: send the id that "
                "Recommend returned, unchanged, or leave it out",
                "recommendation_id",
            )

    def _hash(self, collection: int, signed: str) -> str:
        data = f"{collection} {signed}".encode()
        return hashlib.blake2b(data, digest_size=_HASH_BYTES, key=self.key).hexdigest()
