"""The part of an answered query that is kept to explain its scores later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from itemlens_server.fusion.head import Head
from itemlens_server.fusion.item_to_item import ItemToItem
from itemlens_server.fusion.query import Asking, Interest, Query, Source, vector_of
from itemlens_server.fusion.rows import Ints, View
from itemlens_server.fusion.snapshot import Snapshot

NOTHING = np.zeros(0, np.float32)


@dataclass(frozen=True)
class KeptAsking:
    """An `Asking` without the data of the collection: head, rows, and the part of the table that explanations do not
    need.

    labels, item_ids: of its past items; the positions of its sources are indices into these
    interests:        without u, which is computed again from the sources
    """

    query: Query
    interests: tuple[Interest, ...]
    shares: Mapping[str, float]
    here: frozenset[str]
    liked: tuple[str, ...]
    item_to_item: ItemToItem | None
    labels: Ints
    item_ids: tuple[str, ...]

    @staticmethod
    def of(asking: Asking, listed: Sequence[str]) -> KeptAsking:
        """Return the part of `asking` to keep. listed: ids of the items whose scores may be explained."""
        snapshot = asking.snapshot
        sources = {id(source): source for interest in asking.interests for source in interest.sources}
        past = np.unique(np.concatenate([np.zeros(0, np.int64), *(s.positions for s in sources.values())]))
        moved = {key: replace(s, positions=np.searchsorted(past, s.positions)) for key, s in sources.items()}
        table = snapshot.item_to_item
        return KeptAsking(
            replace(asking.query, history=(), content={}, liked=(), disliked=(), vector=None),
            tuple(_with_sources(i, moved) for i in asking.interests),
            asking.shares,
            asking.here,
            asking.liked,
            None if table is None else table.between([*asking.shares, *asking.liked], listed),
            snapshot.view.labels[past],
            tuple(snapshot.view.item_ids[position] for position in past),
        )

    def asking(self, collection: str, head: Head, rows: View) -> Asking:
        """Restore the `Asking` over `rows`, which begin with the rows of `labels`."""
        snapshot = Snapshot(collection, head, rows, self.item_to_item, np.zeros(0, np.int64))
        interests = tuple(replace(i, u=vector_of(i.sources, head, rows)) for i in self.interests)
        return Asking(snapshot, self.query, interests, self.shares, self.here, self.liked, frozenset(), ())


def _with_sources(interest: Interest, moved: Mapping[int, Source]) -> Interest:
    return replace(interest, u=NOTHING, sources=tuple(moved[id(source)] for source in interest.sources))
