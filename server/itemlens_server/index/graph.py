"""An HNSW graph with a node for each distinct vector. A node stands for all items with its vector.

Items of equal content have equal vectors. If each of them were a node and there were more of them than a search is
deep, they would be linked only to each other, and searches that reach them would find nothing else (hnswlib#263).

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
# hnswlib's search depth is the larger of ef and k. With the smallest ef, k sets the depth of each search.
EF_BY_K = 1
# Unit vectors whose components are equal when rounded to 1/STEPS share a node. Vectors of one content that differ by
# rounding errors (1e-6) disturb a graph as equal vectors do; differences of 1e-4 do not.
STEPS = 1024
# Limit of the candidates from one node, as a multiple of the search depth.
MOST_OF_NODE = 4
CHUNK = 4096


@dataclass(frozen=True)
class Graph:
    """Nodes are numbered from 0. The items of node n are labels[starts[n] : starts[n + 1]].

    hnsw:   hnswlib's index of the nodes' vectors
    starts: int64 [nodes + 1]
    labels: int64 [items], ascending within a node
    """

    hnsw: Any
    starts: Ints
    labels: Ints

    @staticmethod
    def build(labels: Ints, e: Array) -> Graph:
        """Build a graph of items: labels [n] ascending, unit vectors e [n, width]."""
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
        """Return the graph with node nodes[i] for labels[i]."""
        hnsw.set_ef(EF_BY_K)
        order = np.argsort(nodes, kind="stable")
        starts = np.searchsorted(nodes[order], np.arange(hnsw.get_current_count() + 1))
        return Graph(hnsw, starts, labels[order])

    def search(self, directions: Array, depth: int, eligible: Callable[[Ints], Bools]) -> list[Ints]:
        """Return the labels of the items of the `depth` nearest nodes for each of `directions` [m, width], by dot
        product.

        eligible: returns which labels may be in the list. It is called for nodes with several items, so that
        ineligible items do not take the place of others. The returned labels may include ineligible ones.
        """
        wanted = min(depth, len(self.starts) - 1)
        try:
            nodes, _ = self.hnsw.knn_query(directions, k=wanted, num_threads=1)
        except RuntimeError:  # the graph is disconnected, and fewer nodes can be reached
            nodes = np.argsort(-(directions @ self._vectors().T), axis=1)[:, :wanted]
        return [self._items(row, depth, eligible) for row in nodes.astype(np.int64)]

    def _items(self, nodes: Ints, depth: int, eligible: Callable[[Ints], Bools]) -> Ints:
        """Return the labels of the items of `nodes`, nearest first, until there are 2 `depth`.

        A node gives at most MOST_OF_NODE times `depth` items, which count as `depth`: they are equal in this channel
        but differ in others, and must not crowd out the other nodes.
        """
        begins = self.starts[nodes]
        sizes = self.starts[nodes + 1] - begins
        if sizes.max() == 1:
            return self.labels[begins]
        most = MOST_OF_NODE * depth
        for limit in (
            2 * most,
            len(self.labels),
        ):  # usually enough of a large node's first items are eligible
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
        """Return whether the graph has each of the items, labels [n] and unit vectors e [n, width], at its vector."""
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
        """Write the graph to `nodes` and its items to `items`.

        Raises:
            OSError: a file was not written completely.
        """
        self.hnsw.save_index(str(nodes))
        if nodes.stat().st_size != self.hnsw.index_file_size():
            # hnswlib does not check its writes, which fail on a full disk.
            raise OSError(f"{nodes} was not written completely")
        owners, _ = _numbered(np.diff(self.starts))
        with items.open("wb") as stream:
            np.save(stream, np.stack([owners, self.labels]))

    @staticmethod
    def load(nodes: Path, items: Path, width: int, count: int) -> Graph:
        """Read the files of `save`, with `count` nodes of `width` numbers. Other files can crash hnswlib.

        Raises:
            ValueError: the files do not belong together.
        """
        hnsw = hnswlib.Index(space="ip", dim=width)
        hnsw.load_index(str(nodes), max_elements=count)
        owners, labels = np.load(items, allow_pickle=False)
        if hnsw.get_current_count() != count or not np.array_equal(np.unique(owners), np.arange(count)):
            raise ValueError(f"{nodes.name} and {items.name} are of different graphs")
        return Graph._of(hnsw, owners, labels)

    def _vectors(self) -> Array:
        """Return the nodes' vectors, [nodes, width]. `get_items` would make a Python object of each number."""
        (state,) = self.hnsw.__getstate__()
        elements = state["data_level0"].view(np.uint8).reshape(-1, state["size_data_per_element"])
        vectors = elements[:, state["offset_data"] : state["label_offset"]].view(np.float32)
        numbers = elements[:, state["label_offset"] :].view(np.uint64)[:, 0]
        return np.asarray(vectors[np.argsort(numbers)], np.float32)


def _numbered(counts: Ints) -> tuple[Ints, Ints]:
    """Expand `counts` [n]: return the owner of each element, and the number of the element within its owner."""
    owners = np.repeat(np.arange(len(counts)), counts)
    return owners, np.arange(len(owners)) - np.repeat(np.cumsum(counts) - counts, counts)
