"""SIGTERM and SIGINT: open streams and running work do not delay the stop."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from itemlens.v1 import catalog_pb2, common_pb2
from support.serving import Server
from support.spaces import Tiny

# Longer than any test waits: the stops in these tests do not wait for the drain.
DRAIN = 100_000

# The command line in a process in which `app.Server` never finishes starting.
STARTING = """
import sys, threading
from itemlens_server import stop_signals
stop_signals.StopSignals.block()
from itemlens_server import app
def start(*_, **__):
    print("starting", file=sys.stderr, flush=True)
    threading.Event().wait()
app.Server = start
from itemlens_cli import main
main()
"""
# The command line in a process in which a library has replaced Python's handlers and started threads that wait.
HANDLED = """
import ctypes, threading
from itemlens_server import stop_signals
stop_signals.StopSignals.block()
from itemlens_server.rpc import server
start = server.GrpcServer.start
def replaced(self):
    for number in (2, 15):
        ctypes.CDLL(None).signal(number, ctypes.c_void_p(1))
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    return start(self)
server.GrpcServer.start = replaced
from itemlens_cli import main
main()
"""


def upsert(item_id: str) -> catalog_pb2.StreamUpsertItemsRequest:
    item = catalog_pb2.Item(item_id=item_id, contents=[common_pb2.Content(channel="text", text="red shoe")])
    return catalog_pb2.StreamUpsertItemsRequest(upsert=catalog_pb2.UpsertItemsRequest(items=[item]))


def then_silence(*requests: Any) -> Iterator[Any]:
    yield from requests
    threading.Event().wait()


def test_watches_and_streams_that_wait_for_their_callers_end_at_once(tiny: Tiny, tmp_path: Path) -> None:
    with Server(tiny.models, tmp_path, drain_seconds=DRAIN) as server:
        # Arrange
        watch = health_pb2_grpc.HealthStub(server.channel).Watch(health_pb2.HealthCheckRequest())
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        upload = server.catalog.StreamUpsertItems(then_silence(upsert("a")))
        assert next(upload).upsert.results[0].id == "a"
        unused = server.catalog.StreamRecordEvents(then_silence())
        reflection = reflection_pb2_grpc.ServerReflectionStub(server.channel).ServerReflectionInfo(
            then_silence(reflection_pb2.ServerReflectionRequest(list_services=""))
        )
        next(reflection)
        # Act
        server.terminate()
        # Assert
        assert [reply.status for reply in watch] == [health_pb2.HealthCheckResponse.NOT_SERVING]
        for stream in (upload, unused, reflection):
            with pytest.raises(grpc.RpcError, match="send unacknowledged requests again"):
                next(stream)
            assert stream.code() is grpc.StatusCode.UNAVAILABLE
        assert server.wait() == 0
    with Server(tiny.models, tmp_path) as again, again.client() as client:
        assert client.get_collection().item_count == 1


def test_a_second_signal_ends_the_drain(tiny: Tiny, tmp_path: Path) -> None:
    server = Server(tiny.models, tmp_path, drain_seconds=DRAIN)
    # A call without an answer, because its request is never complete.
    stream: grpc.StreamUnaryMultiCallable[bytes, bytes] = server.channel.stream_unary(
        "/itemlens.v1.ItemLens/GetSpace"
    )
    call = stream.future(then_silence())
    assert server.healthy()
    server.terminate()
    server.wait_for_log("draining")
    assert server.process.poll() is None
    server.terminate()
    assert server.wait() == 1
    call.cancel()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_while_it_starts(number: signal.Signals, tiny: Tiny, tmp_path: Path) -> None:
    command = [sys.executable, "-c", STARTING, "serve", "--models", str(tiny.models), "--data", str(tmp_path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "starting\n"
        process.send_signal(number)
        assert process.wait(timeout=60) == 0


def test_no_thread_but_the_first_takes_the_signals(tiny: Tiny, tmp_path: Path) -> None:
    stop = 1 << signal.SIGTERM - 1 | 1 << signal.SIGINT - 1
    with Server(tiny.models, tmp_path) as server:
        for task in Path(f"/proc/{server.process.pid}/task").iterdir():
            [blocked] = re.findall(r"SigBlk:\s*(\w+)", (task / "status").read_text())
            assert task.name == str(server.process.pid) or int(blocked, 16) & stop == stop


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("whom", ["the process", "a thread of it"])
def test_it_stops_whatever_libraries_do_to_the_handlers(
    number: signal.Signals, whom: str, tiny: Tiny, tmp_path: Path
) -> None:
    server = Server(tiny.models, tmp_path, python=[sys.executable, "-c", HANDLED])
    process = server.process.pid
    threads = sorted(int(task.name) for task in Path(f"/proc/{process}/task").iterdir())
    os.kill(process if whom == "the process" else threads[-1], number)
    assert server.wait() == 0
