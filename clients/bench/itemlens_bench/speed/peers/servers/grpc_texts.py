"""A common gRPC server around an encoder: grpc.aio in front of a pool of threads."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import numpy as np
import uvloop

Array = np.ndarray[Any, np.dtype[np.float32]]


def serve(port: int, threads: int, encode: Callable[[Sequence[str]], Array]) -> None:
    """Serve `/bench.Texts/Encode` until the process is ended.

    A request is a JSON list of texts. A reply is the bytes of their vectors, float32 [texts, dimension]. `encode` runs
    in `threads` threads, with one call at a time in each.
    """
    pool = ThreadPoolExecutor(threads)

    def answer(request: bytes) -> bytes:
        return encode(json.loads(request)).astype(np.float32, copy=False).tobytes()

    async def handle(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        return await asyncio.get_running_loop().run_in_executor(pool, answer, request)

    async def run() -> None:
        server = grpc.aio.server()
        methods: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
            "Encode": grpc.unary_unary_rpc_method_handler(handle)
        }
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("bench.Texts", methods)])
        server.add_insecure_port(f"127.0.0.1:{port}")
        await server.start()
        await server.wait_for_termination()

    uvloop.run(run())
