"""The messages of each peer's caller, against small servers that answer like the peer."""

from __future__ import annotations

import asyncio
import base64
import json
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from itemlens_bench.speed.peers.grpc_calls import TextsCaller, TritonCaller
from itemlens_bench.speed.peers.http_calls import InfinityCaller, LitServeCaller
from itemlens_bench.speed.target import Array, Caller, CallFailed, Refused

TEXTS = ["a red shoe", "鞋 “quoted”\n", "x" * 300]
DIMENSION = 3
VECTORS = np.arange(9, dtype=np.float32).reshape(3, DIMENSION) / 7


async def encoded(caller: Caller) -> Array:
    async with caller:
        return caller.unpack(await caller.send(caller.pack(TEXTS)))


Reply = tuple[int, bytes]
Answer = Callable[[str, Any], Reply]


@asynccontextmanager
async def http_server(answer: Answer, hang_up: bool = False) -> AsyncIterator[str]:
    """Answers POSTs; with `hang_up` it closes a connection after each reply, without notice."""

    connections: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        connections.append(task)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().split("\r\n")
                length = next(
                    int(line.split(":")[1]) for line in lines if line.lower().startswith("content-length")
                )
                status, body = answer(lines[0].split()[1], json.loads(await reader.readexactly(length)))
                writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
                if hang_up:
                    break
        except asyncio.IncompleteReadError:
            pass
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await asyncio.gather(*connections)


def lit_serve(path: str, body: Any) -> Reply:
    assert (path, body) == ("/predict", {"texts": TEXTS})
    return 200, VECTORS.tobytes()


def infinity(path: str, body: Any) -> Reply:
    assert path == "/embeddings"
    assert (body["input"], body["encoding_format"]) == (TEXTS, "base64")
    rows = [{"embedding": base64.b64encode(row.tobytes()).decode()} for row in VECTORS]
    return 200, json.dumps({"data": rows}).encode()


def test_litserve_round_trip() -> None:
    async def run() -> Array:
        async with http_server(lit_serve) as address:
            return await encoded(LitServeCaller(address, DIMENSION))

    assert (asyncio.run(run()) == VECTORS).all()


def test_infinity_round_trip() -> None:
    async def run() -> Array:
        async with http_server(infinity) as address:
            return await encoded(InfinityCaller(address, DIMENSION))

    assert (asyncio.run(run()) == VECTORS).all()


def test_connections_are_kept_open_one_for_each_call_in_flight() -> None:
    async def run() -> int:
        async with http_server(lit_serve) as address, LitServeCaller(address, DIMENSION) as caller:
            request = caller.pack(TEXTS)
            for _ in range(3):
                await asyncio.gather(*(caller.send(request) for _ in range(4)))
            return len(caller._idle)

    assert asyncio.run(run()) == 4


def test_a_connection_that_the_server_closed_is_replaced() -> None:
    async def run() -> None:
        async with http_server(lit_serve, hang_up=True) as address, LitServeCaller(address, 3) as caller:
            for _ in range(3):
                await caller.send(caller.pack(TEXTS))
                await asyncio.sleep(0.01)

    asyncio.run(run())


@pytest.mark.parametrize(("status", "error"), [(429, Refused), (503, Refused), (500, CallFailed)])
def test_an_http_status_becomes_an_error(status: int, error: type[Exception]) -> None:
    async def run() -> None:
        async with http_server(lambda path, body: (status, b"why")) as address:
            await encoded(LitServeCaller(address, DIMENSION))

    with pytest.raises(error):
        asyncio.run(run())


def test_a_call_fails_if_no_http_server_listens() -> None:
    with pytest.raises(CallFailed):
        asyncio.run(encoded(LitServeCaller("127.0.0.1:1", DIMENSION)))


@asynccontextmanager
async def grpc_server(service: str, method: str, answer: Callable[[bytes], bytes]) -> AsyncIterator[str]:
    async def handle(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        return answer(request)

    server = grpc.aio.server()
    methods: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
        method: grpc.unary_unary_rpc_method_handler(handle)
    }
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, methods)])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


def test_texts_round_trip() -> None:
    def answer(request: bytes) -> bytes:
        assert json.loads(request) == TEXTS
        return VECTORS.tobytes()

    async def run() -> Array:
        async with grpc_server("bench.Texts", "Encode", answer) as address:
            return await encoded(TextsCaller(address, DIMENSION))

    assert (asyncio.run(run()) == VECTORS).all()


def test_triton_round_trip() -> None:
    """The caller writes its messages by hand; here protobuf reads and writes them."""
    infer_request, infer_response = triton_messages()

    def answer(data: bytes) -> bytes:
        request = infer_request.FromString(data)
        tensor = request.inputs[0]
        assert (request.model_name, tensor.name, tensor.datatype) == ("texts", "texts", "BYTES")
        assert list(tensor.shape) == [len(TEXTS), 1]
        assert [output.name for output in request.outputs] == ["vectors"]
        raw = b"".join(struct.pack("<I", len(t.encode())) + t.encode() for t in TEXTS)
        assert list(request.raw_input_contents) == [raw]
        response = infer_response(model_name="texts", raw_output_contents=[VECTORS.tobytes()])
        response.outputs.add(name="vectors", datatype="FP32", shape=VECTORS.shape)
        reply: bytes = response.SerializeToString()
        return reply

    async def run() -> Array:
        async with grpc_server("inference.GRPCInferenceService", "ModelInfer", answer) as address:
            return await encoded(TritonCaller(address, DIMENSION))

    assert (asyncio.run(run()) == VECTORS).all()


def triton_messages() -> tuple[Any, Any]:
    """The used fields of Triton's ModelInferRequest and ModelInferResponse, with their numbers."""
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="triton_part.proto", package="t", syntax="proto3")

    def message(name: str, *fields: tuple[str, int, Any, bool, str]) -> None:
        descriptor = file.message_type.add(name=name)
        for field, number, kind, repeated, of in fields:
            label = kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL
            descriptor.field.add(name=field, number=number, type=kind, label=label, type_name=of or None)

    named = ("name", 1, kinds.TYPE_STRING, False, "")
    tensor = (named, ("datatype", 2, kinds.TYPE_STRING, False, ""), ("shape", 3, kinds.TYPE_INT64, True, ""))
    message("Tensor", *tensor)
    message("Output", named)
    message(
        "Request",
        ("model_name", 1, kinds.TYPE_STRING, False, ""),
        ("inputs", 5, kinds.TYPE_MESSAGE, True, ".t.Tensor"),
        ("outputs", 6, kinds.TYPE_MESSAGE, True, ".t.Output"),
        ("raw_input_contents", 7, kinds.TYPE_BYTES, True, ""),
    )
    message(
        "Response",
        ("model_name", 1, kinds.TYPE_STRING, False, ""),
        ("outputs", 5, kinds.TYPE_MESSAGE, True, ".t.Tensor"),
        ("raw_output_contents", 6, kinds.TYPE_BYTES, True, ""),
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    request, response = (
        message_factory.GetMessageClass(pool.FindMessageTypeByName(f"t.{name}"))
        for name in ("Request", "Response")
    )
    return request, response
