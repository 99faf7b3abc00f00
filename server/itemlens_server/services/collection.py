"""One collection: its space, its index, and how both follow the store."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import sparse

from itemlens_server.engine.repository import Space
from itemlens_server.fusion import ease as behaviour
from itemlens_server.index.hnsw import Index, Neighbours, block_list
from itemlens_server.storage.reader import Reader
from itemlens_server.storage.records import Array, CollectionRow
from itemlens_server.storage.store import Store

log = logging.getLogger(__name__)

FUSE_BATCH = 256
# B is learnt from what was taken of free will: not from impressions, returns and dislikes.
TAKEN = (2, 3, 4, 5)
MINIMUM_EVENTS = 100
GROWTH = 1.1
BEHAVIOUR = "behaviour.npz"


@dataclass(frozen=True)
class Learnt:
    """B with the lambda and number of events it was learnt with, and the last write that it has seen."""

    neighbours: Neighbours
    regularisation: float
    events: int
    written: int


class Collection:
    """The live state of a collection in one space. Replaced as a whole when the collection moves to another space."""

    def __init__(self, row: CollectionRow, space: Space, store: Store, *, segment_rows: int) -> None:
        self.row = row
        self.space = space
        self.store = store
        self.directory = store.directory / "collections" / str(row.id)
        self._segment_rows = segment_rows
        self.index = Index(
            block_list(space.head),
            space.head.dimension,
            # A folder of its own: while the collection moves to another space, the old one goes on writing.
            directory=self.directory / f"graphs-{space.space_id}",
            identity={"space_id": space.space_id, "collection": row.id},
            segment_rows=segment_rows,
        )
        self._last_label = 0
        self._learnt: Learnt | None = None
        self._sequence_checked = -1

    @property
    def name(self) -> str:
        """Its name."""
        return self.row.name

    @property
    def encoders(self) -> dict[str, str]:
        """Digest of each channel's encoder."""
        return {name: e.digest for name, e in self.space.encoders.items()}

    def load(self, reader: Reader) -> None:
        """Fill the index from the store; graphs and B from their snapshots where these are whole."""
        self.follow_store(reader)
        for other in self.directory.glob("graphs*"):
            if other.name != f"graphs-{self.space.space_id}":
                shutil.rmtree(other, ignore_errors=True)
        self.index.load_graphs()
        found = load_learnt(self.directory / BEHAVIOUR)
        deleted = reader.events_deleted(self.row.id)
        same = found is not None and found.regularisation == self.space.head.behaviour_lambda
        if found is not None and same and deleted <= found.written:
            self._learnt, self.index.neighbours = found, found.neighbours

    def follow_store(self, reader: Reader) -> None:
        """Add what is in the store behind the last row that is here."""
        batch: list[tuple[int, str, Mapping[str, list[Array]]]] = []
        for one in reader.raw_vectors(self.row.id, self.encoders, self._last_label):
            batch.append(one)
            if len(batch) == FUSE_BATCH:
                self._append(batch)
                batch = []
        if batch:
            self._append(batch)

    def drop_missing(self, alive: set[int]) -> None:
        """Take out the rows that are not among the store's."""
        view = self.index.view()
        for position in np.flatnonzero(view.alive):
            if int(view.labels[position]) not in alive:
                self.index.remove(view.item_ids[position])

    def put(self, labels: list[int], item_ids: list[str], h: Array) -> None:
        """Add items that were just stored."""
        self.index.append(labels, item_ids, h)
        self._last_label = labels[-1]

    def learn_behaviour(self, reader: Reader) -> bool:
        """Refit B if the events have grown by a tenth since, or if any were deleted. Whether it was done."""
        regularisation, written = self.space.head.behaviour_lambda, reader.sequence(self.row.id)
        # Counting the events of a large collection every second would cost more than it brings.
        if written == self._sequence_checked:
            return False
        done = self._learn(reader, regularisation, written)
        # Only now: what failed is tried again.
        self._sequence_checked = written
        return done

    def _learn(self, reader: Reader, regularisation: float, written: int) -> bool:
        _, events, _ = reader.counts(self.row.id)
        learnt = self._learnt
        stale = learnt is not None and reader.events_deleted(self.row.id) > learnt.written
        if learnt is not None and not stale and events < GROWTH * max(learnt.events, 1):
            return False
        enough = regularisation and events >= MINIMUM_EVENTS
        taken = [e for e in reader.events(self.row.id) if e[2] in TAKEN] if enough else []
        if not taken:
            if learnt is not None:  # of users whose data is deleted nothing stays
                self._learnt = self.index.neighbours = None
                (self.directory / BEHAVIOUR).unlink(missing_ok=True)
            return learnt is not None
        sequence = max(e[4] for e in taken)
        table = behaviour.fit([e[0] for e in taken], [e[1] for e in taken], regularisation, sequence)
        found = Learnt(
            Neighbours(table.table, table.index(), table.item_ids, sequence), regularisation, events, written
        )
        # Served before it is saved: a full disk must not keep what a deleted user did.
        self._learnt, self.index.neighbours = found, found.neighbours
        save_learnt(self.directory / BEHAVIOUR, found)
        log.info("collection %s: behaviour learnt from %d events", self.name, len(taken))
        return True

    def take_behaviour(self, other: Collection) -> None:
        """Take over B from this collection's state in another space, if it was learnt the same way."""
        learnt = other._learnt
        if learnt is not None and self.space.head.behaviour_lambda == learnt.regularisation:
            self._learnt, self.index.neighbours = learnt, learnt.neighbours

    def _append(self, batch: list[tuple[int, str, Mapping[str, list[Array]]]]) -> None:
        h = self.space.head_runner.fuse([raw for _, _, raw in batch])
        self.put([row for row, _, _ in batch], [item_id for _, item_id, _ in batch], h)

    def forget(self) -> None:
        """Delete the derived files."""
        shutil.rmtree(self.directory, ignore_errors=True)


def save_learnt(path: Path, learnt: Learnt) -> None:
    """Write B; a crash leaves the old or the new file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    b = learnt.neighbours
    # A name of its own: a collection that moves is learnt beside the one that goes on.
    descriptor, name = tempfile.mkstemp(suffix=".npz", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            np.savez(
                stream,
                item_ids=np.asarray(b.item_ids, np.str_),
                data=b.table.data, indices=b.table.indices, indptr=b.table.indptr,
                sequence=np.int64(b.sequence_number), regularisation=np.float64(learnt.regularisation),
                events=np.int64(learnt.events), written=np.int64(learnt.written),
            )  # fmt: skip
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def load_learnt(path: Path) -> Learnt | None:
    """What `save_learnt` wrote; None where it is missing or damaged, and it is learnt again."""
    try:
        # Of a damaged file numpy leaves open what it has opened itself.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            ids = tuple(file["item_ids"].tolist())
            table = sparse.csr_matrix((file["data"], file["indices"], file["indptr"]), (len(ids), len(ids)))
            index = {item_id: n for n, item_id in enumerate(ids)}
            neighbours = Neighbours(table, index, ids, int(file["sequence"]))
            return Learnt(
                neighbours, float(file["regularisation"]), int(file["events"]), int(file["written"])
            )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        log.warning("%s cannot be used (%s): it is learnt again", path, error)
        return None
