"""One collection: its space, its index, and how both follow the store."""

from __future__ import annotations

import logging
import shutil
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from scipy import sparse

from itemlens_server.catalog.index import Index, Neighbours, block_list
from itemlens_server.catalog.reader import Reader
from itemlens_server.catalog.records import Array, CollectionRow
from itemlens_server.catalog.store import Store
from itemlens_server.engine.repository import Space
from itemlens_server.head import behaviour
from itemlens_server.head.behaviour import Behaviour

log = logging.getLogger(__name__)

FUSE_BATCH = 256
# B is learnt from what was taken of free will: not from impressions, returns and dislikes.
TAKEN = (2, 3, 4, 5)
MINIMUM_EVENTS = 100
GROWTH = 1.1
BEHAVIOUR = "behaviour.npz"


class Collection:
    """The live state of a collection in one space. Replaced as a whole when the collection moves to another space."""

    def __init__(self, row: CollectionRow, space: Space, store: Store, *, segment_rows: int, ef: int) -> None:
        self.row = row
        self.space = space
        self.store = store
        self.directory = store.directory / "collections" / str(row.id)
        self._segment_rows = segment_rows
        self._ef = ef
        self.index = Index(
            block_list(space.terms),
            space.terms.dimension,
            # A folder of its own: while the collection moves to another space, the old one goes on writing.
            directory=self.directory / f"graphs-{space.space_id}",
            identity={"space_id": space.space_id, "collection": row.id},
            segment_rows=segment_rows,
            ef=ef,
        )
        self._last_label = 0
        self._events_seen = 0
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
        found = load_neighbours(self.directory / BEHAVIOUR)
        if found is not None and found[1] == self.space.terms.behaviour_lambda:
            self.index.neighbours, _, self._events_seen = found

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
        """Refit B if the events have grown by a tenth since, or if some were deleted. Whether it was done."""
        regularisation, written = self.space.terms.behaviour_lambda, reader.sequence(self.row.id)
        # Counting the events of a large collection every second would cost more than it brings.
        if written == self._sequence_checked:
            return False
        self._sequence_checked = written
        _, events, _ = reader.counts(self.row.id)
        learnt = self.index.neighbours is not None
        if learnt and self._events_seen <= events < GROWTH * max(self._events_seen, 1):
            return False
        enough = regularisation and events >= MINIMUM_EVENTS
        taken = [e for e in reader.events(self.row.id) if e[2] in TAKEN] if enough else []
        if not taken:
            if learnt:  # of users whose data is deleted nothing stays
                self.index.neighbours, self._events_seen = None, 0
                (self.directory / BEHAVIOUR).unlink(missing_ok=True)
            return learnt
        sequence = max(e[4] for e in taken)
        table = behaviour.fit([e[0] for e in taken], [e[1] for e in taken], regularisation, sequence)
        save_neighbours(self.directory / BEHAVIOUR, table, regularisation, events)
        self.index.neighbours = Neighbours(table.table, table.index(), table.item_ids, sequence)
        self._events_seen = events
        log.info("collection %s: behaviour learnt from %d events", self.name, len(taken))
        return True

    def take_behaviour(self, other: Collection) -> None:
        """Take over B from this collection's state in another space, if it was learnt the same way."""
        if self.space.terms.behaviour_lambda == other.space.terms.behaviour_lambda:
            self.index.neighbours, self._events_seen = other.index.neighbours, other._events_seen

    def _append(self, batch: list[tuple[int, str, Mapping[str, list[Array]]]]) -> None:
        h = self.space.head.fuse([raw for _, _, raw in batch])
        self.put([row for row, _, _ in batch], [item_id for _, item_id, _ in batch], h)

    def forget(self) -> None:
        """Delete the derived files."""
        shutil.rmtree(self.directory, ignore_errors=True)


def save_neighbours(path: Path, b: Behaviour, regularisation: float, events: int) -> None:
    """Write B with the lambda and the number of events it was learnt with; a crash leaves the old or the new file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new.npz")
    np.savez(
        new,
        item_ids=np.asarray(b.item_ids, np.str_),
        data=b.table.data, indices=b.table.indices, indptr=b.table.indptr,
        sequence=np.int64(b.sequence_number), regularisation=np.float64(regularisation), events=np.int64(events),
    )  # fmt: skip
    new.replace(path)


def load_neighbours(path: Path) -> tuple[Neighbours, float, int] | None:
    """What `save_neighbours` wrote; None where it is missing or damaged, and it is learnt again."""
    try:
        # Of a damaged file numpy leaves open what it has opened itself.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            ids = tuple(file["item_ids"].tolist())
            table = sparse.csr_matrix((file["data"], file["indices"], file["indptr"]), (len(ids), len(ids)))
            b = Behaviour(ids, table, int(file["sequence"]))
            neighbours = Neighbours(table, b.index(), ids, b.sequence_number)
            return neighbours, float(file["regularisation"]), int(file["events"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        log.warning("%s cannot be used (%s): it is learnt again", path, error)
        return None
