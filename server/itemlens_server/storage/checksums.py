"""Checksums of stored data, since SQLite has none: damaged data is detected instead of served.

CRC-32 detects all errors of up to 32 consecutive bits, and all but one in four billion of the others.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable


def holds(checksum: int | None, compute: Callable[..., int], *fields: object) -> bool:
    """Return whether `fields` match the stored checksum. Rows written in format 2 have none and always match."""
    if checksum is None:
        return True
    try:
        return compute(*fields) == checksum
    except (AttributeError, TypeError, ValueError):  # a damaged row has values of other types
        return False


def of_data(data: bytes) -> int:
    """Return the checksum of a vector's or picture's bytes."""
    return zlib.crc32(data)


def of_document(item_id: str, document: str) -> int:
    """Return the checksum of an item's id and document."""
    return zlib.crc32(document.encode(), zlib.crc32(item_id.encode()))


def of_inputs(item_id: str, inputs: Iterable[tuple[str, bytes]]) -> int:
    """Return the checksum of an item's id and its (channel, content hash), ordered by channel and position."""
    checksum = zlib.crc32(item_id.encode())
    for channel, content in inputs:
        checksum = zlib.crc32(content, zlib.crc32(channel.encode(), checksum))
    return checksum


def of_stream(fields: tuple[object, ...]) -> int:
    """Return the checksum of a stream's columns, as SQLite returns them."""
    return zlib.crc32(repr(fields).encode())


# The columns that events have since format 5, in front of the sequence number, and their defaults.
_SINCE_5 = slice(8, 11)
_DEFAULTS = ("", "", 0)


def of_event(fields: tuple[object, ...]) -> int:
    """Return the checksum of an event's columns and sequence number, as SQLite returns them.

    Newer columns count only where they are set, so that older events keep their checksums.
    """
    if fields[_SINCE_5] == _DEFAULTS:
        fields = (*fields[: _SINCE_5.start], *fields[_SINCE_5.stop :])
    return zlib.crc32(repr(fields).encode())
