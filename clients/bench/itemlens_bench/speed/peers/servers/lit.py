"""LitServe with the exported graph, a worker process per core, and its batching on."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import litserve
import numpy as np
from fastapi import Response

from .options import options
from .text_graph import Array, TextGraph

# The number of requests, not texts, that run together, and the time that a worker waits for them. Half of both is as
# fast. The fast queue and a second HTTP process are slower on two cores.
MAX_BATCH = 64
BATCH_SECONDS = 0.01


class Texts(litserve.LitAPI):
    """A request is {"texts": [...]}. A reply is the bytes of their vectors, float32 [texts, dimension]."""

    def __init__(self, given: argparse.Namespace) -> None:
        super().__init__(max_batch_size=MAX_BATCH, batch_timeout=BATCH_SECONDS)
        self.given = given

    def setup(self, device: str) -> None:
        """Load the graph, once per worker."""
        graph = TextGraph(self.given)
        self.encode = graph.padded if self.given.padded else graph.grouped

    def decode_request(self, request: dict[str, list[str]]) -> list[str]:
        """The texts of a request."""
        return request["texts"]

    def batch(self, inputs: Sequence[list[str]]) -> list[list[str]]:
        """Requests that run together. They stay separate, so that `predict` can split the vectors by request."""
        return list(inputs)

    def predict(self, x: list[list[str]]) -> list[Array]:
        """The vectors of each request."""
        vectors = self.encode([text for texts in x for text in texts])
        return np.split(vectors, np.cumsum([len(texts) for texts in x])[:-1])

    def unbatch(self, output: list[Array]) -> list[Array]:
        """One reply per request."""
        return output

    def encode_response(self, output: Array) -> Any:
        """The reply as bytes: 384 numbers per text as JSON would cost more than the transport."""
        return Response(output.tobytes(), media_type="application/octet-stream")


if __name__ == "__main__":
    parser = options()
    parser.add_argument(
        "--padded",
        action="store_true",
        help="pad the texts of a batch to the longest, as LitServe's examples do",
    )
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
