"""HNSW graphs over the channels of a collection, in immutable segments.

A segment holds a range of rows: for each channel, one graph of the items that have it and one of the items for which it
is imputed. hnswlib does not allow searches while items are added, so nothing is added to a graph. New rows are searched
exactly until a background build makes a segment of them, which also merges small neighbours (as in an LSM tree).
Deleted rows are dropped from results, and from the graphs at the next merge.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from itemlens_server.durable import publish
from itemlens_server.fusion.head import unit
from itemlens_server.fusion.rows import Array, Bools, Ints
from itemlens_server.index.graph import Graph

log = logging.getLogger(__name__)
MANIFEST = "graphs.json"
# Names in files on disk.
PRESENCES = ("present", "imputed")


@dataclass(frozen=True)
class Block:
    """Position of a channel in h: columns start to stop, then its flags for present and imputed."""

    channel: str
    start: int
    stop: int

    def vectors(self, h: Array, presence: str) -> tuple[Bools, Array]:
        """Return which rows of h [n, dimension] have the channel with this presence, and unit e of those rows."""
        chosen = np.asarray(h[:, self.stop + PRESENCES.index(presence)] > 0.5)
        # An imputed block is r e'; the graph needs unit length.
        return chosen, unit(h[chosen, self.start : self.stop])


@dataclass(frozen=True)
class Segment:
    """Graphs over the rows with labels first to last, by (channel, one of PRESENCES)."""

    first: int
    last: int
    rows: int
    graphs: Mapping[tuple[str, str], Graph]

    def search(
        self, channel: str, directions: Array, depth: int, eligible: Callable[[Ints], Bools]
    ) -> list[Ints]:
        """Return the labels of the nearest rows for each of `directions` [m, width], by dot product with unit e; see
        Graph."""
        nearest: list[list[Ints]] = [[] for _ in directions]
        for presence in PRESENCES:
            graph = self.graphs.get((channel, presence))
            if graph is not None:
                for lists, labels in zip(nearest, graph.search(directions, depth, eligible), strict=True):
                    lists.append(labels)
        return [np.concatenate(lists) if lists else np.zeros(0, np.int64) for lists in nearest]

    def nodes(self, channel: str) -> int:
        """Return the number of nodes of the largest graph of a channel."""
        graphs = (self.graphs.get((channel, presence)) for presence in PRESENCES)
        return max((len(graph.starts) - 1 for graph in graphs if graph is not None), default=0)

    def holds(self, after: int, blocks: Sequence[Block], labels: Ints, h: Array) -> bool:
        """Return whether the graphs hold all rows (labels [n] ascending, h [n, dimension]) after label `after`, up to
        the last.

        They do not if the store was replaced, such as by a backup: rows may have the same labels but other contents.
        """
        own = slice(*np.searchsorted(labels, [after + 1, self.last + 1]))
        for block in blocks:
            for presence in PRESENCES:
                chosen, e = block.vectors(h[own], presence)
                graph = self.graphs.get((block.channel, presence))
                if len(e) and (graph is None or not graph.holds(labels[own][chosen], e)):
                    return False
        return True


def build(labels: Ints, h: Array, blocks: Sequence[Block]) -> Segment:
    """Build a segment of rows: labels [n] ascending, h [n, dimension]."""
    graphs = {}
    for block in blocks:
        for presence in PRESENCES:
            chosen, e = block.vectors(h, presence)
            if len(e):
                graphs[block.channel, presence] = Graph.build(labels[chosen], e)
    return Segment(int(labels[0]), int(labels[-1]), len(labels), graphs)


def plan(segments: Sequence[Segment], alive_labels: Ints, minimum: int) -> tuple[int, int] | None:
    """Choose which segments to replace by one that also covers the new rows: (segments that stay, rows of the new one).

    None while there is too little to do. A segment is replaced if it is less than twice as large as everything after
    it, so that each row is built into a graph a logarithmic number of times. A segment of which 30% is dead is also
    replaced.
    """
    if not len(alive_labels):
        return (0, 0) if segments else None
    bounds = [int(np.searchsorted(alive_labels, s.first)) for s in segments]
    covered = int(np.searchsorted(alive_labels, segments[-1].last, side="right")) if segments else 0
    fresh = len(alive_labels) - covered
    for n, segment in enumerate(segments):
        end = bounds[n + 1] if n + 1 < len(segments) else covered
        if end - bounds[n] < 0.7 * segment.rows:
            return n, len(alive_labels) - bounds[n]
    if fresh < max(minimum, len(alive_labels) // 10):
        return None
    stay, size = len(segments), fresh
    while stay and (covered - bounds[stay - 1]) + fresh < 3 * size:
        stay -= 1
        size = len(alive_labels) - bounds[stay]
    return stay, size


def save(directory: Path, segments: Sequence[Segment], identity: Mapping[str, object]) -> None:
    """Write a snapshot. A crash leaves the old or the new one."""
    new = Path(tempfile.mkdtemp(prefix=directory.name + ".", dir=directory.parent))
    try:
        described = []
        for n, segment in enumerate(segments):
            graphs: list[dict[str, object]] = []
            for (channel, presence), graph in segment.graphs.items():
                nodes, items = new / f"{n}-{len(graphs)}.hnsw", new / f"{n}-{len(graphs)}.npy"
                graph.save(nodes, items)
                graphs.append({
                    "channel": channel, "presence": presence, "count": graph.hnsw.get_current_count(),
                    "nodes": nodes.name, "nodes_sha256": _hash(nodes),
                    "items": items.name, "items_sha256": _hash(items),
                })  # fmt: skip
            described.append(
                {"first": segment.first, "last": segment.last, "rows": segment.rows, "graphs": graphs}
            )
        snapshot = {"identity": identity, "segments": described}
        manifest = {"sha256": _checksum(snapshot), "snapshot": snapshot}
        (new / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
        publish(new, directory)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise


def load(directory: Path, identity: Mapping[str, object], blocks: Sequence[Block]) -> list[Segment]:
    """Read a snapshot of the same `identity`. Return an empty list if it is missing, damaged or of another identity."""
    try:
        manifest = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
        snapshot = manifest["snapshot"]
        # hnswlib does not check what it reads (hnswlib#673), so it gets only files with a matching hash.
        if manifest["sha256"] != _checksum(snapshot):
            raise ValueError(f"{MANIFEST} is damaged")
        if snapshot["identity"] != dict(identity):
            log.info("graphs in %s are of another space; they will be built again", directory)
            return []
        widths = {block.channel: block.stop - block.start for block in blocks}
        segments = []
        for described in snapshot["segments"]:
            graphs = {}
            for g in described["graphs"]:
                for file in ("nodes", "items"):
                    if _hash(directory / g[file]) != g[f"{file}_sha256"]:
                        raise ValueError(f"{g[file]} is damaged")
                graphs[g["channel"], g["presence"]] = Graph.load(
                    directory / g["nodes"], directory / g["items"], widths[g["channel"]], g["count"]
                )
            segments.append(Segment(described["first"], described["last"], described["rows"], graphs))
        return segments
    except FileNotFoundError:
        return []
    except Exception as error:  # derived state can be built again, whatever the error
        log.warning("graphs in %s cannot be used (%s); they will be built again", directory, error)
        return []


def _checksum(snapshot: object) -> str:
    return hashlib.sha256(json.dumps(snapshot, sort_keys=True).encode()).hexdigest()


def _hash(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
