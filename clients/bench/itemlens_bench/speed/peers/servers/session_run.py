"""Bare ONNX Runtime behind grpc.aio: a call's texts, padded together, run in a thread; calls do not join."""

from __future__ import annotations

from .grpc_texts import serve
from .options import options
from .text_graph import TextGraph

if __name__ == "__main__":
    given = options().parse_args()
    serve(given.port, given.threads, TextGraph(given).padded)
