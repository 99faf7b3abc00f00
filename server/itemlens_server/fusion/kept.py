"""The part of an answered query that is kept to explain its scores later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from itemlens_server.fusion.head import Array, Head
from itemlens_server.fusion.query import Asking, Interest, PastSource, Query, Source, interest_of
from itemlens_server.fusion.rows import Codes, Ints, View
from itemlens_server.fusion.snapshot import Snapshot
from itemlens_server.fusion.tables import Tables
from itemlens_server.fusion.weights import QuestionWeights

NOTHING = np.zeros(0, np.float32)


@dataclass(frozen=True)
class KeptAsking:
    """An `Asking` without the data of the collection: head, rows, and the part of the tables that explanations do not
    need.

    interests:        without u, which is computed again from the sources
    past_sources:     with the past items that add to a listed item; of the others only how the terms are bound is left
    had:              those of the listed items that the user had
    labels, item_ids: rows that u is computed from; the positions of the interests' sources are indices into these
    values:           codes of attribute values, int32 [rows, width], of past and listed items; `value_rows`: their ids
    idf:              weights of these codes, float32
    """

    query: Query
    interests: tuple[Interest, ...]
    past_sources: tuple[PastSource, ...]
    prior: QuestionWeights
    dislike: QuestionWeights
    disliked: Ints
    had: frozenset[str]
    tables: Tables | None
    labels: Ints
    item_ids: tuple[str, ...]
    values: Codes
    value_rows: tuple[str, ...]
    idf: Array

    @staticmethod
    def of(asking: Asking, listed: Sequence[str]) -> KeptAsking:
        """Return the part of `asking` to keep. listed: ids of the items whose scores may be explained."""
        snapshot, view = asking.snapshot, asking.snapshot.view
        sources = {id(source): source for interest in asking.interests for source in interest.sources}
        used = [asking.disliked, *(s.positions for s in sources.values())]
        past = np.unique(np.concatenate(used))
        moved = {key: replace(s, positions=np.searchsorted(past, s.positions)) for key, s in sources.items()}
        past_sources = tuple(_that_add(source, listed, snapshot) for source in asking.past_sources)
        named = [i for source in past_sources for i in source.past.item_ids]
        rows = {i: p for i in {*named, *listed} if (p := view.position(i)) is not None}
        # Codes are numbered anew, so that only their own weights are kept.
        shown = view.values[list(rows.values())]
        codes, compact = np.unique(np.concatenate([[0], shown.ravel()]), return_inverse=True)
        return KeptAsking(
            replace(asking.query, history=(), taken=None, content={}, liked=(), disliked=(), vector=None),
            tuple(_with_sources(i, moved) for i in asking.interests),
            past_sources,
            asking.prior,
            asking.dislike,
            np.searchsorted(past, asking.disliked),
            frozenset(view.item_ids[p] for p in asking.had.tolist()) & frozenset(listed),
            None if snapshot.tables is None else snapshot.tables.between(named, listed),
            view.labels[past],
            tuple(view.item_ids[position] for position in past),
            compact[1:].astype(np.int32).reshape(shown.shape),
            tuple(rows),
            snapshot.idf[codes.astype(np.int64)],
        )

    def asking(self, collection: str, head: Head, rows: View) -> Asking:
        """Restore the `Asking` over `rows`, which begin with the rows of `labels`."""
        numbers = {item_id: n for n, item_id in enumerate(self.value_rows)}
        # The last row, of zeros, is that of items that have no part in ATTRIBUTE.
        known = np.concatenate([self.values, np.zeros_like(self.values, shape=(1, self.values.shape[1]))])
        values = known[[numbers.get(item_id, -1) for item_id in rows.item_ids]]
        current = {item_id: position for position, item_id in reversed(list(enumerate(rows.item_ids)))}
        view = replace(rows, values=values, current=current)
        table_rows = np.asarray(
            [-1 if self.tables is None else self.tables.rows.get(i, -1) for i in view.item_ids], np.int64
        )
        snapshot = Snapshot(collection, head, view, self.tables, table_rows, self.idf)
        interests = tuple(
            interest_of(i.weight, i.sources, i.item_ids, self.prior, head, view) for i in self.interests
        )
        had = np.asarray([p for p, i in enumerate(view.item_ids) if i in self.had], np.int64)
        return Asking(
            snapshot, self.query, interests, self.past_sources, self.prior, self.disliked, self.dislike, had,
            frozenset(), (),
        )  # fmt: skip


def _with_sources(interest: Interest, moved: Mapping[int, Source]) -> Interest:
    sources = tuple(moved[id(source)] for source in interest.sources)
    return replace(interest, u=NOTHING, cold=NOTHING, sources=sources)


def _that_add(source: PastSource, listed: Sequence[str], snapshot: Snapshot) -> PastSource:
    """Return the source with the past items that add something to one of the listed items."""
    if not len(source.past):
        return source
    own, view = list(source.past.item_ids), snapshot.view
    among = frozenset(listed)
    adding = np.asarray([item_id in among for item_id in own], np.bool_)
    if snapshot.tables is not None:
        tables = snapshot.tables.between(own, listed)
        entries = np.diff(tables.behaviour.indptr) + np.diff(tables.sequence.indptr)
        adding |= np.asarray([i in tables.rows and entries[tables.rows[i]] > 0 for i in own], np.bool_)
    positions = [view.position(i) for i in own]
    here = np.asarray([n for n, p in enumerate(positions) if p is not None], np.int64)
    shared = np.unique(view.values[snapshot.positions(listed)])
    shared = shared[snapshot.idf[shared] > 0]
    adding[here] |= np.isin(view.values[[positions[n] for n in here]], shared).any(1)
    adding[:1] = True  # terms are bound to a past that is not empty
    return replace(source, past=source.past.take(np.flatnonzero(adding)))
