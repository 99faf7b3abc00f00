"""The result of a recommendation, and the last ones, remembered for Explain."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field, replace
from threading import Lock

from itemlens_server.errors import NotFound, Warning, quoted
from itemlens_server.fusion.parts import Part
from itemlens_server.fusion.query import Asking, Interest
from itemlens_server.services.collection import Collection


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
    """A list with all that explains it later: what was asked, over what."""

    recommendation_id: str
    collection: Collection
    asking: Asking
    items: tuple[RecommendedItem, ...]
    eligible: int
    warnings: tuple[Warning, ...] = field(default=())
    user_id: str = ""

    def kept(self) -> RecommendResult:
        """The same for explaining later, which works out parts and reasons again."""
        items = tuple(replace(item, parts=(), reason="") for item in self.items)
        return replace(self, asking=self.asking.kept(), items=items)

    @property
    def interests(self) -> tuple[Interest, ...]:
        """The interests that share the list."""
        return self.asking.interests


class RecentResults:
    """The last `most` results."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._results: OrderedDict[str, RecommendResult] = OrderedDict()
        self._lock = Lock()

    def add(self, result: RecommendResult) -> None:
        """Remember a result, and forget the oldest if there are too many."""
        with self._lock:
            self._results[result.recommendation_id] = result
            while len(self._results) > self._most:
                self._results.popitem(last=False)

    def forget(self, collection: str, user_id: str = "") -> None:
        """Forget the results of a collection ("": of all), or those of them that a user's events went into."""
        with self._lock:
            for key, result in list(self._results.items()):
                if collection in ("", result.collection.name) and user_id in ("", result.user_id):
                    del self._results[key]

    def get(self, recommendation_id: str) -> RecommendResult:
        """The result with this id.

        Raises:
            NotFound: it never was, or was too long ago.
        """
        with self._lock:
            result = self._results.get(recommendation_id)
        if result is None:
            raise NotFound(
                f"recommendation {quoted(recommendation_id)} is not remembered (the last {self._most} are, until their "
                "collection moves or the server stops); explain with the user side instead",
                "recommendation", recommendation_id, "recommendation_id",
            )  # fmt: skip
        return result
