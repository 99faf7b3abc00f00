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


@dataclass(frozen=True)
class Candidates:
    """The positions to score for each interest: sorted, without duplicates, inside the mask.

    depth: about how many of an interest the index looked for; None if these are all rows of the mask
    """

    positions: list[Ints]
    depth: int | None


@dataclass(frozen=True)
class IndexDescription:
    """segments: number of parts, each with a graph for each channel. rows: that these have"""

    segments: int
    rows: int


class CandidateIndex(Protocol):
    """Finds rows of a view in given directions. One thread builds at a time; any number of threads search."""

    def search(self, view: View, request: CandidateRequest) -> Candidates:
        """Return candidates for each interest; all rows of the mask where scoring them is better."""

    def describe(self) -> IndexDescription:
        """Describe what is built."""

    def build(self, view: View) -> bool:
        """Add the new rows of `view` if that is worthwhile, and save. Return whether anything was done."""

    def load(self, view: View, last_label: int) -> None:
        """Load what `build` saved, as far as it is intact, has the same identity, and matches the rows of `view`.

        last_label: the highest label that the store has assigned to any row.
        """
