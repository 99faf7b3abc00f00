"""Calls over a real socket, as the observer receives them."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from itemlens.v1 import catalog_pb2, catalog_pb2_grpc, common_pb2, itemlens_pb2, itemlens_pb2_grpc
from itemlens_server.app import Server
from itemlens_server.config import Settings
from itemlens_server.observer import FinishedBatch, FinishedCall
from support import raw
from support.spaces import Tiny

ENCODE = "/itemlens.v1.ItemLens/Encode"
SPACE = "/itemlens.v1.ItemLens/GetSpace"
STREAM = "/itemlens.v1.Catalog/StreamUpsertItems"


class Recorder:
    """An observer that records calls and batches."""

    def __init__(self) -> None:
        self.started: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.finished: queue.SimpleQueue[FinishedCall] = queue.SimpleQueue()
        self.batches: list[FinishedBatch] = []

    def call_started(self, method: str) -> None:
        self.started.put(method)

    def call_finished(self, call: FinishedCall) -> None:
        self.finished.put(call)

    def batch_run(self, batch: FinishedBatch) -> None:
        self.batches.append(batch)

    def one_call(self) -> tuple[str, str, int, int]:
        """Method, code and bytes of the next finished call. It must be the only started one."""
        call = self.finished.get(timeout=10)
        assert self.started.get(timeout=0) == call.method
        assert self.started.empty() and self.finished.empty()
        assert 0 < call.seconds < 10
        return call.method, call.code, call.request_bytes, call.response_bytes


@pytest.fixture(scope="module")
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture(scope="module")
def channel(
    recorder: Recorder, tiny: Tiny, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[grpc.Channel]:
    settings = Settings(
        models=tiny.models, data=tmp_path_factory.mktemp("data"), listen="127.0.0.1:0", threads=2, max_calls=2,
        max_streams=3, max_message_bytes=20_000,
    )  # fmt: skip
    server = Server(settings, observer=recorder)
    port = server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    server.stop()


class Held:
    """Holds every call of GetSpace until `go` is set."""

    def __init__(self) -> None:
        self.entered: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.go = threading.Event()

    def __call__(self, *_: object) -> itemlens_pb2.GetSpaceResponse:
        self.entered.put(None)
        self.go.wait(timeout=60)
        return itemlens_pb2.GetSpaceResponse()


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    holding = Held()
    monkeypatch.setattr("itemlens_server.rpc.spaces.GetSpace.__call__", holding)
    yield holding
    holding.go.set()


def encode_request(*texts: str) -> itemlens_pb2.EncodeRequest:
    return itemlens_pb2.EncodeRequest(
        inputs=[common_pb2.Content(channel="text", text=text) for text in texts]
    )


def upsert(item_id: str, text: str = "red shoe") -> catalog_pb2.StreamUpsertItemsRequest:
    item = catalog_pb2.Item(item_id=item_id, contents=[common_pb2.Content(channel="text", text=text)])
    return catalog_pb2.StreamUpsertItemsRequest(upsert=catalog_pb2.UpsertItemsRequest(items=[item]))


def test_a_call_that_goes_well(channel: grpc.Channel, recorder: Recorder) -> None:
    request = encode_request("red shoe", "a dress")
    recorder.batches.clear()
    reply = itemlens_pb2_grpc.ItemLensStub(channel).Encode(request, timeout=10)
    assert recorder.one_call() == (ENCODE, "OK", request.ByteSize(), reply.ByteSize())
    assert sum(batch.inputs for batch in recorder.batches) == 2
    assert all(batch.encoder.startswith("text-") for batch in recorder.batches)


def test_a_call_that_is_wrong(channel: grpc.Channel, recorder: Recorder) -> None:
    with pytest.raises(grpc.RpcError):
        itemlens_pb2_grpc.ItemLensStub(channel).Encode(itemlens_pb2.EncodeRequest(), timeout=10)
    assert recorder.one_call() == (ENCODE, "INVALID_ARGUMENT", 0, 0)


def test_bytes_that_are_no_message(channel: grpc.Channel, recorder: Recorder) -> None:
    with pytest.raises(grpc.RpcError):
        raw.unary_unary(channel, ENCODE)(b"\xff" * 7, timeout=10)
    assert recorder.one_call() == (ENCODE, "INVALID_ARGUMENT", 7, 0)


def test_an_answer_that_is_too_large(channel: grpc.Channel, recorder: Recorder) -> None:
    request = encode_request(*["red"] * 256)
    with pytest.raises(grpc.RpcError, match="a message may have 20000"):
        itemlens_pb2_grpc.ItemLensStub(channel).Encode(request, timeout=10)
    assert recorder.one_call() == (ENCODE, "INVALID_ARGUMENT", request.ByteSize(), 0)


def test_a_fault_of_ours(channel: grpc.Channel, recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("itemlens_server.rpc.encode.ready", None)
    with pytest.raises(grpc.RpcError, match="internal error"):
        itemlens_pb2_grpc.ItemLensStub(channel).Encode(encode_request("red"), timeout=10)
    assert recorder.one_call()[:2] == (ENCODE, "INTERNAL")


def test_a_stream_with_a_request_that_fails_alone(channel: grpc.Channel, recorder: Recorder) -> None:
    requests = [upsert("a"), catalog_pb2.StreamUpsertItemsRequest(), upsert("b", text="")]
    stub = catalog_pb2_grpc.CatalogStub(channel)
    replies = list(stub.StreamUpsertItems(iter(requests), timeout=10))
    assert [bool(reply.upsert.results[0].status.code) for reply in replies] == [False, True, True]
    sizes = [sum(message.ByteSize() for message in messages) for messages in (requests, replies)]
    assert recorder.one_call() == (STREAM, "OK", *sizes)


def held_open() -> tuple[Iterator[catalog_pb2.StreamUpsertItemsRequest], threading.Event]:
    """One request, then nothing until the event is set."""
    ended = threading.Event()

    def requests() -> Iterator[catalog_pb2.StreamUpsertItemsRequest]:
        yield upsert("a")
        ended.wait()

    return requests(), ended


def test_a_caller_who_hangs_up(channel: grpc.Channel, recorder: Recorder) -> None:
    requests, ended = held_open()
    stream = catalog_pb2_grpc.CatalogStub(channel).StreamUpsertItems(requests)
    size = next(stream).ByteSize()
    stream.cancel()
    ended.set()
    assert recorder.one_call() == (STREAM, "CANCELLED", upsert("a").ByteSize(), size)


def test_a_deadline_that_passes(channel: grpc.Channel, recorder: Recorder) -> None:
    requests, ended = held_open()
    stream = catalog_pb2_grpc.CatalogStub(channel).StreamUpsertItems(requests, timeout=0.5)
    with pytest.raises(grpc.RpcError):
        list(stream)
    ended.set()
    assert recorder.one_call()[:2] == (STREAM, "DEADLINE_EXCEEDED")


def test_a_call_past_those_that_may_be_open(channel: grpc.Channel, recorder: Recorder, held: Held) -> None:
    stub = itemlens_pb2_grpc.ItemLensStub(channel)
    open_calls = [stub.GetSpace.future(itemlens_pb2.GetSpaceRequest()) for _ in range(2)]
    for _ in range(2):
        held.entered.get(timeout=10)
    with pytest.raises(grpc.RpcError) as refused:
        stub.Encode(encode_request("red"), timeout=10)
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    held.go.set()
    for call in open_calls:
        call.result()
    calls = [(c.method, c.code) for c in (recorder.finished.get(timeout=10) for _ in range(3))]
    # A call is observed when its answer has gone out, so the order is open.
    assert sorted(calls) == [(ENCODE, "RESOURCE_EXHAUSTED"), (SPACE, "OK"), (SPACE, "OK")]
    assert [recorder.started.get(timeout=0) for _ in range(3)] == [SPACE, SPACE, ENCODE]


def test_idle_streams_do_not_count_as_calls_and_the_longest_idle_makes_room(
    channel: grpc.Channel, recorder: Recorder
) -> None:
    stub = catalog_pb2_grpc.CatalogStub(channel)
    held = [held_open() for _ in range(4)]
    streams = []
    for requests, _ in held:
        streams.append(stub.StreamUpsertItems(requests))
        next(streams[-1])
    assert itemlens_pb2_grpc.ItemLensStub(channel).Encode(encode_request("red"), timeout=10)
    with pytest.raises(grpc.RpcError, match="this one was idle longest") as ended:
        next(streams[0])
    assert ended.value.code() is grpc.StatusCode.UNAVAILABLE
    for _, event in held:
        event.set()
    assert [list(stream) for stream in streams[1:]] == [[], [], []]
    codes = sorted(recorder.finished.get(timeout=10).code for _ in range(5))
    assert codes == ["OK", "OK", "OK", "OK", "UNAVAILABLE"]
    for _ in range(5):
        recorder.started.get(timeout=0)


def test_an_observer_that_raises_changes_no_answer(
    tiny: Tiny, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Raises:
        def __getattr__(self, name: str) -> object:
            def told(*values: object) -> None:
                raise RuntimeError(name)

            return told

    settings = Settings(models=tiny.models, data=tmp_path, listen="127.0.0.1:0", threads=2)
    raises: Any = Raises()
    server = Server(settings, observer=raises)
    with grpc.insecure_channel(f"127.0.0.1:{server.start()}") as channel:
        for _ in range(3):
            reply = itemlens_pb2_grpc.ItemLensStub(channel).Encode(encode_request("red"), timeout=10)
            assert reply.matrices[0].rows == 1
    server.stop()
    assert [r.message for r in caplog.records].count(
        "the observer raised an exception; further ones are not logged"
    ) == 1
