"""What events teach: the tables of "taken too" and "taken soon after", and how many took an item."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from scipy import sparse

from itemlens_server.durable import new_file
from itemlens_server.fusion import ease, sequence
from itemlens_server.fusion.counts.counted import Counted, CountedTakers, since
from itemlens_server.fusion.counts.recount import Recount
from itemlens_server.fusion.event_log import EventLog
from itemlens_server.fusion.head import Array
from itemlens_server.fusion.rows import Bools, Ints
from itemlens_server.fusion.weights import TableRules

log = logging.getLogger(__name__)

FORMAT = 5


@dataclass(frozen=True)
class Provenance:
    """The events that tables were computed from.

    event_sequence: sequence number of the last event
    event_count: number of events
    version, removals: those of the counts (see `Counts`); of this process only
    mark: of the file of counts that was saved with the tables; shows whether a store still holds their events
    """

    event_sequence: int = 0
    event_count: int = 0
    version: int = 0
    removals: int = 0
    mark: str = ""


# What of it is kept on disk.
KEPT = ("event_sequence", "event_count", "mark")


class Fresh(Protocol):
    """Rows of a table that changed after it was computed. They stay as they are."""

    def changed(self, rows: Ints) -> Bools:
        """Return which rows changed, bool [rows]."""

    def rows(self, rows: Ints) -> sparse.csr_matrix:
        """Return rows, CSR float32 [rows, n]."""


@dataclass(frozen=True, eq=False)
class Tables:
    """Immutable. Rows and columns belong to `item_ids`, the items with events.

    behaviour: B, CSR float32 [n, n]; entry [j, i] is what having taken j adds to i (see `ease`)
    sequence:  T, CSR float32 [n, n]; entry [j, i]: i was taken soon after j (see `sequence`)
    takers:    number of users who took an item, float32 [n]
    recent:    number of those whose last time was on the last `recent_days` UTC days, of which the last event's is the
               last, float32 [n]; equal to `takers` if the times are only an order
    trend:     the same of the last `trend_days`
    fresh:     rows of T that are used instead of those of `sequence`
    stale:     of loaded tables, which rows of T had changed when they were saved, bool [n]; None: none
    """

    item_ids: Sequence[str]
    behaviour: sparse.csr_matrix
    sequence: sparse.csr_matrix
    takers: Array
    recent: Array
    trend: Array
    rules: TableRules = field(default_factory=TableRules)
    provenance: Provenance = field(default_factory=Provenance)
    fresh: Fresh | None = None
    stale: Bools | None = None

    @staticmethod
    def fit(events: EventLog, rules: TableRules, provenance: Provenance | None = None) -> Tables:
        """Compute the tables from all events of a log."""
        return Tables.of(Recount.of(events, rules.step), rules, provenance)

    @staticmethod
    def of(counted: Counted, rules: TableRules, provenance: Provenance | None = None) -> Tables:
        """Derive the tables from counts, which were made with the step of `rules`.

        BEHAVIOUR has the most frequent items only, see `ease.MAX_ITEMS`.
        """
        tables = Tables.of_takers(counted, rules, provenance)
        if not rules.of_pairs:
            return tables
        behaviour = _behaviour(counted, rules.regularisation)
        return replace(tables, behaviour=behaviour, sequence=sequence.table(counted))

    @staticmethod
    def of_takers(counted: CountedTakers, rules: TableRules, provenance: Provenance | None = None) -> Tables:
        """Derive the tables without BEHAVIOUR and SEQUENCE."""
        takers, n = counted.takers.astype(np.float32), len(counted.item_ids)
        nothing = sparse.csr_matrix((n, n), dtype=np.float32)
        return Tables(
            tuple(counted.item_ids),
            nothing,
            nothing,
            takers,
            takers if counted.times_are_an_order else recent(counted, rules.recent_days),
            takers if counted.times_are_an_order else recent(counted, rules.trend_days),
            rules,
            provenance or Provenance(),
        )

    @cached_property
    def rows(self) -> Mapping[str, int]:
        """Row of each item."""
        return {item_id: n for n, item_id in enumerate(self.item_ids)}

    @cached_property
    def columns(self) -> Mapping[str, sparse.csc_matrix]:
        """The tables by column: what all items add to one, which is read to explain a score."""
        return {"behaviour": self.behaviour.tocsc(), "sequence": self.sequence.tocsc()}

    def derive(self) -> None:
        """Compute `rows` and `columns` now."""
        _ = self.rows, self.columns

    def table_rows(self, name: str, rows: Ints) -> sparse.csr_matrix:
        """Return rows of "behaviour" or "sequence", CSR float32 [rows, n]."""
        table: sparse.csr_matrix = getattr(self, name)
        if not self.has_fresh(name, rows):
            return table[rows]
        assert self.fresh is not None
        changed = self.fresh.changed(rows)
        both = sparse.vstack([table[rows[~changed]], self.fresh.rows(rows[changed])], "csr")
        places = np.empty(len(rows), np.int64)
        places[np.concatenate([np.flatnonzero(~changed), np.flatnonzero(changed)])] = np.arange(len(rows))
        return both[places]

    def has_fresh(self, name: str, rows: Ints) -> bool:
        """Return whether some rows of "behaviour" or "sequence" changed after it was computed."""
        return name == "sequence" and self.fresh is not None and bool(self.fresh.changed(rows).any())

    def current(self, takers: Ints, recent: Ints, trend: Ints, fresh: Fresh | None) -> Tables:
        """Return the same tables with these takers, int64 [n] each, and rows of T."""
        takers_, recent_, trend_ = (a.astype(np.float32) for a in (takers, recent, trend))
        changed = replace(self, takers=takers_, recent=recent_, trend=trend_, fresh=fresh)
        # What is derived does not depend on them.
        vars(changed).update({name: vars(self)[name] for name in ("rows", "columns") if name in vars(self)})
        return changed

    def between(self, past: Ints, listed: Ints) -> Tables:
        """Return the part of the tables that explains what the items of some rows add to those of other rows: the
        listed ones, and those of the past that add anything."""
        entries = {name: self._entries(name, past, listed) for name in self.columns}
        kept = np.zeros(len(self.item_ids), np.bool_)
        for rows in (listed, *(rows for rows, _, _ in entries.values())):
            kept[rows] = True
        there, numbers = np.flatnonzero(kept), np.cumsum(kept) - 1
        shape = (len(there), len(there))
        parts = {
            name: sparse.csr_matrix((x, (numbers[rows], numbers[of])), shape)
            for name, (rows, of, x) in entries.items()
        }
        return replace(
            self,
            item_ids=tuple(self.item_ids[row] for row in there.tolist()),
            takers=self.takers[there],
            recent=self.recent[there],
            trend=self.trend[there],
            fresh=None,
            **parts,
        )

    def _entries(self, name: str, past: Ints, listed: Ints) -> tuple[Ints, Ints, Array]:
        """Return the entries of the rows `past` in the columns `listed`: row, column and value of each."""
        if not self.has_fresh(name, past):
            return _entries(self.columns[name], past, listed)
        assert self.fresh is not None
        changed = self.fresh.changed(past)
        own = self.fresh.rows(past[changed])
        kept = np.isin(own.indices, listed)
        row_of = np.repeat(past[changed], np.diff(own.indptr))[kept]
        found = [
            _entries(self.columns[name], past[~changed], listed),
            (row_of, own.indices[kept].astype(np.int64), own.data[kept]),
        ]
        rows, columns, values = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return rows, columns, values

    def save(self, path: Path) -> None:
        """Write the tables. A crash or an error leaves the old or the new file."""
        about = {
            "format": FORMAT,
            "item_ids": list(self.item_ids),
            "rules": vars(self.rules),
            "provenance": {name: getattr(self.provenance, name) for name in KEPT},
        }
        stale = np.zeros(len(self.item_ids), np.bool_) if self.stale is None else self.stale
        arrays: dict[str, Any] = {"about": np.frombuffer(json.dumps(about).encode(), np.uint8)}
        for name, table in (("behaviour", self.behaviour), ("sequence", self.sequence)):
            arrays |= {
                f"{name}_data": table.data,
                f"{name}_indices": table.indices,
                f"{name}_starts": table.indptr,
            }
        with new_file(path) as stream:
            np.savez(stream, takers=self.takers, recent=self.recent, trend=self.trend, stale=stale, **arrays)

    @staticmethod
    def load(path: Path) -> Tables | None:
        """Read tables written by `save`; None if they are missing or damaged and must be computed again."""
        try:
            # numpy does not close a damaged file that it has opened itself.
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
                about = json.loads(file["about"].tobytes())
                if about["format"] != FORMAT:
                    raise ValueError(f"format {about['format']}")
                item_ids = tuple(map(str, about["item_ids"]))
                behaviour, sequence_ = (
                    _table(file, name, len(item_ids)) for name in ("behaviour", "sequence")
                )
                names = ("takers", "recent", "trend")
                takers, recent, trend = (_counts(file[name], len(item_ids)) for name in names)
                stale = np.asarray(file["stale"], np.bool_)
                if stale.shape != takers.shape:
                    raise ValueError("stale rows of other tables")
                return Tables(
                    item_ids, behaviour, sequence_, takers, recent, trend, TableRules(**about["rules"]),
                    Provenance(**{name: about["provenance"][name] for name in KEPT}),
                    stale=stale if stale.any() else None,
                )  # fmt: skip
        except FileNotFoundError:
            return None
        except Exception as error:  # derived state can be computed again, whatever the error
            log.warning("%s cannot be used (%r); it will be computed again", path, error)
            return None


def recent(counted: CountedTakers, recent_days: float) -> Array:
    """Return how many users took each item on the last `recent_days` days, float32 [items]."""
    return since(counted, counted.last_day - math.ceil(recent_days)).astype(np.float32)


def _behaviour(counted: Counted, regularisation: float) -> sparse.csr_matrix:
    n, columns = len(counted.item_ids), ease.most_frequent(counted.takers)
    table = ease.of_gram(counted.gram(columns), regularisation).tocoo()
    return sparse.csr_matrix((table.data, (columns[table.row], columns[table.col])), (n, n))


def _entries(columns: sparse.csc_matrix, past: Ints, listed: Ints) -> tuple[Ints, Ints, Array]:
    """Return the entries of the rows `past` in the columns `listed`: row, column and value of each."""
    wanted = np.zeros(columns.shape[0], bool)
    wanted[past] = True
    rows, of, values = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0, np.float32)]
    for column in listed.tolist():
        span = slice(columns.indptr[column], columns.indptr[column + 1])
        kept = np.flatnonzero(wanted[columns.indices[span]])
        rows.append(columns.indices[span][kept])
        of.append(np.full(len(kept), column))
        values.append(columns.data[span][kept])
    return np.concatenate(rows), np.concatenate(of), np.concatenate(values)


def _table(file: Any, name: str, n: int) -> sparse.csr_matrix:
    parts = (file[f"{name}_data"], file[f"{name}_indices"], file[f"{name}_starts"])
    table = sparse.csr_matrix(parts, (n, n), np.float32)
    table.check_format(full_check=True)
    return table


def _counts(values: Array, n: int) -> Array:
    if values.shape != (n,) or not np.isfinite(values).all():
        raise ValueError("wrong counts")
    return np.asarray(values, np.float32)
