"""alpha = dot(h, u) + behaviour, and y = topK(alpha)."""

from __future__ import annotations

import math
import secrets
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from threading import Lock

import numpy as np

from itemlens_server.engine.call_context import CallContext
from itemlens_server.errors import InvalidArgument, NotFound, Warning
from itemlens_server.fusion.head import Array
from itemlens_server.fusion.interests import merge
from itemlens_server.fusion.rows import Ints, View
from itemlens_server.services.collection import Collection
from itemlens_server.services.query import HistoryRules, Interest, Resolved, Side, resolve


@dataclass(frozen=True)
class RecommendOptions:
    """What list is asked for. Exactly one of k and top_fraction is given."""

    k: int | None = 10
    top_fraction: float | None = None
    candidates: Sequence[str] = ()
    exclude_seen: bool = True
    exact: bool = False


@dataclass(frozen=True)
class Ranked:
    """One item of a list: its position in the view, its score and which interest it is scored for."""

    item_id: str
    position: int
    score: float
    interest: int


@dataclass(frozen=True)
class Answer:
    """A list with all that explains it later."""

    recommendation_id: str
    collection: Collection
    view: View
    resolved: Resolved
    items: tuple[Ranked, ...]
    eligible: int
    warnings: tuple[Warning, ...] = field(default=())
    user_id: str = ""


class Recommendations:
    """The last `most` answers, for Explain."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._answers: OrderedDict[str, Answer] = OrderedDict()
        self._lock = Lock()

    def add(self, answer: Answer) -> None:
        """Remember an answer, and forget the oldest if there are too many."""
        with self._lock:
            self._answers[answer.recommendation_id] = answer
            while len(self._answers) > self._most:
                self._answers.popitem(last=False)

    def forget(self, collection: str, user_id: str = "") -> None:
        """Forget the answers of a collection ("": of all), or those of them that a user's events went into."""
        with self._lock:
            for key, answer in list(self._answers.items()):
                if collection in ("", answer.collection.name) and user_id in ("", answer.user_id):
                    del self._answers[key]

    def get(self, recommendation_id: str) -> Answer:
        """The answer with this id.

        Raises:
            NotFound: it never was, or was too long ago.
        """
        with self._lock:
            answer = self._answers.get(recommendation_id)
        if answer is None:
            raise NotFound(
                f"recommendation {recommendation_id!r} is not remembered (the last {self._most} are, until their "
                "collection moves or the server stops); explain with the user side instead",
                "recommendation", recommendation_id, "recommendation_id",
            )  # fmt: skip
        return answer


def recommend(
    collection: Collection, side: Side, wanted: RecommendOptions, rules: HistoryRules, *,
    candidates_per_channel: int, max_k: int, call: CallContext,
) -> Answer:  # fmt: skip
    """The best items for `side`.

    Raises:
        InvalidArgument: nothing is asked for, or k or the fraction is out of range.
        NotFound: nothing on the asking side is known, or none of the candidates.
    """
    view = collection.index.view()
    resolved = resolve(collection, view, side, rules)
    warnings = list(resolved.warnings)
    excluded = _positions(view, resolved.seen) if wanted.exclude_seen else np.zeros(0, np.int64)
    own = _own_candidates(collection, view, wanted, warnings)
    eligible = _eligible(view, own, excluded)
    k = min(size(wanted, eligible, max_k), eligible)
    call.check()

    lists, scores = [], []
    for positions, interest in zip(
        _candidates(collection, view, resolved, own, wanted, k, candidates_per_channel, len(excluded)),
        resolved.interests,
        strict=True,
    ):
        positions = positions[~np.isin(positions, excluded)] if len(excluded) else positions
        alpha = score(collection, view, positions, interest)
        best = _top(alpha, k)
        lists.append(positions[best].tolist())
        scores.append(dict(zip(lists[-1], alpha[best].tolist(), strict=True)))
    items = [
        Ranked(view.item_ids[position], position, scores[n][position], n)
        for position, n in merge(lists, [i.weight for i in resolved.interests], k)
    ]
    return Answer(
        secrets.token_hex(12), collection, view.kept(), resolved, tuple(items), eligible, tuple(warnings)
    )


def score(collection: Collection, view: View, positions: Ints, interest: Interest) -> Array:
    """alpha of the items at `positions` for one interest, float32 [len(positions)]."""
    alpha = collection.space.head.score(view.h[positions], interest.u)
    neighbours = interest.neighbours
    if neighbours is not None and interest.behaviour and interest.past:
        follow = neighbours.follow(interest.past)
        if follow is not None:
            rows = collection.index.behaviour_rows(view, neighbours)[positions]
            taken_next = np.where(rows >= 0, follow[rows], np.float32(0))
            alpha = np.asarray(alpha + np.float32(interest.behaviour) * taken_next, np.float32)
    return alpha


def _candidates(
    collection: Collection, view: View, resolved: Resolved, own: Ints | None, wanted: RecommendOptions, k: int,
    per_channel: int, excluded: int,
) -> list[Ints]:  # fmt: skip
    interests = resolved.interests
    if own is not None:
        return [own] * len(interests)
    # Items lie where graphs are dense, words and blends of both do not: the former's neighbours are found with half
    # the depth (30,706 items, recall@10: histories 1.0 at 200, words .98 at 200 and .996 at 400).
    if not any(source.q or source.u is not None for source in interests[0].sources):
        per_channel = -(-per_channel // 2)
    # Beyond a third of the graph a scan is faster than the search, and exact.
    depth = max(per_channel, 2 * k) + excluded
    if wanted.exact or 3 * depth > view.alive_count:
        return [np.flatnonzero(view.alive)] * len(interests)
    head = collection.space.head
    u = np.stack([i.u for i in interests])
    directions = {}
    for name in head.names:
        block = u[:, head.block(name)]
        if block.any():
            norms = np.maximum(np.linalg.norm(block, axis=1, keepdims=True), 1e-12)
            directions[name] = np.asarray(block / norms, np.float32)
    found = collection.index.candidates(view, directions, depth)
    follow = _followers(collection, view, interests[0], depth)
    return [np.union1d(one, follow) for one in found] if len(follow) else found


def _followers(collection: Collection, view: View, interest: Interest, most: int) -> Ints:
    """Positions of the items that B puts highest; the past is the same for every interest."""
    neighbours = interest.neighbours
    follow = neighbours.follow(interest.past) if neighbours is not None and interest.behaviour else None
    if neighbours is None or follow is None:
        return np.zeros(0, np.int64)
    best = _top(follow, most)
    ids = (neighbours.item_ids[row] for row in best if follow[row] > 0)
    return _positions(view, ids)


def _positions(view: View, item_ids: Iterable[str]) -> Ints:
    found = (view.position(i) for i in item_ids)
    return np.unique(np.asarray([p for p in found if p is not None], np.int64))


def _own_candidates(
    collection: Collection, view: View, wanted: RecommendOptions, warnings: list[Warning]
) -> Ints | None:
    if not wanted.candidates:
        return None
    positions = _positions(view, wanted.candidates)
    unknown = [i for i in wanted.candidates if view.position(i) is None]
    for item_id in unknown:
        message = f"candidate {item_id!r} is not in collection {collection.name!r}; it is passed over"
        warnings.append(Warning("UNKNOWN_ITEM", message, "candidate_item_ids"))
    if not len(positions):
        raise NotFound(
            "none of the candidates is in the collection", "item", wanted.candidates[0], "candidate_item_ids"
        )
    return positions[view.alive[positions]]


def _eligible(view: View, own: Ints | None, excluded: Ints) -> int:
    if own is not None:
        return len(np.setdiff1d(own, excluded))
    return view.alive_count - int(view.alive[excluded].sum())


def size(wanted: RecommendOptions, eligible: int, max_k: int) -> int:
    """How many items are wanted of `eligible`.

    Raises:
        InvalidArgument: it is out of range.
    """
    if wanted.top_fraction is not None:
        if not 0 < wanted.top_fraction <= 1:
            raise InvalidArgument(
                f"top_fraction is {wanted.top_fraction}; it must be above 0 and at most 1", "top_fraction"
            )
        # float32 on the wire: 0.1 of 100 must be 10, not 11.
        k = max(1, math.ceil(wanted.top_fraction * eligible * (1 - 1e-6)))
        if k > max_k:
            raise InvalidArgument(
                f"top_fraction makes {k} items of {eligible}, the limit is {max_k}", "top_fraction"
            )
        return k
    assert wanted.k is not None
    if not 1 <= wanted.k <= max_k:
        raise InvalidArgument(f"k is {wanted.k}; it must be 1 to {max_k}", "k")
    return wanted.k


def _top(values: Array, k: int) -> Ints:
    """Numbers of the k largest values, largest first, ties by number."""
    if k <= 0:
        return np.zeros(0, np.int64)
    if k < len(values):
        threshold = np.partition(values, len(values) - k)[len(values) - k]
        chosen = np.flatnonzero(values >= threshold)
    else:
        chosen = np.arange(len(values))
    order = np.argsort(-values[chosen], kind="stable")
    return np.asarray(chosen[order][:k], np.int64)
