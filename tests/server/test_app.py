"""Stopping a server in process: what is accepted is answered, and what works for nobody is not waited for."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from itemlens.v1 import catalog_pb2, catalog_pb2_grpc, common_pb2
from itemlens_server import app
from itemlens_server.app import Server
from itemlens_server.config import Settings
from itemlens_server.engine.call_context import CallContext
from itemlens_server.errors import Cancelled, FailedPrecondition, SpaceMismatch
from itemlens_server.storage.store import Store
from itemlens_server.storage.writes import create_collection
from support import raw
from support.spaces import Tiny

# Nobody waits so long.
DRAIN = 100_000


class Blocked:
    """Does what it is in front of, but not before `go`."""

    def __init__(self, run: Any) -> None:
        self._run = run
        self.entered, self.go = threading.Event(), threading.Event()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.entered.set()
        assert self.go.wait(timeout=60)
        return self._run(*args, **kwargs)


@pytest.fixture
def server(tiny: Tiny, tmp_path: Path) -> Server:
    settings = Settings(
        models=tiny.models, data=tmp_path, listen="127.0.0.1:0", threads=2, drain_seconds=DRAIN
    )
    return Server(settings)


def upsert(item_id: str) -> catalog_pb2.StreamUpsertItemsRequest:
    item = catalog_pb2.Item(item_id=item_id, contents=[common_pb2.Content(channel="text", text="red shoe")])
    return catalog_pb2.StreamUpsertItemsRequest(upsert=catalog_pb2.UpsertItemsRequest(items=[item]))


def test_a_start_that_fails_unlocks_the_store(tiny: Tiny, tmp_path: Path) -> None:
    with contextlib.closing(Store(tmp_path)) as store:
        store.write(lambda connection: create_collection(connection, "lost", "sp-0000000000000000"))
    with pytest.raises(SpaceMismatch):
        Server(Settings(models=tiny.models, data=tmp_path, listen="127.0.0.1:0"))
    Store(tmp_path).close()


def test_an_item_that_was_read_is_stored_and_acknowledged_before_its_stream_ends(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = Blocked(server.catalogue.upsert)
    monkeypatch.setattr(server.catalogue, "upsert", blocked)
    more = threading.Event()

    def requests() -> Iterator[catalog_pb2.StreamUpsertItemsRequest]:
        yield upsert("a")
        more.wait(timeout=60)

    with grpc.insecure_channel(f"127.0.0.1:{server.start()}") as channel:
        stream = catalog_pb2_grpc.CatalogStub(channel).StreamUpsertItems(requests())
        assert blocked.entered.wait(timeout=60)
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        with pytest.raises(grpc.RpcError):  # until the stop is seen
            while True:
                raw.unary_unary(channel, "/itemlens.v1.ItemLens/GetSpace")(b"", timeout=10)
        blocked.go.set()
        assert next(stream).upsert.results[0].id == "a"
        with pytest.raises(grpc.RpcError, match="server is stopping") as ended:
            next(stream)
        assert ended.value.code() is grpc.StatusCode.UNAVAILABLE
        stopping.join(timeout=60)
        assert not stopping.is_alive()
        more.set()


def test_a_thread_that_works_for_nobody_is_not_waited_for_and_the_store_is_closed(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "END_SECONDS", 0.1)
    monkeypatch.setattr(app, "MAINTENANCE_SECONDS", 0.01)
    blocked = Blocked(lambda: False)
    monkeypatch.setattr(server.catalogue, "maintain", blocked)
    server.start()
    assert blocked.entered.wait(timeout=60)
    assert not server.stop()
    with pytest.raises(FailedPrecondition, match="store is closed"):
        server.store.write(lambda connection: None)
    blocked.go.set()
    server._end_threads()
    server.store.close()


def test_a_picture_that_is_being_decoded_does_not_hold_the_stop(server: Server) -> None:
    blocked, call = Blocked(lambda _: None), CallContext()

    def decode() -> None:
        with contextlib.suppress(Cancelled):
            server.encoder._workers.map(blocked, [b""], call)

    caller = threading.Thread(target=decode)
    server.start()
    caller.start()
    assert blocked.entered.wait(timeout=60)
    call.end()
    assert server.stop()
    assert not blocked.go.is_set()
    caller.join(timeout=60)
    assert not caller.is_alive()
    blocked.go.set()


def test_a_call_that_outlasts_the_drain_is_cut_off(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "END_SECONDS", 0.1)
    settings = Settings(models=tiny.models, data=tmp_path, listen="127.0.0.1:0", threads=2, drain_seconds=0.1)
    server = Server(settings)
    blocked = Blocked(server.catalogue.collections)
    monkeypatch.setattr(server.catalogue, "collections", blocked)
    monkeypatch.setattr(server.catalogue, "maintain", lambda: False)
    with grpc.insecure_channel(f"127.0.0.1:{server.start()}") as channel:
        call = raw.unary_unary(channel, "/itemlens.v1.Catalog/ListCollections").future(b"", timeout=60)
        assert blocked.entered.wait(timeout=60)
        assert not server.stop()
        with pytest.raises(grpc.RpcError):
            call.result()
    blocked.go.set()
    server._end_threads()
    server.store.close()


def test_with_nothing_to_do_all_threads_end(server: Server) -> None:
    server.start()
    assert server.stop()
