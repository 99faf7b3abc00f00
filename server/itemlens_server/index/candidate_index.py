"""What an index must be able to do. Scores are never its own: it gives candidates, `fusion` scores them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from itemlens_server.fusion.head import Array
from itemlens_server.fusion.rows import Bools, Ints, View


@dataclass(frozen=True)
class CandidateRequest:
    """What lists of `k` items are to be drawn from.

    directions: float32 [interests, width] by channel, unit length
    mask:       bool [positions of the view], which rows may be in the list; at least all dead ones may not
    from_items: the directions are made of the collection's own items, so that they lie where its rows are dense
    """

    directions: Mapping[str, Array]
    mask: Bools
    k: int
    interests: int
    from_items: bool = False


class CandidateIndex(Protocol):
    """Finds rows of a view that lie in given directions. One thread builds at a time; any number search."""

    def depth(self, view: View, request: CandidateRequest) -> int | None:
        """About how many candidates an interest gets; None where scoring all rows is better."""

    def search(self, view: View, request: CandidateRequest) -> list[Ints]:
        """Positions worth scoring for each interest: sorted, none twice, none outside the mask."""

    def build(self, view: View) -> bool:
        """Take in what is new in `view` if that is worth it, and save. Whether anything was done."""

    def load(self, view: View, last_label: int) -> None:
        """Take what `build` saved, as far as it is whole, of the same identity, and holds the rows that it should.

        last_label: the highest label that the store has given to any row.
        """
