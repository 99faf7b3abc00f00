"""Which items have equal contents: equal rows of h, up to rounding.

    p = h R,  R float64 [dimension, 16] of standard normal numbers;   the key of a row is a hash of floor(p / STEP)

Rows of one content may differ by rounding, 1e-7, which changes a key once in thousands of rows. Rows that differ by
0.02 or more, a cosine of 0.9998 in one channel, have one key with a probability below 1e-6.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np

from itemlens_server.fusion.caps import FREE
from itemlens_server.fusion.rows import Array, Ints, View

PROJECTIONS = 16
STEP = 0.01
CHUNK = 4096
NO_CONTENT = 0
"""The key of rows without content."""
_NONE = np.zeros(0, np.int64)


@dataclass(frozen=True)
class _Known:
    """Keys and codes of rows, int64 [rows] each, with their labels. item_ids: the list of the view that they are of."""

    item_ids: list[str]
    labels: Ints
    keys: Ints
    codes: Ints

    def has(self, view: View) -> bool:
        """Whether the rows of a view are the first ones of these."""
        return self.item_ids is view.item_ids and len(self.labels) >= len(view.labels)


class EqualContents:
    """Codes of the rows of a collection by content. A row's key is computed once, whatever is dropped.

    Thread-safe. Keys are computed without a lock: threads that ask for new rows at once may compute the same ones."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known = _Known([], _NONE, _NONE, _NONE)
        self._numbers: dict[int, int] = {}

    def codes(self, view: View) -> Ints:
        """Return a code for each row, equal for rows of equal content, FREE for rows without content; int64 [rows]."""
        known = self._known
        if not known.has(view):
            known = self._publish(view, _keys_of(view, known))
        return known.codes[: len(view.labels)]

    def follow(self, view: View) -> bool:
        """Compute what `codes` needs for a view. Return whether there was anything to do."""
        if self._known.has(view):
            return False
        self.codes(view)
        return True

    def _publish(self, view: View, found: Ints) -> _Known:
        """Give codes to the keys of a view's rows."""
        with self._lock:
            known = self._known
            if known.has(view):
                return known  # another thread was quicker
            codes = known.codes
            if known.item_ids is not view.item_ids:  # the first rows, or those after a compaction
                self._numbers, codes = {NO_CONTENT: FREE}, _NONE
            numbers = self._numbers
            fresh = [numbers.setdefault(key, len(numbers) - 1) for key in found[len(codes) :].tolist()]
            codes = np.concatenate([codes, np.asarray(fresh, np.int64)])
            self._known = _Known(view.item_ids, view.labels, found, codes)
            return self._known


def _keys_of(view: View, known: _Known) -> Ints:
    """Return the key of each row, int64 [rows], computed for those that are not known."""
    count = len(view.labels)
    if known.item_ids is view.item_ids:
        begin = len(known.labels)
        return np.concatenate([known.keys, keys(view.h, np.arange(begin, count))])
    places = np.searchsorted(known.labels, view.labels)
    there = places < len(known.labels)
    there[there] = known.labels[places[there]] == view.labels[there]
    found = np.zeros(count, np.int64)
    found[there] = known.keys[places[there]]
    rows = np.flatnonzero(~there)
    found[rows] = keys(view.h, rows)
    return found


def keys(h: Array, rows: Ints) -> Ints:
    """Return a key of the content of some rows of h, float32 [all rows, dimension]; int64 [rows]."""
    random = np.random.default_rng(0)
    projections = random.standard_normal((h.shape[1], PROJECTIONS))
    factors = random.integers(1, 2**62, PROJECTIONS, np.int64) * 2 + 1
    found = np.zeros(len(rows), np.int64)
    for start in range(0, len(rows), CHUNK):
        own = h[rows[start : start + CHUNK]]
        steps: np.ndarray[Any, Any] = np.floor(own.astype(np.float64) @ projections / STEP)
        # Products of int64 wrap around, as a hash may.
        hashes = (steps.astype(np.int64) * factors).sum(axis=1)
        found[start : start + CHUNK] = np.where(own.any(axis=1), hashes, NO_CONTENT)
    return found
