"""What a fit reads of a collection: vectors, attribute values and events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from itemlens_server.engine.repository import Space
from itemlens_server.fusion.channel_data import ChannelData
from itemlens_server.fusion.dislike_fit import DISLIKED_STRENGTH, RETURNED_STRENGTH
from itemlens_server.fusion.event_log import EventLog
from itemlens_server.fusion.fused import fused
from itemlens_server.fusion.head import Array, Head
from itemlens_server.fusion.history import DISLIKED, RETURN
from itemlens_server.fusion.rows import Rows, View
from itemlens_server.fusion.snapshot import Snapshot
from itemlens_server.fusion.tables import Tables
from itemlens_server.fusion.taken import without_returned
from itemlens_server.fusion.value_table import Codes, Values, ValueTable
from itemlens_server.storage.reader import Reader


@dataclass(frozen=True)
class FitData:
    """A collection as a fit sees it.

    labels: number of each item's row in the store, by which a change is noticed
    channels: raw vectors by channel; those without content have none
    values, columns: attribute values, and the column of each item in them, int32 [items]
    log: the events by which items were taken
    rejected: the events of dislikes and returns, of different strengths (see `dislike_fit`)
    """

    item_ids: list[str]
    labels: list[int]
    channels: Mapping[str, ChannelData]
    values: Values
    columns: Codes
    log: EventLog
    rejected: EventLog

    @property
    def items(self) -> int:
        """Number of items."""
        return len(self.item_ids)

    @property
    def used(self) -> dict[str, ChannelData]:
        """The channels with content."""
        return {name: data for name, data in self.channels.items() if len(data.vectors)}

    def view(self, head: Head) -> View:
        """Return the rows of all items with the h of `head`."""
        rows = Rows(head.dimension)
        h = fused(head, self.used, self.items)
        rows.append(np.arange(1, self.items + 1), self.item_ids, h)
        return replace(rows.view(), values=self.values, columns=self.columns)

    def snapshot(self, head: Head, tables: Tables | None) -> Snapshot:
        """Return what the server would score with."""
        known = {} if tables is None else tables.rows
        rows = np.asarray([known.get(item_id, -1) for item_id in self.item_ids], np.int64)
        return Snapshot("", head, self.view(head), tables, rows)


def read(space: Space, reader: Reader, collection: int, type_weights: Mapping[int, float]) -> FitData:
    """Read a collection. Damaged items are left out; the server repairs them at its next start."""
    digests = space.encoder_digests
    item_ids: list[str] = []
    labels: list[int] = []
    vectors: dict[str, list[Array]] = {name: [] for name in digests}
    owners: dict[str, list[int]] = {name: [] for name in digests}
    table, columns = ValueTable(), list[int]()
    for item in reader.raw_vectors(collection, digests, documents=True):
        if item.whole:
            for name, own in item.vectors.items():
                vectors[name] += own
                owners[name] += [len(item_ids)] * len(own)
            item_ids.append(item.item_id)
            labels.append(item.label)
            columns.append(table.add(item.attributes))
    channels = {
        name: ChannelData(
            np.stack(own) if own else np.zeros((0, space.encoders[name].spec.dim), np.float32),
            np.asarray(owners[name], np.int64),
        )
        for name, own in vectors.items()
    }
    taken = without_returned((event[:4] for event in reader.events(collection)), type_weights)
    against = (event[:4] for event in reader.events(collection))
    return FitData(
        item_ids, labels, channels, table.view(), np.asarray(columns, np.int32), EventLog.of(taken, type_weights),
        EventLog.of(against, {DISLIKED: DISLIKED_STRENGTH, RETURN: RETURNED_STRENGTH}),
    )  # fmt: skip
