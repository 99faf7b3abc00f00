"""Recommend without a server: the same search and scoring in process, over a copy of the same store."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from itemlens.v1 import itemlens_pb2
from itemlens_bench.speed import echo
from itemlens_bench.speed.figures import Floats
from itemlens_server import app
from itemlens_server.config import Settings
from itemlens_server.services import (
    CallContext,
    Interaction,
    QueryRequest,
    RecommendOptions,
    VectorInput,
)


@dataclass(frozen=True)
class DirectRun:
    """Seconds of each call, wall-clock seconds of all calls, and processor seconds."""

    latency: Floats
    seconds: float
    cpu_seconds: float


class Direct:
    """A catalogue, and queries that were read from packed requests before the clock starts."""

    def __init__(self, settings: Settings, collection: str, requests: Sequence[bytes]) -> None:
        """`settings`: those of a server whose store no other process has open. The server loads but never serves."""
        self._server = app.Server(settings)
        while self._server.catalogue.maintain():
            pass  # build the graphs that the running server has, too
        self._collection = collection
        self._asked = [_asked(itemlens_pb2.RecommendRequest.FromString(request)) for request in requests]
        self._by_request = dict(zip(requests, self._asked, strict=True))

    def listen(self, reply_bytes: int) -> int:
        """Start a bare gRPC server in this process and return its port. It runs Recommend for a packed request and
        answers with `reply_bytes` bytes."""
        reply = bytes(reply_bytes)

        def answer(request: bytes) -> bytes:
            self._recommend(*self._by_request[request])
            return reply

        self._listening, port = echo.listen(answer)
        return port

    def run(self, threads: int, first: int, count: int) -> DirectRun:
        """Run Recommend for `count` queries from number `first` on, in `threads` threads."""
        places = itertools.count(first)
        taken: list[float] = []

        def caller(_: int) -> None:
            while (place := next(places)) < first + count:
                asked = self._asked[place % len(self._asked)]
                began = time.monotonic()
                self._recommend(*asked)
                taken.append(time.monotonic() - began)

        began, cpu = time.monotonic(), time.process_time()
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(caller, range(threads)))
        seconds = time.monotonic() - began
        return DirectRun(np.asarray(taken, np.float64), seconds, time.process_time() - cpu)

    def _recommend(self, query: QueryRequest, options: RecommendOptions) -> None:
        self._server.use_cases.recommender.recommend(self._collection, query, options, CallContext())


def _asked(request: itemlens_pb2.RecommendRequest) -> tuple[QueryRequest, RecommendOptions]:
    """Read a request of the benchmark: a history or a vector, and k."""
    history = [Interaction(i.item_id, i.type) for i in request.user.history]
    vector = None
    if request.user.HasField("query_vector"):
        v = request.user.query_vector
        vector = VectorInput(v.data, v.dimension, "QUERY", v.space_id)
    return QueryRequest(history, vector=vector), RecommendOptions(k=request.k)
