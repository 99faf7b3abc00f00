"""The user side: from a history, content, liked and disliked items to interests, each with its vector u.

q_c = unit(sum_j a_j e_j,c) for items, or the content's own e_c
u   = sum over sources of  weight_s [ w_c q_c , -w_c theta_c , -w_c theta'_c ], weights by the source's question
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from itemlens_server.errors import InvalidArgument, Warning, quoted
from itemlens_server.fusion.head import (
    DISLIKE,
    HISTORY,
    Array,
    ChannelWeights,
    Head,
    QuestionWeights,
    search_question,
)
from itemlens_server.fusion.history import DISLIKED, IMPRESSION, HistoryRules, Interaction
from itemlens_server.fusion.interests import MAX_INTERESTS, cluster
from itemlens_server.fusion.parts import Floats
from itemlens_server.fusion.rows import Ints, View
from itemlens_server.fusion.snapshot import Snapshot

# A mean of unit vectors below this length is considered rounding error, not a direction.
CANCELLED = 1e-6


@dataclass(frozen=True)
class ChannelChange:
    """A caller's change to one channel's weights."""

    weight: float | None = None
    threshold: float | None = None
    imputed_threshold: float | None = None


@dataclass(frozen=True)
class Query:
    """The user or query of a request. `content` holds unit e_c by channel; `history` is oldest first."""

    history: Sequence[Interaction] = ()
    content: Mapping[str, Array] = field(default_factory=dict)
    liked: Sequence[str] = ()
    disliked: Sequence[str] = ()
    vector: Array | None = None
    source_weights: Mapping[str, float] = field(default_factory=dict)
    channel_changes: Mapping[str, ChannelChange] = field(default_factory=dict)
    behaviour_weight: float | None = None
    max_interests: int = MAX_INTERESTS

    def weight(self, source: str) -> float:
        """Return the weight of a source: "history", "query", "liked", "disliked" or "query_vector"."""
        return self.source_weights.get(source, 1.0)

    def weights(self, head: Head, question: str) -> QuestionWeights:
        """Return the head's weights of `question`, with the caller's changes."""
        weights = head.weights(question)
        return changed_weights(head, weights, self.channel_changes) if self.channel_changes else weights


@dataclass(frozen=True)
class Source:
    """One summand of u: its signed weight, the weights of its question, and the origin of q.

    For items: positions and shares (a_j), int64 and float64 [items]. For content: q by channel. For a query vector: u.
    """

    signed_weight: float
    weights: QuestionWeights
    positions: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    shares: Floats = field(default_factory=lambda: np.zeros(0, np.float64))
    q: Mapping[str, Array] = field(default_factory=dict)
    u: Array | None = None

    @property
    def of_items(self) -> bool:
        """Whether the source consists of items of the collection."""
        return not self.q and self.u is None

    def vector(self, head: Head, view: View) -> Array:
        """Return the u of this source, float32 [dimension]."""
        if self.u is not None:
            return np.asarray(self.signed_weight * self.u, np.float32)
        if self.q:
            return head.query_vector(self.q, self.weights, self.signed_weight)
        sums = {name: rows.sum(0) for name, rows in self.rows(head, view).items()}
        q = {name: np.asarray(total / np.linalg.norm(total), np.float32) for name, total in sums.items()}
        return head.query_vector(q, self.weights, self.signed_weight)

    def rows(self, head: Head, view: View) -> dict[str, Floats]:
        """Return a_j e_j,c of the source's items by channel, float64 [items, width]; zeros without the channel.

        A channel is left out if none of the items has it or if the items cancel each other out.
        """
        h = view.h[self.positions]
        rows = {}
        for name in head.names:
            a = self.shares * head.present(h, name)
            weighted = a[:, None] * h[:, head.block(name)].astype(np.float64)
            if np.linalg.norm(weighted.sum(0)) > CANCELLED * a.sum():
                rows[name] = weighted
        return rows


@dataclass(frozen=True)
class Interest:
    """One interest of a query: its share of the list, u, the sources of u, and its past items."""

    weight: float
    u: Array
    sources: tuple[Source, ...]
    item_ids: tuple[str, ...]


@dataclass(frozen=True)
class Asking:
    """A query over a snapshot, before terms are bound to it.

    shares: a_j of the history by item, newest first, including items that are not in the collection
    here:   past items in the collection at the time of the query
    liked:  liked items in the collection at the time of the query
    seen:   items to exclude
    """

    snapshot: Snapshot
    query: Query
    interests: tuple[Interest, ...]
    shares: Mapping[str, float]
    here: frozenset[str]
    liked: tuple[str, ...]
    seen: frozenset[str]
    warnings: tuple[Warning, ...]


def vector_of(sources: Sequence[Source], head: Head, view: View) -> Array:
    """Return u of an interest with these sources, float32 [dimension]."""
    return sum((source.vector(head, view) for source in sources), np.zeros(head.dimension, np.float32))


def ask(snapshot: Snapshot, query: Query, rules: HistoryRules) -> Asking:
    """Return the interests of `query`; one without sources if none of its items is in the collection."""
    head, view = snapshot.head, snapshot.view
    lookup = _Lookup(snapshot)
    shares = rules.shares(query.history)
    past = {
        item_id: (position, a)
        for item_id, a in shares.items()
        if (position := lookup.find(item_id, "history")) is not None
    }
    liked = lookup.find_all(query.liked, "liked_item_ids")
    disliked_ids = [*query.disliked, *(i.item_id for i in query.history if i.type == DISLIKED)]
    disliked = lookup.find_all(disliked_ids, "disliked_item_ids")
    common = _common_sources(head, query, liked, disliked)

    history_weight, history_weights = query.weight("history"), query.weights(head, HISTORY)
    groups: list[list[str]] = [[]]
    if past and history_weight:
        groups = _groups(head, view, past, history_weights, query.max_interests)
    interests = []
    for group in groups:
        sources = list(common)
        if group:
            positions, a = (np.asarray(values) for values in zip(*(past[i] for i in group), strict=True))
            sources.insert(0, Source(history_weight, history_weights, positions, a))
        u = vector_of(sources, head, view)
        mass = sum(past[i][1] for i in group) if group else 1.0
        interests.append(Interest(mass, u, tuple(sources), tuple(group)))
    interests.sort(key=lambda i: -i.weight)
    scale = sum(i.weight for i in interests)
    dealt_with = (i.item_id for i in query.history if i.type != IMPRESSION)
    return Asking(
        snapshot,
        query,
        tuple(replace(i, weight=i.weight / scale) for i in interests),
        shares,
        frozenset(past),
        tuple(view.item_ids[position] for position in liked),
        frozenset([*dealt_with, *query.liked, *query.disliked]),
        tuple(lookup.warnings),
    )


def changed_weights(
    head: Head, weights: QuestionWeights, changes: Mapping[str, ChannelChange]
) -> QuestionWeights:
    """Return `weights` with the caller's changes.

    Raises:
        InvalidArgument: a changed channel does not exist.
    """
    channels = {name: weights.of(name) for name in head.names}
    for name, change in changes.items():
        if name not in channels:
            raise InvalidArgument(
                f"no channel {quoted(name)}; there are {', '.join(head.names)}", "channel_weights"
            )
        old = channels[name]
        channels[name] = ChannelWeights(
            old.weight if change.weight is None else change.weight,
            old.threshold if change.threshold is None else change.threshold,
            old.imputed_threshold if change.imputed_threshold is None else change.imputed_threshold,
        )
    return QuestionWeights(channels, weights.behaviour)


def _common_sources(head: Head, query: Query, liked: list[int], disliked: list[int]) -> list[Source]:
    """Return the sources that all interests share."""
    sources = []
    if query.content and (weight := query.weight("query")):
        sources.append(Source(weight, query.weights(head, search_question(query.content)), q=query.content))
    for positions, weight, question in (
        (liked, query.weight("liked"), HISTORY),
        (disliked, -query.weight("disliked"), DISLIKE),
    ):
        if positions and weight:
            shares = np.full(len(positions), 1.0 / len(positions))
            sources.append(Source(weight, query.weights(head, question), np.asarray(positions), shares))
    if query.vector is not None and (weight := query.weight("query_vector")):
        sources.append(Source(weight, QuestionWeights(), u=query.vector))
    return sources


class _Lookup:
    """Finds positions of items, and collects warnings about missing ones."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self.warnings: list[Warning] = []

    def find(self, item_id: str, field: str) -> int | None:
        position = self._snapshot.view.position(item_id)
        if position is None:
            message = f"item {item_id!r} is not in collection {self._snapshot.collection!r}; it is ignored"
            self.warnings.append(Warning("UNKNOWN_ITEM", message, f"user.{field}"))
        return position

    def find_all(self, item_ids: Sequence[str], field: str) -> list[int]:
        positions = (self.find(item_id, field) for item_id in item_ids)
        return [position for position in positions if position is not None]


def _groups(
    head: Head, view: View, past: Mapping[str, tuple[int, float]], weights: QuestionWeights, most: int
) -> list[list[str]]:
    """Return the item ids of each interest: clusters by the mean cosine over the channels that both items have."""
    ids = list(past)
    h = view.h[[past[i][0] for i in ids]]
    total = np.zeros((len(ids), len(ids)))
    norm = np.zeros_like(total)
    for name in head.names:
        has = head.present(h, name).astype(np.float64)
        weight = max(weights.of(name).weight, 1e-6)
        e = h[:, head.block(name)].astype(np.float64) * has[:, None]
        total += weight * (e @ e.T)
        norm += weight * np.outer(has, has)
    similarity = np.divide(total, norm, out=np.zeros_like(total), where=norm > 0)
    return [[ids[n] for n in group] for group in cluster(similarity, most)]
