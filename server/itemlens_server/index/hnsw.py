"""HNSW graphs over most of the rows, and an exact search of those that are in none yet."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence

import numpy as np

from itemlens_server.derived import DerivedFolder
from itemlens_server.fusion.head import Head
from itemlens_server.fusion.rows import Bools, Ints, View
from itemlens_server.index import segments
from itemlens_server.index.candidate_index import CandidateRequest

log = logging.getLogger(__name__)


class HnswIndex:
    """See CandidateIndex. Made of segments that never change once built."""

    def __init__(
        self,
        blocks: Sequence[segments.Block],
        *,
        folder: DerivedFolder,
        name: str,
        identity: Mapping[str, object],
        segment_rows: int,
        candidates_per_channel: int,
    ) -> None:
        """`name`: of the snapshot in `folder`."""
        self._blocks = tuple(blocks)
        self._identity = dict(identity)
        self._folder = folder
        self._name = name
        self._segment_rows = segment_rows
        self._candidates_per_channel = candidates_per_channel
        self._segments: tuple[segments.Segment, ...] = ()
        self._building = threading.Lock()

    def depth(self, view: View, request: CandidateRequest) -> int | None:
        """How deep each graph is searched: deeper by as many rows as the mask takes out of a list."""
        per_channel = self._candidates_per_channel
        # Items lie where graphs are dense, words and blends of both do not: the former's neighbours are found with half
        # the depth (30,706 items, recall@10: histories 1.0 at 200, words .98 at 200 and .996 at 400).
        if request.from_items:
            per_channel = -(-per_channel // 2)
        masked_out = view.alive_count - int(np.count_nonzero(request.mask))
        depth = max(per_channel, 2 * request.k) + masked_out
        # Beyond a third of the graph a scan is faster than the search, and exact.
        return None if 3 * depth > view.alive_count else depth

    def search(self, view: View, request: CandidateRequest) -> list[Ints]:
        """All rows that are in no graph yet, and from each graph the nearest to the query's block."""
        depth = self.depth(view, request)
        if depth is None:
            return [np.flatnonzero(request.mask)] * request.interests
        built = self._segments
        fresh_from = int(np.searchsorted(view.labels, built[-1].last, side="right")) if built else 0
        fresh = np.arange(fresh_from, len(view.labels), dtype=np.int64)
        labels: list[list[Ints]] = [[] for _ in range(request.interests)]

        def eligible(labels: Ints) -> Bools:
            positions = np.minimum(np.searchsorted(view.labels, labels), len(view.labels) - 1)
            return np.asarray((view.labels[positions] == labels) & request.mask[positions])

        for segment in built:
            for channel, directions in request.directions.items():
                for query, nearest in enumerate(segment.search(channel, directions, depth, eligible)):
                    labels[query].append(nearest)
        candidates = []
        for nearest_lists in labels:
            nearest = np.unique(np.concatenate(nearest_lists)) if nearest_lists else np.zeros(0, np.int64)
            positions = np.concatenate([view.positions(nearest), fresh])
            candidates.append(positions[request.mask[positions]])
        return candidates

    def build(self, view: View) -> bool:
        """Build graphs over fresh rows if there are enough, and write the snapshot."""
        if not self._building.acquire(blocking=False):
            return False
        try:
            alive = np.flatnonzero(view.alive)
            work = segments.plan(self._segments, view.labels[alive], self._segment_rows)
            if work is None:
                return False
            stay, size = work
            kept = list(self._segments[:stay])
            if size:
                chosen = alive[len(alive) - size :]
                kept.append(segments.build(view.labels[chosen], view.h[chosen], self._blocks))
            self._segments = tuple(kept)
            try:
                self._folder.write(lambda path: segments.save(path / self._name, kept, self._identity))
            except OSError as error:  # derived state: without the snapshot the next start builds them again
                log.warning("graphs cannot be written to %s: %s", self._folder.path, error)
            return True
        finally:
            self._building.release()

    def load(self, view: View, last_label: int) -> None:
        """See CandidateIndex."""
        directory = self._folder.path / self._name
        loaded = segments.load(directory, self._identity, self._blocks)
        labels, h = view.labels[view.alive], view.h[view.alive]
        kept: list[segments.Segment] = []
        for segment in loaded:
            # A row that the store has yet to number would be taken for the one of the graph.
            after = kept[-1].last if kept else 0
            if segment.last > last_label or not segment.holds(after, self._blocks, labels, h):
                log.warning(
                    "graphs in %s are of other items than the store's: they are built again", directory
                )
                break
            kept.append(segment)
        self._segments = tuple(kept)

    def graph_rows(self) -> int:
        """How many rows are in graphs."""
        return sum(segment.rows for segment in self._segments)


def block_list(head: Head) -> list[segments.Block]:
    """Where the channels of a head lie in h."""
    return [segments.Block(name, head.block(name).start, head.block(name).stop) for name in head.names]
