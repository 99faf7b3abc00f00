"""Exact search: all rows are candidates. The reference for other indexes."""

from __future__ import annotations

import numpy as np

from itemlens_server.fusion.rows import View
from itemlens_server.index.candidate_index import CandidateRequest, Candidates, IndexDescription


class ExactIndex:
    """See CandidateIndex."""

    def search(self, view: View, request: CandidateRequest) -> Candidates:
        """Return all rows of the mask."""
        return Candidates([np.flatnonzero(request.mask)] * request.interests, None)

    def describe(self) -> IndexDescription:
        """See CandidateIndex."""
        return IndexDescription(0, 0)

    def build(self, view: View) -> bool:
        """Do nothing and return False."""
        return False

    def load(self, view: View, last_label: int) -> None:
        """Do nothing."""
