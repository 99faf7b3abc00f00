"""Repeated item ids in a file. A later item replaces an earlier one."""

from __future__ import annotations

from array import array

import numpy as np


class Repeats:
    """The ids of a file's rows as hashes, 16 bytes per row."""

    def __init__(self) -> None:
        self._hashes, self._rows = array("q"), array("q")

    def add(self, id: str, row: int) -> None:
        self._hashes.append(hash(id))
        self._rows.append(row)

    def rows(self) -> list[int]:
        """Numbers of the rows that repeat the id of an earlier row, in order."""
        if not self._hashes:
            return []
        hashes = np.frombuffer(self._hashes, dtype=np.int64)
        order = np.argsort(hashes, kind="stable")
        again = order[1:][hashes[order][1:] == hashes[order][:-1]]
        return sorted(self._rows[place] for place in again)
