"""qdrant in process: one shard, an HNSW graph, indexes of both fields."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import qdrant_edge as qdrant

from .engine import EF_CONSTRUCTION, Array, Condition, Ints, M, Rows, Search

BATCH = 1000


class Engine:
    """See engine.Engine."""

    def fill(self, rows: Rows, folder: Path) -> None:
        """See engine.Engine. The indexes of fields come first, since the graph has edges for their values."""
        width = rows.vectors.shape[1]
        graph = qdrant.HnswIndexConfig(m=M, ef_construct=EF_CONSTRUCTION, full_scan_threshold=10_000)
        self._shard = qdrant.EdgeShard.create(
            str(folder),
            qdrant.EdgeConfig(
                vectors=qdrant.EdgeVectorParams(size=width, distance=qdrant.Distance.Dot),
                hnsw_config=graph,
                optimizers=qdrant.EdgeOptimizersConfig(default_segment_number=1, indexing_threshold=1000),
            ),
        )
        kinds = {"number": qdrant.PayloadSchemaType.Float, "brand": qdrant.PayloadSchemaType.Keyword}
        for name, kind in kinds.items():
            self._shard.update(qdrant.UpdateOperation.create_field_index(name, kind))
        for begin in range(0, len(rows.vectors), BATCH):
            points = [
                qdrant.Point(
                    n,
                    rows.vectors[n].tolist(),
                    {"number": float(rows.numbers[n]), "brand": rows.brands[n]},
                )
                for n in range(begin, min(begin + BATCH, len(rows.vectors)))
            ]
            self._shard.update(qdrant.UpdateOperation.upsert_points(points))
        self._shard.optimize()

    def search(self, condition: Condition, k: int) -> Search:
        """See engine.Engine."""
        must: list[Any] = []
        if condition.below is not None:
            must.append(qdrant.FieldCondition("number", range=qdrant.RangeFloat(lt=condition.below)))
        if condition.brand:
            must.append(qdrant.FieldCondition("brand", match=qdrant.MatchValue(condition.brand)))
        filter = qdrant.Filter(must=must) if must else None

        def search(vector: Array, depth: int) -> Ints:
            found = self._shard.query(
                qdrant.QueryRequest(
                    limit=k,
                    query=qdrant.Query.Nearest(vector.tolist()),
                    filter=filter,
                    params=qdrant.SearchParams(hnsw_ef=depth),
                    with_payload=False,
                    with_vector=False,
                )
            )
            return np.asarray([point.id for point in found], np.int64)

        return search
