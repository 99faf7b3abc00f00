"""LitServe with the exported graph, a worker process for each core, its batching on."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import litserve
import numpy as np
from fastapi import Response

from .options import options
from .text_graph import Array, TextGraph

# Requests, not texts, that run together, and how long a worker waits for them. Half of both is as fast; its fast
# queue and a second HTTP process are slower on two cores.
MAX_BATCH = 64
BATCH_SECONDS = 0.01


class Texts(litserve.LitAPI):
    """A request is {"texts": [...]}, a reply the bytes of their vectors, float32 [texts, dimension]."""

    def __init__(self, given: argparse.Namespace) -> None:
        super().__init__(max_batch_size=MAX_BATCH, batch_timeout=BATCH_SECONDS)
        self.given = given

    def setup(self, device: str) -> None:
        """Load the graph, once in each worker."""
        graph = TextGraph(self.given)
        self.encode = graph.padded if self.given.padded else graph.grouped

    def decode_request(self, request: dict[str, list[str]]) -> list[str]:
        """The texts of a request."""
        return request["texts"]

    def batch(self, inputs: Sequence[list[str]]) -> list[list[str]]:
        """Requests that run together; they stay apart until `predict` since `unbatch` has to know where to cut."""
        return list(inputs)

    def predict(self, x: list[list[str]]) -> list[Array]:
        """Vectors of each request."""
        vectors = self.encode([text for texts in x for text in texts])
        return np.split(vectors, np.cumsum([len(texts) for texts in x])[:-1])

    def unbatch(self, output: list[Array]) -> list[Array]:
        """One reply a request."""
        return output

    def encode_response(self, output: Array) -> Any:
        """Bytes: JSON of 384 numbers a text would cost more than the transport."""
        return Response(output.tobytes(), media_type="application/octet-stream")


if __name__ == "__main__":
    parser = options()
    parser.add_argument("--padded", action="store_true", help="pad what comes together, as its examples do")
    given = parser.parse_args()
    server = litserve.LitServer(
        Texts(given), accelerator="cpu", workers_per_device=given.threads, timeout=False
    )
    server.run(
        host="127.0.0.1",
        port=given.port,
        num_api_servers=1,
        generate_client_file=False,
        log_level="warning",
    )
