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
from itemlens_server.index.candidate_index import CandidateRequest, Candidates, IndexDescription

log = logging.getLogger(__name__)

# Rows that a scan scores in the time in which a graph finds one candidate (100,000 items, 644 numbers each).
SCANNED_PER_CANDIDATE = 24


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

    def search(self, view: View, request: CandidateRequest) -> Candidates:
        """Return all rows that are in no graph yet, and the nearest rows to the query's block from each graph.

        The graphs are searched as deeply as it takes to find enough rows of the mask: at first as if it took out any
        rows, and more deeply where it takes out the nearest ones.
        """
        wanted, rows = self._wanted(request), int(np.count_nonzero(request.mask))
        depth = -(-wanted * view.alive_count // max(rows, 1))
        built = self._segments
        fresh_from = int(np.searchsorted(view.labels, built[-1].last, side="right")) if built else 0
        enough = min(wanted, int(np.count_nonzero(request.mask[:fresh_from]))) / 2
        while not self._scan_is_better(request, rows, depth):
            found, fewest = self._nearest(built, view, request, depth)
            if min(fewest, *map(len, found)) >= enough:
                fresh = fresh_from + np.flatnonzero(request.mask[fresh_from:])
                return Candidates([np.concatenate([positions, fresh]) for positions in found], depth)
            depth *= 4
        return Candidates([np.flatnonzero(request.mask)] * request.interests, None)

    def _wanted(self, request: CandidateRequest) -> int:
        """Return how many candidates a channel is to give."""
        per_channel = self._candidates_per_channel
        # Items lie where graphs are dense; queries in words and mixed queries do not. Half the depth is enough to find
        # the neighbours of items (30,706 items, recall@10: histories 1.0 at 200, words 0.98 at 200 and 0.996 at 400).
        if request.from_items:
            per_channel = -(-per_channel // 2)
        return max(per_channel, 2 * request.k)

    def _nearest(
        self, built: Sequence[segments.Segment], view: View, request: CandidateRequest, depth: int
    ) -> tuple[list[Ints], int]:
        """Return the positions of the nearest rows in graphs that are in the mask, for each interest, and the fewest
        that a channel gave an interest, of the channels that have more."""

        def eligible(labels: Ints) -> Bools:
            positions = np.minimum(np.searchsorted(view.labels, labels), len(view.labels) - 1)
            return np.asarray((view.labels[positions] == labels) & request.mask[positions])

        found: list[list[Ints]] = [[np.zeros(0, np.int64)] for _ in range(request.interests)]
        fewest = len(view.labels)
        for channel, directions in request.directions.items():
            nearest = [segment.search(channel, directions, depth, eligible) for segment in built]
            has_more = any(segment.nodes(channel) > depth for segment in built)
            for query, own in enumerate(found):
                labels = np.unique(np.concatenate([lists[query] for lists in nearest])) if built else own[0]
                positions = view.positions(labels)
                own.append(positions[request.mask[positions]])
                if has_more:
                    fewest = min(fewest, len(own[-1]))
        return [np.unique(np.concatenate(own)) for own in found], fewest

    def _scan_is_better(self, request: CandidateRequest, rows: int, depth: int) -> bool:
        """Whether it costs less to score all rows of the mask, which is exact. rows: their number"""
        return rows < SCANNED_PER_CANDIDATE * depth * max(len(request.directions), 1)

    def describe(self) -> IndexDescription:
        """See CandidateIndex."""
        built = self._segments
        return IndexDescription(len(built), sum(segment.rows for segment in built))

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
