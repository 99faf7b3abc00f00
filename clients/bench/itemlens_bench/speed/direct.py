"""Recommend without a server: the same searches and scoring over a copy of the same store, called in process."""

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
from itemlens_server.engine.call_context import CallContext
from itemlens_server.rpc.messages import SideReader
from itemlens_server.services.query import Side
from itemlens_server.services.recommender import RecommendOptions, recommend


@dataclass(frozen=True)
class DirectRun:
    """Seconds of each call, of all of them together, and of the processor."""

    latency: Floats
    seconds: float
    cpu_seconds: float


class Direct:
    """A catalogue, and the sides that are recommended for, read from packed requests before any clock starts."""

    def __init__(self, settings: Settings, collection: str, requests: Sequence[bytes]) -> None:
        """`settings`: of a server whose store nobody else has open. It loads, and never serves."""
        self._server = app.Server(settings)
        self._settings = settings
        while self._server.catalogue.maintain():
            pass  # the graphs that the running server has, too
        self._collection = self._server.catalogue.collection(collection)
        reader = SideReader(self._server.catalogue, self._server.encoder, settings)
        self._rules = reader.rules
        self._asked = []
        for request in map(itemlens_pb2.RecommendRequest.FromString, requests):
            side, _ = reader.read(self._collection, request.user, CallContext())
            self._asked.append((side, RecommendOptions(k=request.k)))
        self._by_request = dict(zip(requests, self._asked, strict=True))

    def listen(self, reply_bytes: int) -> int:
        """Start a bare gRPC server in this process that recommends for a packed request, and answers with so many
        bytes; its port."""
        reply = bytes(reply_bytes)

        def answer(request: bytes) -> bytes:
            self._recommend(*self._by_request[request])
            return reply

        self._listening, port = echo.listen(answer)
        return port

    def run(self, threads: int, first: int, count: int) -> DirectRun:
        """Recommend for `count` sides from number `first` on, in `threads` threads."""
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

    def _recommend(self, side: Side, wanted: RecommendOptions) -> None:
        recommend(
            self._collection, side, wanted, self._rules, max_k=self._settings.max_k, call=CallContext(),
            candidates_per_channel=self._settings.candidates_per_channel,
        )  # fmt: skip
