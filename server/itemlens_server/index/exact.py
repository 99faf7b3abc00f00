"""The index that is none: all rows are candidates. The yardstick of every other one."""

from __future__ import annotations

import numpy as np

from itemlens_server.fusion.rows import Ints, View
from itemlens_server.index.candidate_index import CandidateRequest


class ExactIndex:
    """See CandidateIndex."""

    def depth(self, view: View, request: CandidateRequest) -> int | None:
        """None: all rows are scored."""
        return None

    def search(self, view: View, request: CandidateRequest) -> list[Ints]:
        """All rows of the mask."""
        return [np.flatnonzero(request.mask)] * request.interests

    def build(self, view: View) -> bool:
        """There is nothing to build."""
        return False

    def load(self, view: View, last_label: int) -> None:
        """There is nothing to load."""
