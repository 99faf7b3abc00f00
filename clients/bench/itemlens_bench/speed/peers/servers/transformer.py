"""`sentence-transformers` behind grpc.aio. Its encode() sorts a call's texts by length and pads each batch.

`--engine onnx` is what its documentation recommends for CPUs; `torch` is its default. In both cases calls run
concurrently, each in one thread. One call at a time in several threads was slower, and torch's threads spin while
they wait for each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from onnxruntime import SessionOptions
from sentence_transformers import SentenceTransformer

from .checkpoint import GRAPH, folder_with_graph
from .grpc_texts import Array, serve
from .options import options

BATCH = 4  # the default of 32 pads more; 8 and 16 were slower, too


def model(engine: str, folder: Path) -> SentenceTransformer:
    """The model in `folder`, run by `engine`."""
    if engine == "torch":
        torch.set_num_threads(1)
        return SentenceTransformer(str(folder), device="cpu")
    session = SessionOptions()
    session.intra_op_num_threads = 1
    settings = {"file_name": GRAPH, "provider": "CPUExecutionProvider", "session_options": session}
    return SentenceTransformer(str(folder), device="cpu", backend="onnx", model_kwargs=settings)


if __name__ == "__main__":
    parser = options()
    parser.add_argument("--engine", choices=("onnx", "torch"), default="onnx")
    given = parser.parse_args()
    encoder = model(given.engine, folder_with_graph(given.graph))

    def encode(texts: Sequence[str]) -> Array:
        vectors: Array = encoder.encode(list(texts), batch_size=BATCH, show_progress_bar=False)
        return vectors

    serve(given.port, given.threads, encode)
