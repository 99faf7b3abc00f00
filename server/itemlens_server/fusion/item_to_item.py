"""ItemToItem: the immutable fitted table of "who took X took Y"."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from itemlens_server.fusion import ease
from itemlens_server.fusion.head import Array

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class ItemToItem:
    """B over `item_ids`: table[j, i], CSR float32 [n, n], is the contribution of taking j to the score of i.

    regularisation: lambda of the fit
    event_sequence: sequence number of the last event of the fit
    event_count, write_sequence: number of events of the collection, and its last write, at the time of the fit
    events_digest: the store's digest of the events up to that write; shows whether a store still holds them
    """

    item_ids: Sequence[str]
    table: sparse.csr_matrix
    regularisation: float = 0.0
    event_sequence: int = 0
    event_count: int = 0
    write_sequence: int = 0
    events_digest: str = ""

    @staticmethod
    def fit(
        users: list[str],
        items: list[str],
        regularisation: float,
        *,
        event_sequence: int = 0,
        event_count: int = 0,
        write_sequence: int = 0,
        events_digest: str = "",
    ) -> ItemToItem:
        """Fit EASE (see `ease`) to parallel lists of users and the items they took."""
        x, _, item_ids = ease.interactions(users, items)
        table = ease.largest(ease.fit(x, regularisation))
        return ItemToItem(
            tuple(item_ids), table, regularisation, event_sequence, event_count, write_sequence, events_digest
        )

    @cached_property
    def rows(self) -> Mapping[str, int]:
        """Row of each item."""
        return {item_id: n for n, item_id in enumerate(self.item_ids)}

    def scores(self, past: Mapping[str, float]) -> Array | None:
        """Return sum_j a_j B_ji for all items of the table, float32 [n]; None if no past item is in the table."""
        known = [(self.rows[item_id], a) for item_id, a in past.items() if item_id in self.rows]
        if not known:
            return None
        totals = np.zeros(len(self.item_ids), np.float32)
        for row, a in known:
            entries = self._entries(row)
            totals[self.table.indices[entries]] += np.float32(a) * self.table.data[entries]
        return totals

    def entry(self, past_item_id: str, item_id: str) -> float:
        """Return B_ji; 0 if one of the two is not in the table."""
        row, column = self.rows.get(past_item_id), self.rows.get(item_id)
        if row is None or column is None:
            return 0.0
        entries = self._entries(row)
        at = np.flatnonzero(self.table.indices[entries] == column)
        return float(self.table.data[entries][at[0]]) if len(at) else 0.0

    def between(self, past: Iterable[str], item_ids: Iterable[str]) -> ItemToItem:
        """Return the part of the table with the contributions of `past` to `past` and to `item_ids`."""
        rows = list(dict.fromkeys(self.rows[i] for i in past if i in self.rows))
        there = list(dict.fromkeys([*rows, *(self.rows[i] for i in item_ids if i in self.rows)]))
        numbers = np.full(len(self.item_ids), -1, np.int32)
        numbers[there] = np.arange(len(there), dtype=np.int32)
        taken = np.asarray(rows, np.int64)
        begins = self.table.indptr[taken]
        sizes = self.table.indptr[taken + 1] - begins
        owners = np.repeat(np.arange(len(rows)), sizes)
        at = np.arange(len(owners)) + np.repeat(begins - (np.cumsum(sizes) - sizes), sizes)
        columns = numbers[self.table.indices[at]]
        kept = columns >= 0
        starts = np.zeros(len(there) + 1, np.int32)
        np.cumsum(np.bincount(owners[kept], minlength=len(there)), out=starts[1:])
        table = sparse.csr_matrix(
            (self.table.data[at[kept]], columns[kept], starts), (len(there), len(there))
        )
        return replace(self, item_ids=tuple(self.item_ids[row] for row in there), table=table)

    def save(self, path: Path) -> None:
        """Write the table. A crash leaves the old or the new file."""
        # The name is unique: during a move, a collection and its copy in the new space are fitted at the same time.
        descriptor, name = tempfile.mkstemp(suffix=".npz", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                np.savez(
                    stream, item_ids=_as_array(list(self.item_ids)), events_digest=_as_array(self.events_digest),
                    data=self.table.data, indices=self.table.indices, indptr=self.table.indptr,
                    sequence=np.int64(self.event_sequence), regularisation=np.float64(self.regularisation),
                    events=np.int64(self.event_count), written=np.int64(self.write_sequence),
                )  # fmt: skip
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    @staticmethod
    def load(path: Path) -> ItemToItem | None:
        """Read a table written by `save`; None if it is missing or damaged and must be fitted again."""
        try:
            # numpy does not close a damaged file that it has opened itself.
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
                item_ids = _from_array(file["item_ids"])
                shape = (len(item_ids), len(item_ids))
                table = sparse.csr_matrix((file["data"], file["indices"], file["indptr"]), shape, np.float32)
                table.check_format(full_check=True)
                return ItemToItem(
                    tuple(map(str, item_ids)), table, float(file["regularisation"]),
                    int(file["sequence"]), int(file["events"]), int(file["written"]),
                    str(_from_array(file["events_digest"])),
                )  # fmt: skip
        except FileNotFoundError:
            return None
        except Exception as error:  # derived state can be fitted again, whatever the error
            log.warning("%s cannot be used (%r); it will be fitted again", path, error)
            return None

    def _entries(self, row: int) -> slice:
        return slice(self.table.indptr[row], self.table.indptr[row + 1])


def _as_array(value: object) -> np.ndarray[Any, Any]:
    """Return the value as JSON bytes: numpy's strings lose NULs at their end."""
    return np.frombuffer(json.dumps(value).encode(), np.uint8)


def _from_array(array: np.ndarray[Any, Any]) -> Any:
    return json.loads(array.tobytes())
