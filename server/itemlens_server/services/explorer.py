"""Puts items without events in lists, as a collection's settings ask for it, and bounds the lists of each item."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from itemlens_server.fusion import exploration
from itemlens_server.fusion.caps import NO_CAPS, Caps
from itemlens_server.fusion.rows import Bools
from itemlens_server.fusion.scoring import Scorer
from itemlens_server.fusion.weights import State
from itemlens_server.services.results import RecommendedItem
from itemlens_server.storage.collection_settings import Exploration


class Explorer:
    """Draws items for lists. Thread-safe."""

    def __init__(self, explored: Mapping[int, Mapping[str, int]]) -> None:
        """explored: by number of a collection and id, the number of lists that an item was drawn for before."""
        self._lists: defaultdict[int, Counter[str]] = defaultdict(Counter)
        for collection, lists in explored.items():
            self._lists[collection].update(lists)
        self._lock = threading.Lock()

    def explore(
        self,
        collection: int,
        settings: Exploration,
        scorer: Scorer,
        eligible: Bools,
        ranked: Sequence[RecommendedItem],
        random: np.random.Generator,
        caps: Caps = NO_CAPS,
        placed: Sequence[int] = (),
    ) -> list[RecommendedItem]:
        """Return a list with some of its places given to items without events. The items that had them move down, and
        the last ones drop out. eligible: the items that may be in the list, bool [positions]. caps: of the list.
        placed: positions of items that have places besides these."""
        k = len(ranked)
        if not scorer.asking.of_user_alone or scorer.snapshot.tables is None:
            return list(ranked)
        places = exploration.places(k, settings.share, random)
        if not len(places):
            return list(ranked)
        cold = eligible & (scorer.states == State.COLD)
        cold[[*placed, *(item.position for item in ranked[: k - len(places)])]] = False
        free = caps.free(np.flatnonzero(cold), [*placed, *(item.position for item in ranked)], random)
        pool = exploration.pool(free, random)
        if not len(pool):
            return list(ranked)
        scores = np.stack([scorer.scores(n, pool) for n in range(len(scorer.interests))])
        item_ids = scorer.snapshot.view.item_ids
        # In the order in which they are drawn.
        drawn = exploration.order(np.logaddexp.reduce(scores, axis=0), random)
        pool, scores = pool[drawn], scores[:, drawn]
        ids = [item_ids[position] for position in pool.tolist()]
        best = scores.argmax(0)
        explored = [
            RecommendedItem(ids[n], int(pool[n]), float(scores[best[n], n]), int(best[n]), explored=True)
            for n in self._take(collection, ids, len(places), settings.max_lists)
        ]
        return _merged(ranked, explored, places[: len(explored)].tolist())

    def forget(self, collection: int) -> None:
        """Forget a collection that is deleted."""
        with self._lock:
            self._lists.pop(collection, None)

    def _take(self, collection: int, item_ids: Sequence[str], count: int, most: int) -> list[int]:
        """Return the numbers of the first `count` items that are not in enough lists, and count this list for them."""
        taken: list[int] = []
        with self._lock:
            lists = self._lists[collection]
            for n, item_id in enumerate(item_ids):
                if len(taken) == count:
                    break
                if lists[item_id] < most:
                    lists[item_id] += 1
                    taken.append(n)
        return taken


def _merged(
    ranked: Sequence[RecommendedItem], explored: Sequence[RecommendedItem], places: Sequence[int]
) -> list[RecommendedItem]:
    """Return a list as long as `ranked` with the explored items at their places."""
    own = {item.position for item in explored}
    rest: Iterator[RecommendedItem] = (item for item in ranked if item.position not in own)
    at = dict(zip(places, explored, strict=True))
    return [at[n] if n in at else next(rest) for n in range(len(ranked))]
