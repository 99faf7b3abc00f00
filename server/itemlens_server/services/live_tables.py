"""Tables that say what the counts say now."""

from __future__ import annotations

import numpy as np

from itemlens_server.fusion import sequence
from itemlens_server.fusion.counts.counts import Counts
from itemlens_server.fusion.counts.fresh_rows import Cache, FreshRows
from itemlens_server.fusion.rows import Bools
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
