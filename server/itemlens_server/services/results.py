"""The result of a recommendation, and the latest results, kept for Explain."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import numpy as np

from itemlens_server.attributes.facets import Facet
from itemlens_server.errors import NotFound, Warning, quoted
from itemlens_server.fusion.kept import KeptAsking
from itemlens_server.fusion.parts import Part
from itemlens_server.fusion.query import Asking
from itemlens_server.fusion.rows import Array, Ints, View
from itemlens_server.fusion.sources import Interest
from itemlens_server.services.collection import Collection
from itemlens_server.storage.rules import BLOCK, Rule

Bytes = np.ndarray[Any, np.dtype[np.int8]]

# Memory of a kept result besides its bytes and rows (id, objects, headers), and of each row (key and header).
OVERHEAD_BYTES = 1000
ROW_OVERHEAD_BYTES = 200


@dataclass(frozen=True)
class RecommendedItem:
    """A scored item, for a list or an explanation: its position in the snapshot, its score, and the index of the
    interest of the score.

    explored: it has no events, and is in the list to learn about it
    attributes: those that were asked for and that it has, as JSON values
    others: ids of the other items of its group or of equal content, if the list has one for all of them
    rank: its place by score among those of its interest, from 1; 0 if nothing but the score decides
    rules: names of the rules that placed it
    """

    item_id: str
    position: int
    score: float
    interest: int
    parts: tuple[Part, ...] = ()
    reason: str = ""
    probability: float | None = None
    explored: bool = False
    attributes: Mapping[str, Any] = field(default_factory=dict)
    others: tuple[str, ...] = ()
    rank: int = 0
    rules: tuple[str, ...] = ()


@dataclass(frozen=True)
class ListChange:
    """What was done to a list besides sorting it by score. The fields are those of the proto's ListChange."""

    items: int
    attribute: str = ""
    most: int = 0
    rule: str = ""


@dataclass(frozen=True)
class RecommendResult:
    """A list, with the query and the snapshot that explain it. shifts: see `Scorer`.

    says_wanted: whether anything is known of what the user wants; else the list is that of the prior
    changes: what was done to the list besides sorting it by score
    rules: the rules that were active
    """

    recommendation_id: str
    collection: Collection
    asking: Asking
    shifts: tuple[float, ...]
    items: tuple[RecommendedItem, ...]
    eligible: int
    warnings: tuple[Warning, ...] = field(default=())
    says_wanted: bool = True
    changes: tuple[ListChange, ...] = ()
    facets: tuple[Facet, ...] = ()
    rules: tuple[Rule, ...] = ()

    @property
    def interests(self) -> tuple[Interest, ...]:
        """The interests that share the list."""
        return self.asking.interests


@dataclass(frozen=True)
class KeptResult:
    """The data of a result that Explain needs. Of its items: labels int64, scores float32, interests int8.

    placed_by: names of the rules that placed an item, by id
    """

    asking: KeptAsking
    shifts: tuple[float, ...]
    item_ids: tuple[str, ...]
    labels: Ints
    scores: Array
    interests: Bytes
    placed_by: Mapping[str, tuple[str, ...]]

    @staticmethod
    def of(result: RecommendResult) -> KeptResult:
        """The data to keep of `result`. Parts and reasons are not kept; they are computed again."""
        items, view = result.items, result.asking.snapshot.view
        item_ids = tuple(item.item_id for item in items)
        return KeptResult(
            KeptAsking.of(result.asking, item_ids),
            result.shifts,
            item_ids,
            view.labels[np.asarray([item.position for item in items], np.int64)],
            np.asarray([item.score for item in items], np.float32),
            np.asarray([item.interest for item in items], np.int8),
            {item.item_id: item.rules for item in items if item.rules},
        )


@dataclass(eq=False)
class PendingResult:
    """A recommendation during its computation.

    forgotten: data that it has read may have been deleted. compacted: rows that it has read may have been dropped.
    """

    collection: Collection
    user_id: str
    forgotten: bool = False
    compacted: bool = False


@dataclass(eq=False)
class RememberedResult:
    """A kept result.

    data: the KeptResult as bytes, so that its memory is known, and it does not keep the collection's arrays alive.
    past: labels of the rows that the query was built from, int64.
    rows: h by label of those rows that the collection has dropped since, float32 [dimension] each.
    size: total size in bytes.
    blocking: the rules that blocked items. Results share them with the collection's settings, so they are not counted.
    """

    recommendation_id: str
    collection: Collection
    user_id: str
    data: bytes
    past: Ints
    rows: dict[int, Array]
    size: int
    blocking: tuple[Rule, ...] = ()

    @staticmethod
    def of(result: RecommendResult, user_id: str) -> RememberedResult:
        """The kept form of `result`."""
        kept = KeptResult.of(result)
        data, past = pickle.dumps(kept, pickle.HIGHEST_PROTOCOL), kept.asking.labels
        size = OVERHEAD_BYTES + len(data) + past.nbytes
        blocking = tuple(rule for rule in result.rules if rule.kind == BLOCK)
        return RememberedResult(
            result.recommendation_id, result.collection, user_id, data, past, {}, size, blocking
        )

    def take(self, view: View, positions: Iterable[int]) -> int:
        """Copy rows that the collection is about to drop. Return the growth in bytes."""
        rows = {int(view.labels[position]): view.h[position].copy() for position in positions}
        self.rows.update(rows)
        grown = sum(int(h.nbytes) + ROW_OVERHEAD_BYTES for h in rows.values())
        self.size += grown
        return grown

    def kept(self) -> KeptResult:
        """The result in `data`."""
        kept: KeptResult = pickle.loads(self.data)  # from this process, never from outside
        return kept


class RecentResults:
    """The latest results, as many as fit in `max_bytes`. Thread-safe."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._results: OrderedDict[str, RememberedResult] = OrderedDict()
        self._pending: set[PendingResult] = set()
        self._lock = Lock()
        self.bytes = 0

    @contextmanager
    def pending(self, collection: Collection, user_id: str) -> Iterator[PendingResult]:
        """Context of the computation of a result. Enter it before any data of the user or the collection is read."""
        pending = PendingResult(collection, user_id)
        with self._lock:
            self._pending.add(pending)
        try:
            yield pending
        finally:
            with self._lock:
                self._pending.remove(pending)

    def add(self, result: RecommendResult, pending: PendingResult) -> None:
        """Keep a result, unless data that it was made from was deleted meanwhile. Drop the oldest to make room."""
        if not self._max_bytes:
            return
        remembered, view = RememberedResult.of(result, pending.user_id), result.asking.snapshot.view
        with self._lock:
            if pending.compacted:
                remembered.take(view, view.positions(remembered.past))
            if pending.forgotten or remembered.size > self._max_bytes:
                return
            self._results[result.recommendation_id] = remembered
            self.bytes += remembered.size
            self._shrink()

    def unless_forgotten(self, pending: PendingResult, keep: Callable[[], None]) -> None:
        """Run `keep`, unless data that the result was made from was deleted meanwhile. `forget` waits for its end."""
        with self._lock:
            if not pending.forgotten:
                keep()

    def forget(self, collection: str, user_id: str = "") -> None:
        """Drop the results of a collection ("": of all collections), pending ones included. With `user_id`: only those
        that used the user's events."""

        def concerns(result: PendingResult | RememberedResult) -> bool:
            return collection in ("", result.collection.name) and user_id in ("", result.user_id)

        with self._lock:
            for pending in self._pending:
                pending.forgotten |= concerns(pending)
            for key, result in list(self._results.items()):
                if concerns(result):
                    self.bytes -= self._results.pop(key).size

    def before_compaction(self, collection: Collection, view: View) -> None:
        """Copy the dead rows of `view` that results were made from, because `collection` is about to drop them."""
        with self._lock:
            for pending in self._pending:
                pending.compacted |= pending.collection is collection
            newest_first = [r for r in reversed(self._results.values()) if r.collection is collection]
        dead = np.flatnonzero(~view.alive)
        going = dict(zip(view.labels[dead].tolist(), dead.tolist(), strict=True))
        copied = 0
        for result in newest_first:
            if copied > self._max_bytes:
                break  # older results are dropped below
            positions = [going[label] for label in result.past.tolist() if label in going]
            with self._lock:
                if positions and result.recommendation_id in self._results:
                    grown = result.take(view, positions)
                    self.bytes += grown
                    copied += grown
        with self._lock:
            self._shrink()

    def get(self, recommendation_id: str) -> RememberedResult:
        """The result with this id.

        Raises:
            NotFound: there is no such result, or it was dropped.
        """
        with self._lock:
            result = self._results.get(recommendation_id)
        if result is None:
            raise unknown(recommendation_id)
        return result

    def _shrink(self) -> None:
        while self.bytes > self._max_bytes:
            _, oldest = self._results.popitem(last=False)
            self.bytes -= oldest.size


def unknown(recommendation_id: str) -> NotFound:
    """The error for a recommendation that is not kept, or not for the caller."""
    return NotFound(
        f"recommendation {quoted(recommendation_id)} is not kept (the server keeps the latest that fit in "
        "recommendation_memory_bytes, until their collection moves or it stops); explain with the user side "
        "instead",
        "recommendation", recommendation_id, "recommendation_id",
    )  # fmt: skip
