"""One HNSW graph: a node for each distinct vector, and the items behind it.

Items of equal content have equal vectors. As nodes of their own, more of them than a search is deep would only be
linked to each other, and searches that reach them would find nothing else (hnswlib#263).

Y. Malkov, D. Yashunin, "Efficient and robust approximate nearest neighbor search using HNSW graphs", 2016.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hnswlib
import numpy as np

from itemlens_server.fusion.rows import Array, Bools, Ints

M = 16
EF_CONSTRUCTION = 200
# hnswlib searches as deep as the larger of ef and k: with the least ef each search says by k how deep it is.
EF_BY_K = 1
# Unit vectors whose components are the same to 1/STEPS share a node. Differences of rounding (1e-6) between vectors
# of one content disturb a graph as equal vectors do; those of 1e-4 do not.
STEPS = 1024
# Times the depth of a search that one node's items may be candidates.
MOST_OF_NODE = 4
CHUNK = 4096


@dataclass(frozen=True)
class Graph:
    """Nodes are numbered from 0: the items of node n are labels[starts[n] : starts[n + 1]].

    hnsw:   hnswlib's index of the nodes' vectors
    starts: int64 [nodes + 1]
    labels: int64 [items], ascending within a node
    """

    hnsw: Any
    starts: Ints
    labels: Ints

    @staticmethod
    def build(labels: Ints, e: Array) -> Graph:
        """A graph of items: labels [n] ascending, unit vectors e [n, width]."""
        numbers: dict[bytes, int] = {}
        nodes = np.zeros(len(e), np.int64)
        for n, vector in enumerate(e):
            key = hashlib.blake2b(np.rint(vector * STEPS).astype(np.int16), digest_size=16).digest()
            nodes[n] = numbers.setdefault(key, len(numbers))
        _, first = np.unique(nodes, return_index=True)
        hnsw = hnswlib.Index(space="ip", dim=e.shape[1])
        hnsw.init_index(max_elements=len(first), M=M, ef_construction=EF_CONSTRUCTION, random_seed=100)
        hnsw.add_items(e[first], np.arange(len(first)), num_threads=1)
        return Graph._of(hnsw, nodes, labels)

    @staticmethod
    def _of(hnsw: Any, nodes: Ints, labels: Ints) -> Graph:
        """From the node of each of `labels`."""
        hnsw.set_ef(EF_BY_K)
        order = np.argsort(nodes, kind="stable")
        starts = np.searchsorted(nodes[order], np.arange(hnsw.get_current_count() + 1))
        return Graph(hnsw, starts, labels[order])

    def search(self, directions: Array, depth: int, eligible: Callable[[Ints], Bools]) -> list[Ints]:
        """Labels of the items behind the `depth` nearest nodes for each of `directions` [m, width], by dot product.

        eligible: which of given labels may be in the list. It is asked where a node has several items, so that those
        which may not do not stand for the others; of the labels that are returned some may not be eligible.
        """
        wanted = min(depth, len(self.starts) - 1)
        try:
            nodes, _ = self.hnsw.knn_query(directions, k=wanted, num_threads=1)
        except RuntimeError:  # fewer can be reached, where a graph falls into parts
            nodes = np.argsort(-(directions @ self._vectors().T), axis=1)[:, :wanted]
        return [self._items(row, depth, eligible) for row in nodes.astype(np.int64)]

    def _items(self, nodes: Ints, depth: int, eligible: Callable[[Ints], Bools]) -> Ints:
        """Labels of the items behind `nodes`, nearest first, until there are 2 `depth`.

        A node gives at most MOST_OF_NODE times `depth`, and counts as `depth` then: its items are alike here and
        differ in other channels, and the other nodes are not crowded out.
        """
        begins = self.starts[nodes]
        sizes = self.starts[nodes + 1] - begins
        if sizes.max() == 1:
            return self.labels[begins]
        most = MOST_OF_NODE * depth
        for limit in (2 * most, len(self.labels)):  # mostly enough of a large node's first items are eligible
            read = np.minimum(sizes, limit)
            owners, ranks = _numbered(read)
            labels = self.labels[begins[owners] + ranks]
            chosen = eligible(labels)
            counts = np.bincount(owners[chosen], minlength=len(nodes))
            if (counts[read < sizes] >= most).all():
                break
        owners, ranks = _numbered(counts)
        counted = np.minimum(counts, depth)
        room = np.cumsum(counted) - counted < 2 * depth
        return np.asarray(labels[chosen][(ranks < most) & room[owners]])

    def holds(self, labels: Ints, e: Array) -> bool:
        """Whether each of the items, labels [n] and unit vectors e [n, width], is here behind its own vector."""
        order = np.argsort(self.labels)
        at = order[np.minimum(np.searchsorted(self.labels, labels, sorter=order), len(order) - 1)]
        if not np.array_equal(self.labels[at], labels):
            return False
        nodes = np.searchsorted(self.starts, at, side="right") - 1
        vectors = self._vectors()
        return all(
            bool((np.abs(vectors[nodes[n : n + CHUNK]] - e[n : n + CHUNK]) * STEPS <= 2).all())
            for n in range(0, len(nodes), CHUNK)
        )

    def save(self, nodes: Path, items: Path) -> None:
        """Write the graph to `nodes` and what is behind it to `items`.

        Raises:
            OSError: a file was not written whole.
        """
        self.hnsw.save_index(str(nodes))
        if nodes.stat().st_size != self.hnsw.index_file_size():
            # hnswlib does not look whether its writes went well (a full disk).
            raise OSError(f"{nodes} was not written whole")
        owners, _ = _numbered(np.diff(self.starts))
        with items.open("wb") as stream:
            np.save(stream, np.stack([owners, self.labels]))

    @staticmethod
    def load(nodes: Path, items: Path, width: int, count: int) -> Graph:
        """Read what `save` wrote, of `count` nodes of `width` numbers. Files of anything else can crash hnswlib.

        Raises:
            ValueError: the files do not fit together.
        """
        hnsw = hnswlib.Index(space="ip", dim=width)
        hnsw.load_index(str(nodes), max_elements=count)
        owners, labels = np.load(items, allow_pickle=False)
        if hnsw.get_current_count() != count or not np.array_equal(np.unique(owners), np.arange(count)):
            raise ValueError(f"{nodes.name} and {items.name} are of different graphs")
        return Graph._of(hnsw, owners, labels)

    def _vectors(self) -> Array:
        """The nodes' vectors, [nodes, width]: a copy of the graph. `get_items` makes a Python object of each number."""
        (state,) = self.hnsw.__getstate__()
        elements = state["data_level0"].view(np.uint8).reshape(-1, state["size_data_per_element"])
        vectors = elements[:, state["offset_data"] : state["label_offset"]].view(np.float32)
        numbers = elements[:, state["label_offset"] :].view(np.uint64)[:, 0]
        return np.asarray(vectors[np.argsort(numbers)], np.float32)


def _numbered(counts: Ints) -> tuple[Ints, Ints]:
    """For `counts` [n] things of n owners one after the other: the owner of each, and its number with that owner."""
    owners = np.repeat(np.arange(len(counts)), counts)
    return owners, np.arange(len(owners)) - np.repeat(np.cumsum(counts) - counts, counts)
