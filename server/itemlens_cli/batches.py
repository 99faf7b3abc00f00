"""Many ids in calls that a server takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from itemlens import Client, InvalidArgument, StoredItem

T = TypeVar("T")

CALL = 1000
"""Ids in one call: what a server takes by default."""


def batches(entries: Iterable[T], size: int = CALL) -> Iterator[list[T]]:
    """Yield the entries in lists of this size; the last may be shorter."""
    rest = iter(entries)
    while some := list(islice(rest, size)):
        yield some


def with_pictures(client: Client, ids: Sequence[str]) -> Iterator[StoredItem]:
    """Yield stored items with their pictures, in order. Where they are larger than a message, halves are read.

    Raises:
        ItemlensError: from the server.
    """
    try:
        found = client.get_items(ids, pictures=True)
    except InvalidArgument:
        if len(ids) < 2:
            raise
        yield from with_pictures(client, ids[: len(ids) // 2])
        yield from with_pictures(client, ids[len(ids) // 2 :])
    else:
        yield from found
