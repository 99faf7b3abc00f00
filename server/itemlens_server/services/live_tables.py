"""Tables that say what the counts say now."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from itemlens_server.fusion import sequence
from itemlens_server.fusion.counts.counts import Counts
from itemlens_server.fusion.counts.fresh_rows import Cache, FreshRows
from itemlens_server.fusion.counts.successions import UNIT
from itemlens_server.fusion.rows import Bools, Ints
from itemlens_server.fusion.tables import Tables


class LiveTables:
    """Tables with the popularity and the sequence that the counts have at each read, though they are computed later."""

    def __init__(self, tables: Tables, counts: Counts) -> None:
        self._tables, self._counts = tables, counts
        codes = [counts.code(item_id) for item_id in tables.item_ids]
        self._codes = np.asarray([code for code in codes if code is not None], np.int64)
        self._known = len(self._codes) == len(codes)
        # Whether all takers are recent, as in the tables.
        self.all_are_recent = counts.histories.times_are_an_order
        # Of the tables' own takers, whatever happens to these until the next computation.
        self._scale = sequence.scale_of(tables.takers.astype(np.int64))
        self._rows: Cache = {}
        self._read = (-1, tables)

    def of(self, tables: Tables) -> Tables:
        """Return the tables as they are at this moment. Other tables than those of this object stay as they are."""
        if tables is not self._tables or not self._known:
            return tables
        version, current = self._counts.version, self._read
        if current[0] != version:
            current = (version, self._at_this_moment())
            self._read = current
        return current[1]

    def stale(self) -> Bools:
        """Return which rows of SEQUENCE changed since the tables were computed, bool [n]."""
        changed = np.ones(len(self._tables.item_ids), np.bool_)
        if self._known:
            changed[:] = self._counts.touched[self._codes] > self._tables.provenance.version
        return changed

    def times_soon_after(self, item_id: str, past_items: Sequence[str]) -> list[float]:
        """Return how many times an item was taken soon after each of some others: a time in the next basket is 1, a
        later one less (see `successions`). With matrices at this moment, else when the tables were computed."""
        ordered = self._counts.ordered
        if ordered is not None:
            codes = [self._counts.code(i) for i in (item_id, *past_items)]
            own, *past = (-1 if code is None else code for code in codes)
            amounts = ordered.get(np.asarray(past, np.int64), own)
        else:
            amounts = self._amounts_of_tables(item_id, past_items)
        times: list[float] = (amounts / UNIT).tolist()
        return times

    def _amounts_of_tables(self, item_id: str, past_items: Sequence[str]) -> Ints:
        tables, scale = self._tables, self._scale
        row = tables.rows.get(item_id)
        past = np.asarray([tables.rows.get(i, -1) for i in past_items], np.int64)
        amounts, there = np.zeros(len(past), np.int64), past >= 0
        if row is not None and there.any():
            known = past[there]
            entries = np.asarray(tables.sequence[known, np.full(len(known), row)]).ravel()
            amounts[there] = np.rint(UNIT * entries / (scale[known] * scale[row]))
        return amounts

    def _at_this_moment(self) -> Tables:
        rules = self._tables.rules
        takers, recent = self._counts.popularity(self._codes, rules.recent_days)
        _, trend = self._counts.popularity(self._codes, rules.trend_days)
        ordered, fitted = self._counts.ordered, self._tables.provenance.version
        fresh = None
        if ordered is not None:
            fresh = FreshRows(self._counts, ordered, self._codes, self._scale, fitted, self._rows)
        if self.all_are_recent:
            recent = trend = takers
        return self._tables.current(takers, recent, trend, fresh)
