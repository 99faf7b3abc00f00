"""Milvus Lite in process, without its gRPC server: one segment, an HNSW graph, indexes of both fields."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

# All rows are in one segment, so that there is one graph. Read at import.
os.environ.setdefault("MILVUS_LITE_MEMTABLE_MEMORY_LIMIT_BYTES", str(8 << 30))
os.environ.setdefault("MILVUS_LITE_WAL_SIZE_LIMIT_BYTES", str(8 << 30))

from milvus_lite import CollectionSchema, DataType, FieldSchema, MilvusLite

from .engine import EF_CONSTRUCTION, Array, Condition, Ints, M, Rows, Search

BATCH = 1000


class Engine:
    """See engine.Engine."""

    def fill(self, rows: Rows, folder: Path) -> None:
        """See engine.Engine."""
        width = rows.vectors.shape[1]
        fields = [
            FieldSchema("id", DataType.INT64, is_primary=True),
            FieldSchema("vector", DataType.FLOAT_VECTOR, dim=width),
            FieldSchema("number", DataType.DOUBLE),
            FieldSchema("brand", DataType.VARCHAR, max_length=64),
        ]
        self._database = MilvusLite(str(folder))
        self._collection = self._database.create_collection("rows", CollectionSchema(fields))
        for begin in range(0, len(rows.vectors), BATCH):
            self._collection.insert(
                [
                    {
                        "id": n,
                        "vector": rows.vectors[n].tolist(),
                        "number": float(rows.numbers[n]),
                        "brand": rows.brands[n],
                    }
                    for n in range(begin, min(begin + BATCH, len(rows.vectors)))
                ]
            )
        self._collection.flush()
        graph = {"M": M, "efConstruction": EF_CONSTRUCTION}
        self._collection.create_index("vector", {"index_type": "HNSW", "metric_type": "IP", "params": graph})
        for name in ("number", "brand"):
            self._collection.create_index(name, {"index_type": "INVERTED", "metric_type": "NONE"})
        self._collection.load()

    def search(self, condition: Condition, k: int) -> Search:
        """See engine.Engine."""
        parts = [f"number < {condition.below!r}"] if condition.below is not None else []
        parts += [f"brand == '{condition.brand}'"] if condition.brand else []
        expression = " and ".join(parts) or None

        def search(vector: Array, depth: int) -> Ints:
            [found] = self._collection.search(
                [vector], k, "IP", expr=expression, output_fields=["id"], search_params={"ef": depth}
            )
            return np.asarray([hit["id"] for hit in found], np.int64)

        return search
