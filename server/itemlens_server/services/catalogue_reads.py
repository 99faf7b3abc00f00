"""Reads of what a collection holds: counts, items, vectors and events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import compress, islice

import numpy as np

from itemlens_server.attributes.filters import Filter
from itemlens_server.attributes.table import AttributeTable
from itemlens_server.config import Settings
from itemlens_server.errors import DataLoss
from itemlens_server.fusion.history import CLICK, IMPRESSION, VIEW, Interaction
from itemlens_server.fusion.rows import View
from itemlens_server.services.collection import Collection
from itemlens_server.services.limits import check_length, check_references
from itemlens_server.storage.records import Array, DamagedItem, Document, StoredItem
from itemlens_server.storage.store import Store
from itemlens_server.storage.streams import StreamRecord

# Ids that one look for what matches reads.
IDS_OF_A_LOOK = 1000


@dataclass(frozen=True)
class CollectionCounts:
    """Counts of a collection, the number of its last write, and that of the last event in its tables."""

    items: int
    events: int
    sequence: int
    event_sequence: int


class CatalogueReads:
    """Reads on the store and on the rows of its collections. They never wait for writes."""

    def __init__(self, store: Store, settings: Settings) -> None:
        """Uses `max_items`, the limit of the ids of one `get`."""
        self._store = store
        self._settings = settings

    def counts(self, collection: Collection) -> CollectionCounts:
        """Return the counts of a collection."""
        items, events, sequence = self._store.reader().counts(collection.record.id)
        tables = collection.event_tables.tables
        return CollectionCounts(items, events, sequence, tables.provenance.event_sequence if tables else 0)

    def streams(self, collection: Collection) -> list[StreamRecord]:
        """The streams of events of a collection, by name."""
        return self._store.reader().streams(collection.record.id)

    def page(
        self, collection: Collection, after: bytes, size: int, condition: Filter | None = None
    ) -> Iterator[tuple[bytes, StoredItem | DamagedItem]]:
        """The next `size` items after the id `after`, ordered by id, without contents, each with its id as bytes.
        condition: only items that match it.

        Raises:
            InvalidArgument: the filter does not fit the attributes.
        """
        reader = self._store.reader()
        if condition is None:
            return reader.page(collection.record.id, after, size)
        view = collection.matching(condition)
        found = reader.named(collection.record.id, self._matching(collection.record.id, view, after, size))
        # Items that are gone meanwhile, or were changed and match no more, take no place of the page.
        return islice((one for one in found if _still_matches(one[1], view, condition)), size)

    def _matching(self, collection: int, view: View, after: bytes, size: int) -> Iterator[str]:
        """The ids after `after` of the rows that are alive, in order, of which about `size` are wanted."""
        alive = np.flatnonzero(view.alive)
        # All that are alive are sorted, or they are looked for among all ids, whichever is less work.
        if len(alive) ** 2 <= size * len(view.alive):
            last = after.decode(errors="replace")
            yield from sorted(i for i in map(view.item_ids.__getitem__, alive.tolist()) if i > last)
            return
        while some := self._store.reader().item_ids(collection, after, IDS_OF_A_LOOK):
            after, item_ids = some[-1][0], [item_id for _, item_id in some]
            positions = view.find(item_ids)
            yield from compress(item_ids, view.alive[positions] & (positions >= 0))

    def vectors(self, collection: Collection, labels: Sequence[int]) -> dict[int, Array]:
        """h of the items with these labels, float32 [dimension] each. Items replaced since are left out."""
        view = collection.snapshot().view
        positions = view.positions(np.asarray(labels, np.int64))
        return {int(view.labels[p]): view.h[p] for p in positions}

    def get(
        self, collection: Collection, item_ids: Sequence[str], with_data: bool = False
    ) -> Iterator[StoredItem | DataLoss | None]:
        """`item` for each id of a caller's list. Items are read one by one, because together they may not fit in
        memory."""
        check_length(item_ids, self._settings.max_items, "item_ids")
        check_references(item_ids, "item_ids")
        return (self.item(collection, item_id, with_data) for item_id in item_ids)

    def item(
        self, collection: Collection, item_id: str, with_data: bool = False
    ) -> StoredItem | DataLoss | None:
        """An item as from `items`, the error if it is damaged, or None if it does not exist."""
        try:
            return self.items(collection, [item_id], with_data).get(item_id)
        except DataLoss as error:
            return error

    def items(
        self, collection: Collection, item_ids: Sequence[str], with_data: bool = False
    ) -> dict[str, StoredItem]:
        """Stored items by id. `with_data`: with the stored bytes of their pictures.

        Raises:
            DataLoss: an item is damaged.
        """
        return self._store.reader().items(
            collection.record.id, item_ids, collection.encoder_digests, data=with_data
        )

    def documents(self, collection: Collection, item_ids: Sequence[str]) -> Iterator[tuple[str, Document]]:
        """(id, document) of each item, read one by one. Items that do not exist are left out."""
        return self._store.reader().documents(collection.record.id, item_ids)

    def history(self, collection: Collection, user_id: str, limit: int) -> list[Interaction]:
        """The latest recorded interactions of a user, oldest first: `limit` views and clicks, and `limit` others, so
        that whoever looks at much does not lose what they took or rejected. Impressions are left out: they say nothing
        of a user."""
        events = self._store.reader().history_apart(
            collection.record.id, user_id, limit, apart=(VIEW, CLICK), without=(IMPRESSION,)
        )
        return [Interaction(event.item_id, event.type, round(event.time * 1e9)) for event in events]


def _still_matches(item: StoredItem | DamagedItem, view: View, condition: Filter) -> bool:
    """Return whether an item that matched at the moment of a view does so as it is stored now."""
    position = view.position(item.item_id)
    if isinstance(item, DamagedItem) or position is None:
        return True
    types, now = view.attributes.types, item.document.attributes
    typed = {name: value for name, value in now.items() if name in types}
    if view.attributes.told(int(view.records[position]), types, now) == typed:
        return True
    one = AttributeTable(types)
    record = one.add(typed)
    return bool(condition.mask(one.view())[record])
