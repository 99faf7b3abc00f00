"""HNSW graphs over the channels of a collection, in segments that never change once built.

A segment holds a range of rows: for each channel one graph of the items that have it and one of those for which it
is imputed. hnswlib must not be searched while it is added to, so nothing is added: new rows are searched exactly
until a background build makes a segment of them, and small neighbours are merged on the way (as in an LSM tree).
Deleted rows are dropped from results, and from the graphs at the next merge.

Y. Malkov, D. Yashunin, "Efficient and robust approximate nearest neighbor search using HNSW graphs", 2016.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hnswlib
import numpy as np

from itemlens_server.durable import publish
from itemlens_server.fusion.head import unit
from itemlens_server.fusion.rows import Array, Ints

log = logging.getLogger(__name__)
M = 16
EF_CONSTRUCTION = 200
# hnswlib searches as deep as the larger of ef and k: with the least ef each search says by k how deep it is.
EF_BY_K = 1
MANIFEST = "graphs.json"
# As files on disk name them. Predicted: imputed.
PRESENCES = ("present", "predicted")


@dataclass(frozen=True)
class Block:
    """Where a channel lies in h: columns start to stop, then its flags for present and imputed."""

    channel: str
    start: int
    stop: int


@dataclass(frozen=True)
class Segment:
    """Graphs over the rows with labels first to last, by (channel, one of PRESENCES)."""

    first: int
    last: int
    rows: int
    graphs: Mapping[tuple[str, str], Any]

    def search(self, channel: str, directions: Array, k: int) -> list[Ints]:
        """Labels of the nearest rows for each of `directions` [m, width], by dot product with unit e."""
        nearest: list[list[Ints]] = [[] for _ in directions]
        for presence in PRESENCES:
            graph = self.graphs.get((channel, presence))
            if graph is None:
                continue
            wanted = min(k, graph.get_current_count())
            try:
                labels, _ = graph.knn_query(directions, k=wanted, num_threads=1)
            except RuntimeError:
                # hnswlib finds fewer than it was asked for where a graph falls into parts: all rows are scored then.
                labels = np.tile(np.asarray(graph.get_ids_list()), (len(directions), 1))
            for row, row_labels in enumerate(labels.astype(np.int64)):
                nearest[row].append(row_labels)
        return [np.concatenate(lists) if lists else np.zeros(0, np.int64) for lists in nearest]


def build(labels: Ints, h: Array, blocks: Sequence[Block]) -> Segment:
    """A segment of rows: labels [n] ascending, h [n, dimension]."""
    graphs = {}
    for block in blocks:
        for flag, presence in enumerate(PRESENCES):
            chosen = h[:, block.stop + flag] > 0.5
            count = int(chosen.sum())
            if not count:
                continue
            graph = hnswlib.Index(space="ip", dim=block.stop - block.start)
            graph.init_index(max_elements=count, M=M, ef_construction=EF_CONSTRUCTION, random_seed=100)
            # An imputed block is r e'; the graph wants unit length.
            graph.add_items(unit(h[chosen, block.start : block.stop]), labels[chosen], num_threads=1)
            graph.set_ef(EF_BY_K)
            graphs[block.channel, presence] = graph
    return Segment(int(labels[0]), int(labels[-1]), len(labels), graphs)


def covers(segment: Segment, blocks: Sequence[Block], labels: Ints, h: Array) -> bool:
    """Whether the graphs hold every one of the rows (labels [n] ascending, h [n, dimension]) that they should.

    They do not where the store's file was replaced by another one, such as a backup.
    """
    own = slice(*np.searchsorted(labels, [segment.first, segment.last + 1]))
    for block in blocks:
        for flag, presence in enumerate(PRESENCES):
            wanted = labels[own][h[own, block.stop + flag] > 0.5]
            graph = segment.graphs.get((block.channel, presence))
            if len(wanted) and (graph is None or not np.isin(wanted, graph.get_ids_list()).all()):
                return False
    return True


def plan(segments: Sequence[Segment], alive_labels: Ints, minimum: int) -> tuple[int, int] | None:
    """Which segments to replace by one that also takes in the fresh rows: (how many stay, rows of the new one).

    None while there is too little to do. A segment is taken in if it is less than twice as large as what comes after
    it, so that each row is built into a graph a logarithmic number of times; also one that is 30% dead.
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
    """Write a snapshot; a crash leaves the old or the new one."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=directory.name + ".", dir=directory.parent))
    try:
        described = []
        for n, segment in enumerate(segments):
            files: list[dict[str, object]] = []
            for (channel, presence), graph in segment.graphs.items():
                path = new / f"{n}-{len(files)}.hnsw"
                graph.save_index(str(path))
                if path.stat().st_size != graph.index_file_size():
                    # hnswlib does not look whether its writes went well (a full disk).
                    raise OSError(f"{path} was not written whole")
                files.append({
                    "file": path.name, "channel": channel, "presence": presence, "sha256": _hash(path),
                    "count": graph.get_current_count(), "dim": graph.dim,
                })  # fmt: skip
            described.append(
                {"first": segment.first, "last": segment.last, "rows": segment.rows, "graphs": files}
            )
        manifest = new / MANIFEST
        manifest.write_text(json.dumps({"identity": identity, "segments": described}))
        publish(new, directory)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise


def load(directory: Path, identity: Mapping[str, object]) -> list[Segment]:
    """Read a snapshot of the same `identity`; an empty list where it is missing, damaged or of another one."""
    for leftover in directory.parent.glob(directory.name + ".*"):
        shutil.rmtree(leftover, ignore_errors=True)
    try:
        about = json.loads((directory / MANIFEST).read_text())
        if about["identity"] != dict(identity):
            log.info("graphs in %s are of another space: they are built again", directory)
            return []
        segments = []
        for described in about["segments"]:
            graphs = {}
            for g in described["graphs"]:
                path = directory / g["file"]
                # hnswlib trusts what it reads (hnswlib#673): only what we wrote is given to it.
                if _hash(path) != g["sha256"]:
                    raise ValueError(f"{path.name} is damaged")
                graph = hnswlib.Index(space="ip", dim=g["dim"])
                graph.load_index(str(path), max_elements=g["count"])
                graph.set_ef(EF_BY_K)
                graphs[g["channel"], g["presence"]] = graph
            segments.append(Segment(described["first"], described["last"], described["rows"], graphs))
        return segments
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        log.warning("graphs in %s cannot be used (%s): they are built again", directory, error)
        return []


def _hash(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
