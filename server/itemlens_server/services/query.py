"""The user's side: from a history, a query, liked and disliked items to vectors u.

q_c = unit(sum_j a_j e_j,c) for items, or the query's own e_c
a_j = weight of the event's type x decay by position, newest first
u   = sum over sources of  weight_s [ w_c q_c , -w_c theta_c , -w_c theta'_c ], with the weights of the source's kind
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from itemlens_server.errors import InvalidArgument, NotFound, Warning
from itemlens_server.fusion.head import (
    DISLIKE,
    HISTORY,
    Array,
    ChannelWeights,
    Head,
    KindWeights,
    search_kind,
)
from itemlens_server.fusion.interests import MAX_INTERESTS, cluster
from itemlens_server.fusion.rows import View
from itemlens_server.index.hnsw import Neighbours
from itemlens_server.services.collection import Collection

Floats = np.ndarray[Any, np.dtype[np.float64]]

# The length of a mean of unit vectors below which it is taken for rounding and not for a direction.
CANCELLED = 1e-6
# Numbers of the contract's EventType.
IMPRESSION, VIEW, CLICK, CART, PURCHASE, DISLIKED = 1, 2, 3, 4, 5, 7


@dataclass(frozen=True)
class HistoryRules:
    """How past items are weighed; see the settings of the same names."""

    window: int = 50
    decay: float = 0.9
    type_weights: Mapping[int, float] = field(
        default_factory=lambda: {VIEW: 0.2, CLICK: 0.5, CART: 0.8, PURCHASE: 1.0}
    )


@dataclass(frozen=True)
class Past:
    """One thing that a user did with an item."""

    item_id: str
    type: int


@dataclass(frozen=True)
class ChannelChange:
    """A caller's change to one channel's weights."""

    weight: float | None = None
    threshold: float | None = None
    imputed_threshold: float | None = None


@dataclass(frozen=True)
class Side:
    """What the caller said of the asking side. `query` holds unit e_c by channel."""

    history: Sequence[Past] = ()
    query: Mapping[str, Array] = field(default_factory=dict)
    liked: Sequence[str] = ()
    disliked: Sequence[str] = ()
    vector: Array | None = None
    source_weights: Mapping[str, float] = field(default_factory=dict)
    changes: Mapping[str, ChannelChange] = field(default_factory=dict)
    behaviour_weight: float | None = None
    max_interests: int = MAX_INTERESTS


@dataclass(frozen=True)
class Source:
    """One summand of u: its signed weight, the weights of its kind, and what q is made of.

    positions and shares (a_j) for items; q by channel for a query's own content; u for a ready vector.
    """

    sign: float
    weights: KindWeights
    positions: tuple[int, ...] = ()
    shares: tuple[float, ...] = ()
    q: Mapping[str, Array] = field(default_factory=dict)
    u: Array | None = None


@dataclass(frozen=True)
class Interest:
    """One interest, ready to score.

    past: items whose followers count, with their shares; those of one source add up to its weight.
    neighbours: the B that it is scored with, so that an explanation is of the same one.
    """

    weight: float
    u: Array
    sources: tuple[Source, ...]
    item_ids: tuple[str, ...]
    past: Mapping[str, float]
    behaviour: float
    neighbours: Neighbours | None = None


@dataclass(frozen=True)
class Resolved:
    """All interests of a side, the items to leave out, and what was noticed."""

    interests: tuple[Interest, ...]
    seen: frozenset[str]
    warnings: tuple[Warning, ...]


def share_history(history: Sequence[Past], rules: HistoryRules) -> dict[str, float]:
    """a_j of the last `window` different items, oldest first: largest type weight x decay by place from the newest."""
    weight: dict[str, float] = {}
    for past in history:
        one = rules.type_weights.get(past.type, 0.0)
        if one > 0:
            # An item that comes again moves to its latest place.
            weight[past.item_id] = max(weight.pop(past.item_id, 0.0), one)
    newest_first = list(reversed(weight.items()))[: rules.window]
    return {item_id: w * rules.decay**n for n, (item_id, w) in enumerate(newest_first)}


def resolve(collection: Collection, view: View, side: Side, rules: HistoryRules) -> Resolved:
    """The interests of `side`.

    Raises:
        InvalidArgument: nothing is asked for.
        NotFound: none of the items on the asking side is in the collection.
    """
    head, neighbours = collection.space.head, collection.index.neighbours
    warnings: list[Warning] = []
    shares = share_history(side.history, rules)
    dislikes = [*side.disliked, *(p.item_id for p in side.history if p.type == DISLIKED)]
    dealt_with = (p.item_id for p in side.history if p.type != IMPRESSION)
    seen = frozenset([*dealt_with, *side.liked, *side.disliked])
    lookup = _Lookup(collection, view, warnings)
    past = {
        item_id: (p, a) for item_id, a in shares.items() if (p := lookup.find(item_id, "history")) is not None
    }
    liked = [p for i in side.liked if (p := lookup.find(i, "liked_item_ids")) is not None]
    disliked = [p for i in dislikes if (p := lookup.find(i, "disliked_item_ids")) is not None]

    common: list[Source] = []
    weight = side.source_weights
    if side.query and weight.get("query", 1.0):
        kind = head.weights(search_kind(side.query))
        common.append(Source(weight.get("query", 1.0), _changed(kind, side, head), q=side.query))
    if liked and weight.get("liked", 1.0):
        kind = _changed(head.weights(HISTORY), side, head)
        common.append(Source(weight.get("liked", 1.0), kind, tuple(liked), (1.0 / len(liked),) * len(liked)))
    if disliked and weight.get("disliked", 1.0):
        kind = _changed(head.weights(DISLIKE), side, head)
        common.append(
            Source(
                -weight.get("disliked", 1.0), kind, tuple(disliked), (1.0 / len(disliked),) * len(disliked)
            )
        )
    if side.vector is not None and weight.get("query_vector", 1.0):
        common.append(Source(weight.get("query_vector", 1.0), KindWeights(), u=side.vector))

    # Each source's items count together as its weight, in behaviour as in u.
    history_weight, liked_weight = weight.get("history", 1.0), weight.get("liked", 1.0)
    known = neighbours.index if neighbours is not None else {}
    followed = {i: a for i, a in shares.items() if i in past or i in known}
    follow: dict[str, float] = {}
    for amounts, source_weight in (
        (followed, history_weight),
        ({view.item_ids[p]: 1.0 for p in liked}, liked_weight),
    ):
        if source_weight and amounts:
            mass = sum(amounts.values())
            for item_id, amount in amounts.items():
                follow[item_id] = follow.get(item_id, 0.0) + source_weight * amount / mass
    if not common and not (past and history_weight) and not follow:
        if seen:
            raise NotFound(
                "none of the items on the asking side is in the collection; record events or give a query",
                "item", next(iter(seen)), "user",
            )  # fmt: skip
        raise InvalidArgument(
            "the user side is empty: give history, user_id, query, liked_item_ids or query_vector", "user"
        )
    history_kind = _changed(head.weights(HISTORY), side, head)
    behaviour = history_kind.behaviour if side.behaviour_weight is None else side.behaviour_weight

    groups: list[list[str]] = [[]]
    if past and history_weight:
        groups = _interests(head, view, past, history_kind, side.max_interests)
    interests = []
    for group in groups:
        sources = list(common)
        if group:
            positions, a = zip(*(past[i] for i in group), strict=True)
            sources.insert(0, Source(history_weight, history_kind, positions, a))
        u = sum((source_vector(head, view, s) for s in sources), np.zeros(head.dimension, np.float32))
        mass = sum(past[i][1] for i in group) if group else 1.0
        interests.append(Interest(mass, u, tuple(sources), tuple(group), follow, behaviour, neighbours))
    interests.sort(key=lambda i: -i.weight)
    scale = sum(i.weight for i in interests)
    return Resolved(tuple(replace(i, weight=i.weight / scale) for i in interests), seen, tuple(warnings))


def source_vector(head: Head, view: View, source: Source) -> Array:
    """u of one source, float32 [dimension]."""
    if source.u is not None:
        return np.asarray(source.sign * source.u, np.float32)
    if source.q:
        return head.query(source.q, source.weights, source.sign)
    sums = {name: rows.sum(0) for name, rows in source_rows(head, view, source).items()}
    q = {name: np.asarray(total / np.linalg.norm(total), np.float32) for name, total in sums.items()}
    return head.query(q, source.weights, source.sign)


def source_rows(head: Head, view: View, source: Source) -> dict[str, Floats]:
    """a_j e_j,c of a source's items by channel, float64 [items, width]; zeros for items without the channel.

    A channel that none of the items has, or in which they cancel each other out, is left out.
    """
    h = view.h[list(source.positions)]
    rows = {}
    for name in head.names:
        a = np.asarray(source.shares, np.float64) * head.present(h, name)
        one = a[:, None] * h[:, head.block(name)].astype(np.float64)
        if np.linalg.norm(one.sum(0)) > CANCELLED * a.sum():
            rows[name] = one
    return rows


def changed_weights(head: Head, kind: KindWeights, changes: Mapping[str, ChannelChange]) -> KindWeights:
    """`kind` with the caller's changes.

    Raises:
        InvalidArgument: a channel that is not there.
    """
    channels = {name: kind.of(name) for name in head.names}
    for name, change in changes.items():
        if name not in channels:
            raise InvalidArgument(
                f"no channel {name!r}; there are {', '.join(head.names)}", "channel_weights"
            )
        old = channels[name]
        channels[name] = ChannelWeights(
            old.weight if change.weight is None else change.weight,
            old.threshold if change.threshold is None else change.threshold,
            old.imputed_threshold if change.imputed_threshold is None else change.imputed_threshold,
        )
    return KindWeights(channels, kind.behaviour)


class _Lookup:
    """Finds positions of items and notes those that are not there."""

    def __init__(self, collection: Collection, view: View, warnings: list[Warning]) -> None:
        self._collection, self._view, self._notices = collection, view, warnings

    def find(self, item_id: str, field: str) -> int | None:
        position = self._view.position(item_id)
        if position is None:
            message = f"item {item_id!r} is not in collection {self._collection.name!r}; it is passed over"
            self._notices.append(Warning("UNKNOWN_ITEM", message, f"user.{field}"))
            return None
        return position


def _changed(kind: KindWeights, side: Side, head: Head) -> KindWeights:
    return changed_weights(head, kind, side.changes) if side.changes else kind


def _interests(
    head: Head, view: View, past: Mapping[str, tuple[int, float]], kind: KindWeights, most: int
) -> list[list[str]]:
    """Item ids of each interest: clusters by the mean cosine over the channels that both items have."""
    ids = list(past)
    h = view.h[[past[i][0] for i in ids]]
    total = np.zeros((len(ids), len(ids)))
    norm = np.zeros_like(total)
    for name in head.names:
        has = head.present(h, name).astype(np.float64)
        weight = max(kind.of(name).weight, 1e-6)
        e = h[:, head.block(name)].astype(np.float64) * has[:, None]
        total += weight * (e @ e.T)
        norm += weight * np.outer(has, has)
    similarity = np.divide(total, norm, out=np.zeros_like(total), where=norm > 0)
    return [[ids[n] for n in group] for group in cluster(similarity, most)]
