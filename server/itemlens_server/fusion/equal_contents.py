"""Which items have equal contents: equal rows of h, up to rounding.

    p = h R,  R float64 [dimension, 16] of standard normal numbers;   the key of a row is a hash of floor(p / STEP)

Rows of one content may differ by rounding, 1e-7, which changes a key once in thousands of rows. Rows that differ by
0.02 or more, a cosine of 0.9998 in one channel, have one key with a probability below 1e-6.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from itemlens_server.fusion.caps import FREE
from itemlens_server.fusion.rows import Array, Ints, View

PROJECTIONS = 16
STEP = 0.01
CHUNK = 4096


class EqualContents:
    """Codes of the rows of a collection by content. They are computed when they are first asked for, and from then on
    for new rows only. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # The ids of the rows that the codes are of: another list after a compaction.
        self._item_ids: list[str] = []
        self._codes: Ints = np.zeros(0, np.int64)
        self._count = 0
        self._numbers: dict[int, int] = {}

    def codes(self, view: View) -> Ints:
        """Return a code for each row, equal for rows of equal content, FREE for rows without content; int64 [rows]."""
        count = len(view.labels)
        with self._lock:
            if self._item_ids is not view.item_ids:
                self._item_ids, self._count, self._numbers = view.item_ids, 0, {}
                self._codes = np.zeros(count, np.int64)
            if count > self._count:
                if count > len(self._codes):
                    # Earlier views keep the old array.
                    grown = np.zeros(max(count, 2 * len(self._codes)), np.int64)
                    grown[: self._count] = self._codes[: self._count]
                    self._codes = grown
                h, numbers = view.h[self._count : count], self._numbers
                fresh = [numbers.setdefault(key, len(numbers)) for key in keys(h).tolist()]
                self._codes[self._count : count] = np.where(h.any(axis=1), fresh, FREE)
                self._count = count
            return self._codes[:count]


def keys(h: Array) -> Ints:
    """Return a key of the content of each row of h, float32 [rows, dimension]; int64 [rows]."""
    random = np.random.default_rng(0)
    projections = random.standard_normal((h.shape[1], PROJECTIONS))
    factors = random.integers(1, 2**62, PROJECTIONS, np.int64) * 2 + 1
    found = np.zeros(len(h), np.int64)
    for start in range(0, len(h), CHUNK):
        steps: np.ndarray[Any, Any] = np.floor(
            h[start : start + CHUNK].astype(np.float64) @ projections / STEP
        )
        # Products of int64 wrap around, as a hash may.
        found[start : start + CHUNK] = (steps.astype(np.int64) * factors).sum(axis=1)
    return found
