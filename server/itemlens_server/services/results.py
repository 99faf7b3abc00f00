"""The result of a recommendation, and the latest ones, remembered for Explain."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import numpy as np

from itemlens_server.errors import NotFound, Warning, quoted
from itemlens_server.fusion.kept import KeptAsking
from itemlens_server.fusion.parts import Part
from itemlens_server.fusion.query import Asking, Interest
from itemlens_server.fusion.rows import Array, Ints, View
from itemlens_server.services.collection import Collection

Bytes = np.ndarray[Any, np.dtype[np.int8]]

# Of a remembered result beside its bytes and rows: its id, objects, headers. Of each row: key and header.
OVERHEAD_BYTES = 1000
ROW_OVERHEAD_BYTES = 200


@dataclass(frozen=True)
class RecommendedItem:
    """An item that is scored, for a list or to be explained: where it is in the snapshot, its score, and the number
    of the interest it is scored for."""

    item_id: str
    position: int
    score: float
    interest: int
    parts: tuple[Part, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class RecommendResult:
    """A list with all that explains it: what was asked, over what."""

    recommendation_id: str
    collection: Collection
    asking: Asking
    items: tuple[RecommendedItem, ...]
    eligible: int
    warnings: tuple[Warning, ...] = field(default=())

    @property
    def interests(self) -> tuple[Interest, ...]:
        """The interests that share the list."""
        return self.asking.interests


@dataclass(frozen=True)
class KeptResult:
    """What Explain needs of a result. Of its items: labels int64, scores float32, numbers of interests int8."""

    asking: KeptAsking
    item_ids: tuple[str, ...]
    labels: Ints
    scores: Array
    interests: Bytes

    @staticmethod
    def of(result: RecommendResult) -> KeptResult:
        """What to keep of `result`: parts and reasons are worked out again."""
        items, view = result.items, result.asking.snapshot.view
        item_ids = tuple(item.item_id for item in items)
        return KeptResult(
            KeptAsking.of(result.asking, item_ids),
            item_ids,
            view.labels[np.asarray([item.position for item in items], np.int64)],
            np.asarray([item.score for item in items], np.float32),
            np.asarray([item.interest for item in items], np.int8),
        )


@dataclass(eq=False)
class PendingResult:
    """A recommendation that is being worked out.

    forgotten: what it has read may have been deleted. compacted: rows that it has seen may have left the collection.
    """

    collection: Collection
    user_id: str
    forgotten: bool = False
    compacted: bool = False


@dataclass(eq=False)
class RememberedResult:
    """A result as it is remembered.

    data: the KeptResult as bytes, so that their number is the memory that it takes, and none of the collection's
          arrays stays alive by it.
    past: labels of the rows that it is made of, int64.
    rows: h by label of those that have left the collection since, float32 [dimension] each.
    size: all of it, in bytes.
    """

    recommendation_id: str
    collection: Collection
    user_id: str
    data: bytes
    past: Ints
    rows: dict[int, Array]
    size: int

    @staticmethod
    def of(result: RecommendResult, user_id: str) -> RememberedResult:
        """What to remember of `result`."""
        kept = KeptResult.of(result)
        data, past = pickle.dumps(kept, pickle.HIGHEST_PROTOCOL), kept.asking.labels
        size = OVERHEAD_BYTES + len(data) + past.nbytes
        return RememberedResult(result.recommendation_id, result.collection, user_id, data, past, {}, size)

    def take(self, view: View, positions: Iterable[int]) -> int:
        """Copy rows, which leave the collection; by how many bytes the result has grown."""
        rows = {int(view.labels[position]): view.h[position].copy() for position in positions}
        self.rows.update(rows)
        grown = sum(int(h.nbytes) + ROW_OVERHEAD_BYTES for h in rows.values())
        self.size += grown
        return grown

    def kept(self) -> KeptResult:
        """What `data` holds."""
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
        """Around the work on a result, from before anything of the user or the collection is read."""
        pending = PendingResult(collection, user_id)
        with self._lock:
            self._pending.add(pending)
        try:
            yield pending
        finally:
            with self._lock:
                self._pending.remove(pending)

    def add(self, result: RecommendResult, pending: PendingResult) -> None:
        """Remember a result, unless what it is made of was deleted meanwhile; and forget the oldest for it."""
        remembered, view = RememberedResult.of(result, pending.user_id), result.asking.snapshot.view
        with self._lock:
            if pending.compacted:
                remembered.take(view, view.positions(remembered.past))
            if pending.forgotten or remembered.size > self._max_bytes:
                return
            self._results[result.recommendation_id] = remembered
            self.bytes += remembered.size
            self._shrink()

    def forget(self, collection: str, user_id: str = "") -> None:
        """Forget the results of a collection ("": of all), or those of them that a user's events went into; those that
        are pending, too."""

        def concerns(result: PendingResult | RememberedResult) -> bool:
            return collection in ("", result.collection.name) and user_id in ("", result.user_id)

        with self._lock:
            for pending in self._pending:
                pending.forgotten |= concerns(pending)
            for key, result in list(self._results.items()):
                if concerns(result):
                    self.bytes -= self._results.pop(key).size

    def before_compaction(self, collection: Collection, view: View) -> None:
        """Copy the dead rows of `view` that results are made of: `collection` is about to drop them."""
        with self._lock:
            for pending in self._pending:
                pending.compacted |= pending.collection is collection
            newest_first = [r for r in reversed(self._results.values()) if r.collection is collection]
        dead = np.flatnonzero(~view.alive)
        going = dict(zip(view.labels[dead].tolist(), dead.tolist(), strict=True))
        copied = 0
        for result in newest_first:
            if copied > self._max_bytes:
                break  # what is older is forgotten below
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
            NotFound: it never was, or was too long ago.
        """
        with self._lock:
            result = self._results.get(recommendation_id)
        if result is None:
            raise NotFound(
                f"recommendation {quoted(recommendation_id)} is not remembered (the latest are, as many as fit in "
                "recommendation_memory_bytes, until their collection moves or the server stops); explain with the user "
                "side instead",
                "recommendation", recommendation_id, "recommendation_id",
            )  # fmt: skip
        return result

    def _shrink(self) -> None:
        while self.bytes > self._max_bytes:
            _, oldest = self._results.popitem(last=False)
            self.bytes -= oldest.size
