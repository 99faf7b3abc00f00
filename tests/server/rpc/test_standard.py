"""Health and reflection: malformed requests get INVALID_ARGUMENT and are not logged."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from itemlens_server.app import Server
from itemlens_server.config import Settings
from support import raw
from support.spaces import Tiny

HEALTH = "/grpc.health.v1.Health/"
GARBAGE = b"\xff" * 7


@pytest.fixture(scope="module")
def channel(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Iterator[grpc.Channel]:
    data = tmp_path_factory.mktemp("data")
    server = Server(Settings(models=tiny.models, data=data, listen="127.0.0.1:0", threads=2))
    with grpc.insecure_channel(f"127.0.0.1:{server.start()}") as channel:
        yield channel
    server.stop()


def refused(call: Iterable[object]) -> grpc.StatusCode:
    with pytest.raises(grpc.RpcError) as error:
        list(call)
    code = error.value.code()
    assert isinstance(code, grpc.StatusCode)
    return code


def test_garbage_is_an_invalid_argument(channel: grpc.Channel, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("Check", "List"):
        with pytest.raises(grpc.RpcError) as error:
            raw.unary_unary(channel, HEALTH + name)(GARBAGE, timeout=10)
        assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    watch = raw.unary_stream(channel, HEALTH + "Watch")
    assert refused(watch(GARBAGE, timeout=10)) is grpc.StatusCode.INVALID_ARGUMENT
    info = raw.stream_stream(channel, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
    assert refused(info(iter([GARBAGE]), timeout=10)) is grpc.StatusCode.INVALID_ARGUMENT
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []


def test_all_services_are_listed(channel: grpc.Channel) -> None:
    reply = health_pb2_grpc.HealthStub(channel).List(health_pb2.HealthListRequest(), timeout=10)
    assert set(reply.statuses) == {"", "itemlens.v1.ItemLens", "itemlens.v1.Catalog"}


def test_a_watch_of_an_unknown_service_says_so_and_stays(channel: grpc.Channel) -> None:
    watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service="nope"))
    assert next(watch).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
    assert watch.is_active()
    watch.cancel()


def test_reflection_answers_request_by_request(channel: grpc.Channel) -> None:
    requests = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(),
    ]
    replies = list(
        reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter(requests), timeout=10)
    )
    assert [reply.WhichOneof("message_response") for reply in replies] == [
        "list_services_response", "error_response",
    ]  # fmt: skip
