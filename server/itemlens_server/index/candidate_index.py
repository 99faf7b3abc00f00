"""The interface of indexes. An index finds candidates; `fusion` scores them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from itemlens_server.fusion.head import Array
from itemlens_server.fusion.rows import Bools, Ints, View


@dataclass(frozen=True)
class CandidateRequest:
    """A search for the candidates of lists of `k` items.

    directions: float32 [interests, width] by channel, unit length
    mask:       bool [positions of the view], true for rows that may be in the list; false for all dead rows
    from_items: the directions are computed from items of the collection, so they lie where its rows are dense
    """

    directions: Mapping[str, Array]
    mask: Bools
    k: int
    interests: int
    from_items: bool = False


class CandidateIndex(Protocol):
    """Finds rows of a view in given directions. One thread builds at a time; any number of threads search."""

    def depth(self, view: View, request: CandidateRequest) -> int | None:
        """Return the approximate number of candidates for an interest; None if scoring all rows is better."""

    def search(self, view: View, request: CandidateRequest) -> list[Ints]:
        """Return the positions to score for each interest: sorted, without duplicates, inside the mask."""

    def build(self, view: View) -> bool:
        """Add the new rows of `view` if that is worthwhile, and save. Return whether anything was done."""

    def load(self, view: View, last_label: int) -> None:
        """Load what `build` saved, as far as it is intact, has the same identity, and matches the rows of `view`.

        last_label: the highest label that the store has assigned to any row.
        """
