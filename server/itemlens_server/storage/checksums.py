"""Checksums of what is stored, since SQLite has none: a flipped bit on the disk is noticed and not served.

CRC-32: found are all damages of up to 32 bits in a row, and all others but one in four billion.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable


def holds(checksum: int | None, compute: Callable[..., int], *fields: object) -> bool:
    """Whether `fields` are what was stored with this checksum. Rows that format 2 has written have none."""
    if checksum is None:
        return True
    try:
        return compute(*fields) == checksum
    except (AttributeError, TypeError, ValueError):  # a damaged row gives values of other types
        return False


def of_data(data: bytes) -> int:
    """Of a vector's or picture's bytes."""
    return zlib.crc32(data)


def of_document(item_id: str, document: str) -> int:
    """Of what an item says, with its id."""
    return zlib.crc32(document.encode(), zlib.crc32(item_id.encode()))


def of_inputs(item_id: str, inputs: Iterable[tuple[str, bytes]]) -> int:
    """Of an item's (channel, content hash), ordered by channel and position, with its id."""
    checksum = zlib.crc32(item_id.encode())
    for channel, content in inputs:
        checksum = zlib.crc32(content, zlib.crc32(channel.encode(), checksum))
    return checksum


def of_event(fields: tuple[object, ...]) -> int:
    """Of an event's columns and the number of the write that brought it, as SQLite gives them back."""
    return zlib.crc32(repr(fields).encode())
