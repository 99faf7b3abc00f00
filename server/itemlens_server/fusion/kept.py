"""The part of an answered query that is kept to explain its scores later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from itemlens_server.fusion.boosts import AppliedBoost
from itemlens_server.fusion.head import Array, Head
from itemlens_server.fusion.past_source import PastSource
from itemlens_server.fusion.query import Asking, Query
from itemlens_server.fusion.rows import Codes, Ints, View
from itemlens_server.fusion.snapshot import Snapshot
from itemlens_server.fusion.sources import Interest, Source, interest_of
from itemlens_server.fusion.tables import Tables
from itemlens_server.fusion.value_table import NONE, Values
from itemlens_server.fusion.weights import QuestionWeights
from itemlens_server.fusion.word_source import WordSource
from itemlens_server.words import NO_DOCUMENT

NOTHING = np.zeros(0, np.float32)


@dataclass(frozen=True)
class KeptAsking:
    """An `Asking` without the data of the collection: head, rows, and the part of the tables that explanations do not
    need.

    interests:        without u, which is computed again from the sources
    past_sources:     history, liked and rejected, with the items that add to a listed item; of the others only how the
                      terms are bound is left
    had:              those of the listed items that the user had
    labels, item_ids: rows that u is computed from; the positions of the interests' sources are indices into these
    codes:            of the attribute values of past and listed items, as in `Values`; `valued`: ids of its columns
    idf:              weights of these codes, float32
    words:            of the query, in the items `worded`
    boosts:           what boosts add to each listed item, by name and id
    """

    query: Query
    interests: tuple[Interest, ...]
    past_sources: tuple[PastSource, PastSource, PastSource]
    prior: QuestionWeights
    disliked: Ints
    had: frozenset[str]
    tables: Tables | None
    labels: Ints
    item_ids: tuple[str, ...]
    codes: Codes
    valued: tuple[str, ...]
    idf: Array
    boosts: Mapping[str, Mapping[str, float]]
    words: WordSource | None = None
    worded: tuple[str, ...] = ()

    @staticmethod
    def of(asking: Asking, listed: Sequence[str]) -> KeptAsking:
        """Return the part of `asking` to keep. listed: ids of the items whose scores may be explained."""
        snapshot, view = asking.snapshot, asking.snapshot.view
        sources = {id(source): source for interest in asking.interests for source in interest.sources}
        used = [asking.disliked, *(s.positions for s in sources.values())]
        past = np.unique(np.concatenate(used))
        moved = {key: replace(s, positions=np.searchsorted(past, s.positions)) for key, s in sources.items()}
        places = snapshot.positions(listed)
        past_sources = (asking.history, asking.liked, asking.rejected)
        tables = None if snapshot.tables is None else _between(snapshot, past_sources, places)
        adding = [_adding(source, places, tables, snapshot) for source in past_sources]
        kept = [s.positions[numbers] for s, numbers in zip(past_sources, adding, strict=True)]
        history, liked, rejected = (s.take(n) for s, n in zip(past_sources, adding, strict=True))
        rows = np.unique(np.concatenate([places, *kept]))
        rows = rows[rows >= 0] if len(view.columns) else rows[:0]
        # Codes are numbered anew, so that only their own weights are kept. Column 0 is that of items without values.
        shown = view.values.codes[:, np.append(NONE, view.columns[rows])]
        codes, compact = np.unique(np.append(0, shown.ravel()), return_inverse=True)
        words, worded = _words_of(asking, places)
        return KeptAsking(
            replace(
                asking.query, history=(), taken=None, content={}, words={}, liked=(), disliked=(), vector=None
            ),
            tuple(_with_sources(i, moved) for i in asking.interests),
            (history, liked, rejected),
            asking.prior,
            np.searchsorted(past, asking.disliked),
            frozenset(view.item_ids[p] for p in np.intersect1d(asking.had, places).tolist()),
            tables,
            view.labels[past],
            tuple(view.item_ids[position] for position in past.tolist()),
            compact[1:].astype(np.int32).reshape(shown.shape),
            ("", *(view.item_ids[position] for position in rows.tolist())),
            view.values.idf[codes],
            {
                b.name: dict(zip(listed, b.nats[snapshot.view.find(listed)].tolist(), strict=True))
                for b in asking.boosts
            },
            words,
            worded,
        )

    def asking(self, collection: str, head: Head, rows: View) -> Asking:
        """Restore the `Asking` over `rows`, which begin with the rows of `labels`."""
        columns = {item_id: n for n, item_id in enumerate(self.valued)}
        own = [columns.get(item_id, NONE) for item_id in rows.item_ids]
        documents = {item_id: n for n, item_id in enumerate(self.worded)}
        # Not all past items have a row. Their positions are behind those of `rows`.
        view = replace(
            rows,
            values=Values.of(self.codes, self.idf),
            columns=np.asarray([*own, *range(len(self.valued))], np.int32),
            documents=np.asarray([documents.get(i, len(documents)) for i in rows.item_ids], np.int32),
        )
        table_numbers = {} if self.tables is None else self.tables.rows
        table_rows = np.asarray([table_numbers.get(i, -1) for i in view.item_ids], np.int64)
        history, liked, rejected = (
            replace(
                source,
                positions=np.asarray(
                    [len(own) + columns.get(i, NONE) for i in source.past.item_ids], np.int64
                ),
                rows=np.asarray([table_numbers.get(i, -1) for i in source.past.item_ids], np.int64),
            )
            for source in self.past_sources
        )
        snapshot = Snapshot(collection, head, view, self.tables, table_rows)
        interests = tuple(
            interest_of(i.weight, i.sources, i.item_ids, self.prior, head, view) for i in self.interests
        )
        taken = {item_id: n for n, item_id in enumerate(history.past.item_ids)}
        had = np.asarray([p for p, i in enumerate(view.item_ids) if i in self.had], np.int64)
        had_numbers = np.asarray([taken[view.item_ids[p]] for p in had.tolist()], np.int64)
        return Asking(
            snapshot, self.query, interests, history, liked, rejected, self.prior, self.disliked, had, had_numbers,
            frozenset(), (), self.words,
            tuple(_boost(name, nats, view) for name, nats in self.boosts.items()),
        )  # fmt: skip


def _boost(name: str, nats: Mapping[str, float], rows: View) -> AppliedBoost:
    """Return a boost over `rows`; nats by item id."""
    return AppliedBoost(name, np.asarray([nats.get(i, 0.0) for i in rows.item_ids], np.float32))


def _words_of(asking: Asking, listed: Ints) -> tuple[WordSource | None, tuple[str, ...]]:
    """Return the words of the query in the items at the positions `listed`, and the ids of these items by document."""
    if asking.words is None:
        return None, ()
    view = asking.snapshot.view
    worded = listed[view.documents[listed] != NO_DOCUMENT]
    worded = worded[np.argsort(view.documents[worded])]
    matches = asking.words.matches.take(view.documents[worded])
    return replace(asking.words, matches=matches), tuple(view.item_ids[p] for p in worded.tolist())


def _with_sources(interest: Interest, moved: Mapping[int, Source]) -> Interest:
    sources = tuple(moved[id(source)] for source in interest.sources)
    return replace(interest, u=NOTHING, cold=NOTHING, sources=sources)


def _between(snapshot: Snapshot, sources: Sequence[PastSource], listed: Ints) -> Tables:
    """Return the part of the tables that says what the past items add to those at the positions `listed`."""
    assert snapshot.tables is not None
    past, own = np.unique(np.concatenate([s.rows for s in sources])), np.unique(snapshot.table_rows[listed])
    return snapshot.tables.between(past[past >= 0], own[own >= 0])


def _adding(source: PastSource, listed: Ints, tables: Tables | None, snapshot: Snapshot) -> Ints:
    """Return the numbers of the past items that add something to one of the items at the positions `listed`, or are one
    of them. tables: the part of the tables with those that add something there."""
    values, columns = snapshot.view.values, snapshot.view.columns
    adding = np.isin(source.positions, listed)
    if tables is not None:
        adding |= np.asarray([i in tables.rows for i in source.past.item_ids], np.bool_)
    if len(values.codes):
        shared = np.zeros(len(values.idf), np.bool_)
        shared[values.codes[:, columns[listed]]] = True
        shared &= values.idf > 0
        here = np.flatnonzero(source.positions >= 0)
        adding[here] |= shared[values.codes[:, columns[source.positions[here]]]].any(0)
    adding[:1] = True  # terms are bound to a past that is not empty
    return np.flatnonzero(adding)
