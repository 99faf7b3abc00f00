"""What is searched: the rows of a collection, graphs over most of them, and the table of behaviour."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import sparse

from itemlens_server.fusion.head import Head
from itemlens_server.fusion.rows import Array, Ints, Rows, View
from itemlens_server.index import segments as graphs

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Neighbours:
    """B by item: table[j, i] as CSR, and the row of each item."""

    table: sparse.csr_matrix
    index: Mapping[str, int]
    item_ids: Sequence[str]
    sequence_number: int

    def follow(self, past: Mapping[str, float]) -> Array | None:
        """sum_j a_j B_ji for all items of the table, float32 [n]; None where it knows no past item."""
        known = [(self.index[i], a) for i, a in past.items() if i in self.index]
        if not known:
            return None
        total = np.zeros(len(self.item_ids), np.float32)
        t = self.table
        for j, a in known:
            span = slice(t.indptr[j], t.indptr[j + 1])
            total[t.indices[span]] += np.float32(a) * t.data[span]
        return total

    def entry(self, row: int, column: int) -> float:
        """B_ji."""
        span = slice(self.table.indptr[row], self.table.indptr[row + 1])
        found = np.flatnonzero(self.table.indices[span] == column)
        return float(self.table.data[span][found[0]]) if len(found) else 0.0


class Index:
    """The derived state of one collection in one space. One thread writes at a time; any number read."""

    def __init__(
        self,
        blocks: Sequence[graphs.Block],
        dimension: int,
        *,
        directory: Path,
        identity: Mapping[str, object],
        segment_rows: int,
    ) -> None:
        self.blocks = tuple(blocks)
        self.identity = dict(identity)
        self.neighbours: Neighbours | None = None
        self._rows = Rows(dimension)
        self._directory = directory
        self._segment_rows = segment_rows
        self._segments: tuple[graphs.Segment, ...] = ()
        self._behaviour_rows: tuple[Neighbours, Ints] | None = None
        self._building = threading.Lock()

    def append(self, labels: Sequence[int], item_ids: list[str], h: Array) -> None:
        """Add or replace items; they are found by the next search."""
        self._rows.append(np.asarray(labels, np.int64), item_ids, h)

    def remove(self, item_id: str) -> None:
        """Take an item out; the next search does not find it."""
        self._rows.remove(item_id)

    def view(self) -> View:
        """The rows as they are now."""
        return self._rows.view()

    def position(self, item_id: str) -> int | None:
        """Where an item is in a view; None if it is not in the collection."""
        return self._rows.position(item_id)

    def candidates(self, view: View, directions: Mapping[str, Array], k: int) -> list[Ints]:
        """Positions worth scoring for each of m queries, given as [m, width] by channel.

        All rows that are in no graph yet, and from each graph the k nearest to the query's block. Sorted, alive.
        """
        segments = self._segments
        queries = max((len(d) for d in directions.values()), default=1)
        fresh_from = int(np.searchsorted(view.labels, segments[-1].last, side="right")) if segments else 0
        fresh = np.arange(fresh_from, len(view.labels), dtype=np.int64)
        found: list[list[Ints]] = [[] for _ in range(queries)]
        for segment in segments:
            for channel, vectors in directions.items():
                for row, labels in enumerate(segment.search(channel, vectors, k)):
                    found[row].append(labels)
        result = []
        for one in found:
            labels = np.unique(np.concatenate(one)) if one else np.zeros(0, np.int64)
            positions = np.concatenate([view.positions(labels), fresh])
            result.append(positions[view.alive[positions]])
        return result

    def behaviour_rows(self, view: View, neighbours: Neighbours) -> Ints:
        """Row of B for each position of `view`, -1 where B does not know the item."""
        known = self._behaviour_rows
        rows = known[1] if known is not None and known[0] is neighbours else np.zeros(0, np.int64)
        if len(rows) < len(view.labels):
            more = [neighbours.index.get(i, -1) for i in view.item_ids[len(rows) : len(view.labels)]]
            rows = np.concatenate([rows, np.asarray(more, np.int64)])
            self._behaviour_rows = (neighbours, rows)
        return rows[: len(view.labels)]

    def maintain(self) -> bool:
        """Build graphs over fresh rows if there are enough, and write the snapshot. Whether anything was done."""
        if not self._building.acquire(blocking=False):
            return False
        try:
            view = self.view()
            alive = np.flatnonzero(view.alive)
            work = graphs.plan(self._segments, view.labels[alive], self._segment_rows)
            if work is None:
                return False
            stay, size = work
            kept = list(self._segments[:stay])
            if size:
                chosen = alive[len(alive) - size :]
                kept.append(graphs.build(view.labels[chosen], view.h[chosen], self.blocks))
            self._segments = tuple(kept)
            try:
                graphs.save(self._directory, kept, self.identity)
            except OSError as error:  # derived state: without the snapshot the next start builds them again
                log.warning("graphs cannot be written to %s: %s", self._directory, error)
            return True
        finally:
            self._building.release()

    def load_graphs(self) -> None:
        """Take the graphs of the snapshot, if it is of this space, whole, and has the rows that it should have."""
        segments = graphs.load(self._directory, self.identity)
        view = self.view()
        if all(graphs.covers(s, self.blocks, view.labels[view.alive], view.h[view.alive]) for s in segments):
            self._segments = tuple(segments)
        else:
            log.warning("graphs in %s lack rows of the store: they are built again", self._directory)

    def graph_rows(self) -> int:
        """How many rows are in graphs."""
        return sum(s.rows for s in self._segments)


def block_list(head: Head) -> list[graphs.Block]:
    """Where the channels of a head lie in h."""
    return [graphs.Block(name, head.block(name).start, head.block(name).stop) for name in head.names]
