"""PyTriton with the exported graph in its callable, an instance per core, behind Triton's dynamic batcher."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

from .options import options
from .text_graph import TextGraph

# Compared with smaller batches, 0 or 1 ms of delay, and more instances than cores, 32-text calls are a fifth faster
# and single texts equally fast.
MAX_BATCH = 128
DELAY_MICROSECONDS = 3_000

Arrays = dict[str, np.ndarray[Any, Any]]


def callable_of(graph: TextGraph, padded: bool) -> Callable[..., Arrays]:
    encode = graph.padded if padded else graph.grouped

    @batch
    def infer(texts: np.ndarray[Any, Any]) -> Arrays:
        return {"vectors": encode([text.decode() for text in texts[:, 0]])}

    batched: Callable[..., Arrays] = infer
    return batched


if __name__ == "__main__":
    parser = options()
    parser.add_argument(
        "--padded",
        action="store_true",
        help="pad the texts of a batch to the longest, as PyTriton's examples do",
    )
    given = parser.parse_args()
    # SIGTERM must leave through the block below. Otherwise shared memory and the working folder are not removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    graph = TextGraph(given)
    config = TritonConfig(
        allow_http=False, allow_metrics=False, grpc_address="127.0.0.1", grpc_port=given.port
    )
    with Triton(config=config) as server:
        server.bind(
            model_name="texts",
            infer_func=[callable_of(graph, given.padded) for _ in range(given.threads)],
            inputs=[Tensor(name="texts", dtype=bytes, shape=(1,))],
            outputs=[Tensor(name="vectors", dtype=np.float32, shape=(-1,))],
            config=ModelConfig(
                max_batch_size=MAX_BATCH,
                batcher=DynamicBatcher(max_queue_delay_microseconds=DELAY_MICROSECONDS),
            ),
        )
        server.serve()
