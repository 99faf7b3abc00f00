"""Our index in process as Recommend uses it: an expression is parsed and becomes a mask, candidates are searched under
it, and their scores are computed exactly."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from itemlens_server.attributes.parser import parse
from itemlens_server.derived import DerivedFolder
from itemlens_server.fusion.ranking import top
from itemlens_server.fusion.rows import Rows as Table
from itemlens_server.index.candidate_index import CandidateRequest
from itemlens_server.index.hnsw import HnswIndex
from itemlens_server.index.segments import Block

from .engine import Array, Condition, Ints, Rows, Search


class Engine:
    """See engine.Engine."""

    def fill(self, rows: Rows, folder: Path) -> None:
        """See engine.Engine."""
        count, width = rows.vectors.shape
        # In h, two flags follow the vector: whether it is present or imputed.
        h = np.concatenate([rows.vectors, np.ones((count, 1)), np.zeros((count, 1))], 1).astype(np.float32)
        table = Table(width + 2)
        attributes = [
            {"number": float(number), "brand": brand}
            for number, brand in zip(rows.numbers, rows.brands, strict=True)
        ]
        table.append(np.arange(1, count + 1), [str(n) for n in range(count)], h, attributes)
        self._view = table.view()
        self._index = HnswIndex(
            [Block("text", 0, width)], folder=DerivedFolder(folder), name="graphs", identity={}, segment_rows=1,
            candidates_per_channel=1,
        )  # fmt: skip
        self._index.build(self._view)

    def search(self, condition: Condition, k: int) -> Search:
        """See engine.Engine."""
        parts = [f"number < {condition.below!r}"] if condition.below is not None else []
        parts += [f'brand = "{condition.brand}"'] if condition.brand else []
        expression = " and ".join(parts)
        view = self._view

        def search(vector: Array, depth: int) -> Ints:
            mask = view.alive.copy()
            if expression:
                mask &= view.matching(parse(expression))
            # The index looks for twice as many candidates as the list is long, if that is more than the setting.
            request = CandidateRequest({"text": vector[None]}, mask, -(-depth // 2), 1)
            [positions] = self._index.search(view, request).positions
            u = np.append(vector, np.zeros(2, np.float32))
            return positions[top(view.h[positions] @ u, k)]

        return search
