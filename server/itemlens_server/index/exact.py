"""Exact search: all rows are candidates. The reference for other indexes."""

from __future__ import annotations

import numpy as np

from itemlens_server.fusion.rows import Ints, View
from itemlens_server.index.candidate_index import CandidateRequest


class ExactIndex:
    """See CandidateIndex."""

    def depth(self, view: View, request: CandidateRequest) -> int | None:
        """Return None: all rows are scored."""
        return None

    def search(self, view: View, request: CandidateRequest) -> list[Ints]:
        """Return all rows of the mask."""
        return [np.flatnonzero(request.mask)] * request.interests

    def build(self, view: View) -> bool:
        """Do nothing and return False."""
        return False

    def load(self, view: View, last_label: int) -> None:
        """Do nothing."""
