"""A stop under 200 calls a second with watches and streams open, and a start in its place: nothing accepted is lost,
and callers who retry notice nothing."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

import itemlens
from itemlens import Item
from itemlens.v1 import catalog_pb2, common_pb2, itemlens_pb2
from support.serving import Server
from support.spaces import Tiny

RATE, CALLERS = 200, 20
# What a caller without retries may be told at a stop: it was not accepted.
NOT_ACCEPTED = (
    "server is stopping",
    "onnection refused",
    "GOAWAY",
    "failed to connect",
    "shutting down",
    "FD Shutdown",
)


class Callers:
    """Threads that call at a fixed rate in all, each at its own times, until the end."""

    def __init__(self, call: Callable[[int], None]) -> None:
        self._end = threading.Event()
        self._count = itertools.count()
        self._threads = [threading.Thread(target=self._run, args=(call, n)) for n in range(CALLERS)]

    def __enter__(self) -> Callers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in self._threads)

    def _run(self, call: Callable[[int], None], first: int) -> None:
        due = time.monotonic() + first / RATE
        while not self._end.wait(max(0.0, due - time.monotonic())):
            call(next(self._count))
            due += CALLERS / RATE


def filled(server: Server) -> None:
    with server.client(collection="shop") as client:
        client.create_collection("shop")
        client.upsert([Item(f"i{n}", text=f"red shoe {n}") for n in range(50)]).raise_for_errors()


def test_callers_who_retry_notice_nothing(tiny: Tiny, tmp_path: Path) -> None:
    first = Server(tiny.models, tmp_path / "data", lame_duck_seconds=0.5)
    filled(first)
    failed: list[str] = []
    stored: list[str] = []
    # The waits of a client are to last longer than a restart, which takes seconds.
    patient = itemlens.Retry(attempts=30, maximum=2.0)
    client = itemlens.Client(first.address, collection="shop", timeout=60, retry=patient)

    def call(n: int) -> None:
        try:
            if n % 4:
                client.recommend(text=f"shoe {n % 9}")
            else:
                client.upsert([Item(f"new-{n}", text="blue shoe")]).raise_for_errors()
                stored.append(f"new-{n}")
        except itemlens.ItemlensError as error:
            failed.append(str(error))

    with client, Callers(call):
        time.sleep(1.5)
        with first:
            first.terminate()
            assert first.wait() == 0
        second = Server(tiny.models, tmp_path / "data", "--listen", f"127.0.0.1:{first.port}")
        time.sleep(1.5)
    with second, second.client(collection="shop") as reader:
        assert failed == []
        assert len(stored) > 10
        assert set(stored) <= {found.item.item_id for found in reader.list_items()}


def test_no_accepted_call_is_lost(tiny: Tiny, tmp_path: Path) -> None:
    ends: Counter[str] = Counter()
    stored: list[str] = []
    acknowledged: list[str] = []
    with Server(tiny.models, tmp_path / "data", lame_duck_seconds=0.5) as server:
        filled(server)

        def call(n: int) -> None:
            try:
                if n % 4:
                    user = common_pb2.UserSide(liked_item_ids=["i1"])
                    request = itemlens_pb2.RecommendRequest(collection="shop", user=user, k=5)
                    server.item_lens.Recommend(request, timeout=20)
                else:
                    server.catalog.UpsertItems(upsert(f"new-{n}"), timeout=20)
                    stored.append(f"new-{n}")
                ends["OK"] += 1
            except grpc.RpcError as error:
                ends[end_of(error)] += 1

        def stream(number: int) -> None:
            def requests() -> Iterator[Any]:
                for n in itertools.count():
                    yield catalog_pb2.StreamUpsertItemsRequest(upsert=upsert(f"stream-{number}-{n}"))
                    time.sleep(0.05)

            try:
                for n, _ in enumerate(server.catalog.StreamUpsertItems(requests(), timeout=60)):
                    acknowledged.append(f"stream-{number}-{n}")
            except grpc.RpcError as error:
                ends[f"stream: {end_of(error)}"] += 1

        def watch() -> None:
            watching = health_pb2_grpc.HealthStub(server.channel).Watch(health_pb2.HealthCheckRequest())
            told = [health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status) for reply in watching]
            ends[f"watch: {', '.join(told)}"] += 1

        threads = [threading.Thread(target=stream, args=(n,)) for n in range(5)]
        threads += [threading.Thread(target=watch) for _ in range(10)]
        for thread in threads:
            thread.start()
        with Callers(call):
            time.sleep(1.5)
            server.terminate()
            # Not `server.wait`, which closes the channel under running calls.
            assert server.process.wait(60) == 0
        for thread in threads:
            thread.join(30)
    assert set(ends) <= {"OK", "not accepted", "stream: not accepted", "watch: SERVING, NOT_SERVING"}, ends
    begun_and_cancelled = [line for line in server.log if '"code": "CANCELLED"' in line]
    assert begun_and_cancelled == []
    assert ends["OK"] > 20 and ends["watch: SERVING, NOT_SERVING"] == 10 and ends["stream: not accepted"] == 5
    with Server(tiny.models, tmp_path / "data") as again, again.client(collection="shop") as client:
        kept = {found.item.item_id for found in client.list_items()}
    assert set(stored) <= kept and set(acknowledged) <= kept


def upsert(item_id: str) -> catalog_pb2.UpsertItemsRequest:
    item = catalog_pb2.Item(item_id=item_id)
    item.contents.add(channel="text", text="blue shoe")
    return catalog_pb2.UpsertItemsRequest(collection="shop", items=[item])


def end_of(error: grpc.RpcError) -> str:
    assert isinstance(error, grpc.Call)
    told = error.details() or ""
    refused = error.code() is grpc.StatusCode.UNAVAILABLE and any(word in told for word in NOT_ACCEPTED)
    # gRPC ends so what arrives on open connections after the port has closed. The server sees nothing of it.
    refused |= error.code() is grpc.StatusCode.CANCELLED
    return "not accepted" if refused else f"{error.code().name}: {told}"
