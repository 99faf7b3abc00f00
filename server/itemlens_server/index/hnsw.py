"""HNSW graphs over most of the rows, and exact search of the rows that are in no graph yet."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence

import numpy as np

from itemlens_server.derived import DerivedFolder
from itemlens_server.fusion.head import Head
from itemlens_server.fusion.rows import Bools, Ints, View
from itemlens_server.index import segments
from itemlens_server.index.candidate_index import CandidateRequest, Candidates

log = logging.getLogger(__name__)

# Rows that a scan scores in the time in which a graph finds one candidate.
SCANNED_PER_CANDIDATE = 64


class HnswIndex:
    """See CandidateIndex. Consists of immutable segments."""

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
        """`name`: name of the snapshot in `folder`."""
        self._blocks = tuple(blocks)
        self._identity = dict(identity)
        self._folder = folder
        self._name = name
        self._segment_rows = segment_rows
        self._candidates_per_channel = candidates_per_channel
        self._segments: tuple[segments.Segment, ...] = ()
        self._building = threading.Lock()

    def _depth(self, request: CandidateRequest) -> int | None:
        """Return the search depth of each graph; None where a scan of all rows costs less, and is exact."""
        per_channel = self._candidates_per_channel
        # Items lie where graphs are dense; queries in words and mixed queries do not. Half the depth is enough to find
        # the neighbours of items (30,706 items, recall@10: histories 1.0 at 200, words 0.98 at 200 and 0.996 at 400).
        if request.from_items:
            per_channel = -(-per_channel // 2)
        depth = max(per_channel, 2 * request.k)
        return None if self._scan_is_better(request, depth) else depth

    def search(self, view: View, request: CandidateRequest) -> Candidates:
        """Return all rows that are in no graph yet, and the nearest rows to the query's block from each graph.

        Rows that the mask excludes do not count: where they leave too few, the graphs are searched more deeply.
        """
        depth = self._depth(request)
        built = self._segments
        fresh_from = int(np.searchsorted(view.labels, built[-1].last, side="right")) if built else 0
        fresh = np.arange(fresh_from, len(view.labels), dtype=np.int64)
        wanted = min(depth or 0, int(np.count_nonzero(request.mask[:fresh_from])))
        while depth is not None:
            found = self._nearest(built, view, request, depth)
            if all(len(positions) >= wanted for positions in found):
                fresh = fresh[request.mask[fresh]]
                return Candidates([np.concatenate([positions, fresh]) for positions in found], depth)
            depth *= 4
            if self._scan_is_better(request, depth):
                break
        return Candidates([np.flatnonzero(request.mask)] * request.interests, None)

    def _nearest(
        self, built: Sequence[segments.Segment], view: View, request: CandidateRequest, depth: int
    ) -> list[Ints]:
        """Return the positions of the nearest rows in graphs that are in the mask, for each interest."""
        labels: list[list[Ints]] = [[] for _ in range(request.interests)]

        def eligible(labels: Ints) -> Bools:
            positions = np.minimum(np.searchsorted(view.labels, labels), len(view.labels) - 1)
            return np.asarray((view.labels[positions] == labels) & request.mask[positions])

        for segment in built:
            for channel, directions in request.directions.items():
                for query, nearest in enumerate(segment.search(channel, directions, depth, eligible)):
                    labels[query].append(nearest)
        found = []
        for lists in labels:
            nearest = np.unique(np.concatenate(lists)) if lists else np.zeros(0, np.int64)
            positions = view.positions(nearest)
            found.append(positions[request.mask[positions]])
        return found

    def _scan_is_better(self, request: CandidateRequest, depth: int) -> bool:
        rows = int(np.count_nonzero(request.mask))
        return rows < SCANNED_PER_CANDIDATE * depth * max(len(request.directions), 1)

    def build(self, view: View) -> bool:
        """Build graphs over new rows if there are enough, and write the snapshot."""
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
            except OSError as error:  # derived state: the next start builds it again
                log.warning("graphs cannot be written to %s: %s", self._folder.path, error)
            return True
        finally:
            self._building.release()

    def load(self, view: View, last_label: int) -> None:
        """See CandidateIndex."""
        directory = self._folder.path / self._name
        loaded = segments.load(directory, self._identity, self._blocks)
        alive = slice(None) if view.alive.all() else view.alive  # spare a copy of h, which may have gigabytes
        labels, h = view.labels[alive], view.h[alive]
        kept: list[segments.Segment] = []
        for segment in loaded:
            # A label above the store's last one will be assigned to another row later.
            after = kept[-1].last if kept else 0
            if segment.last > last_label or not segment.holds(after, self._blocks, labels, h):
                log.warning(
                    "graphs in %s are of other items than the store's; they will be built again", directory
                )
                break
            kept.append(segment)
        self._segments = tuple(kept)

    def graph_rows(self) -> int:
        """Return the number of rows in graphs."""
        return sum(segment.rows for segment in self._segments)


def block_list(head: Head) -> list[segments.Block]:
    """Return the positions of the channels of a head in h."""
    return [segments.Block(name, head.block(name).start, head.block(name).stop) for name in head.names]
