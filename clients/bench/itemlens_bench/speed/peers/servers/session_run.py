"""Bare ONNX Runtime behind grpc.aio: the texts of a call run padded in one thread. Calls are not batched together."""

from __future__ import annotations

from .grpc_texts import serve
from .options import options
from .text_graph import TextGraph

if __name__ == "__main__":
    given = options().parse_args()
    serve(given.port, given.threads, TextGraph(given).padded)
