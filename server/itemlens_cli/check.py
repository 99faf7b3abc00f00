"""`itemlens index --check`: the files and the mapping against the collection, without writing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from itemlens import Channel, ChannelKind, Client, Collection, ExternalVector, Item, NotFound, Space
from itemlens_cli.skipped import ITEMS, Skipped, shortened
from itemlens_datasets.mapping import Items
from itemlens_datasets.rows import MappingError, Row
from itemlens_server.attributes.schema import AttributeType, inferred, typed
from itemlens_server.errors import InvalidArgument


class Check:
    """Checks items as the collection would take them. Events are checked as they are read."""

    def __init__(self, client: Client, name: str, space: str, items: Items, skipped: Skipped) -> None:
        """Raises:
        MappingError: the collection's space lacks a channel that the mapping fills.
        """
        self._items, self._skipped = items, skipped
        self._types: dict[str, AttributeType] = {}
        self._channels: dict[str, Channel] = {}
        try:
            found: Collection | None = client.get_collection(name)
        except NotFound:
            found = None
        if found is not None:
            self._types = {
                name: AttributeType[kind.name]
                for name, kind in found.attributes.items()
                if kind.name in AttributeType.__members__
            }
        self._check_channels(client.space(found.space_id if found else space or None))

    def item(self, row: Row, item: Item) -> None:
        """Check an item, and list what is wrong with it."""
        for column, message in self._wrong(item):
            record = {"id": item.item_id, "row": row.number, "line": row.line, "column": column}
            self._skipped.add(
                ITEMS, self._items.file, "BAD_VALUE", f"{shortened(item.item_id)}: {message}", record
            )

    def _check_channels(self, space: Space) -> None:
        self._channels = {channel.name: channel for channel in space.channels}
        known = {name: channel.kind for name, channel in self._channels.items()}
        used = (
            (ChannelKind.TEXT, "texts", self._items.texts),
            (ChannelKind.IMAGE, "pictures", self._items.pictures),
            (ChannelKind.EXTERNAL, "external", self._items.external),
        )
        for kind, key, channels in used:
            for name in channels:
                if known.get(name) is not kind:
                    there = ", ".join(sorted(n for n, k in known.items() if k is kind)) or "none"
                    raise MappingError(
                        f"items.{key}.{name}: space {space.space_id} has no channel {name!r} for {key}; it has {there}"
                    )

    def _wrong(self, item: Item) -> Iterator[tuple[str, str]]:
        if not item.texts and not any(_pictures(item)) and not item.external and not self._items.merge:
            yield "", "it has no text, no picture and no vector"
        for picture in _pictures(item):
            if not isinstance(picture, bytes) and not Path(os.fspath(picture)).is_file():
                yield "", f"there is no picture {picture}"
        for name, vector in item.external.items():
            given = self._items.external.get(name)
            for wrong in _wrong_vector(vector, self._channels.get(name)):
                yield given.column if given else "external", f"{name}: {wrong}"
        for name, value in item.attributes.items():
            # The type of an attribute that the collection does not know is that of its first value.
            kind = self._types.get(name) or inferred(value)
            if kind is None:
                continue
            self._types[name] = kind
            try:
                typed(value, kind)
            except (
                InvalidArgument,
                OverflowError,
            ) as error:  # a whole number may be larger than a float64 can be
                source = self._items.attributes.get(name)
                yield source.column if source else name, f"{name}: {error}"


def _pictures(item: Item) -> Iterator[Any]:
    assert isinstance(item.pictures, dict)
    for some in item.pictures.values():
        yield from some


def _wrong_vector(vector: ExternalVector, channel: Channel | None) -> Iterator[str]:
    if channel is None or channel.kind is not ChannelKind.EXTERNAL:
        yield "the space has no such channel of vectors"
    elif (len(vector), vector.version) != (channel.dimension, channel.version):
        yield (
            f"{len(vector)} numbers of version {vector.version!r}, but the channel takes {channel.dimension} of "
            f"version {channel.version!r}"
        )
    elif not np.isfinite(vector.values).all() or not np.any(vector.values):
        yield "NaN, infinity, or nothing but 0"
