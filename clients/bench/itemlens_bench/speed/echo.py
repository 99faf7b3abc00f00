"""The lowest cost of a call: a bare gRPC server whose replies have a fixed length, in a separate process (`python -m`
runs it), or a bare gRPC server within another process that answers with the result of a function."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import grpc

from itemlens._transport import channel_options
from itemlens_bench.speed.grpc_call import BytesCaller
from itemlens_bench.speed.target import Target

METHOD = "/bench.Echo/Echo"
THREADS = 2  # more only wait for each other
VECTOR_BYTES = 1600
"""The approximate length of a reply with a vector of 384 numbers."""


@dataclass(frozen=True)
class Echo:
    """An echo server to start. `reply_bytes`: length of each reply."""

    reply_bytes: int

    def start(self, port: int) -> subprocess.Popen[bytes]:
        """See Target."""
        command = [sys.executable, "-m", __name__, str(port), str(self.reply_bytes)]
        process = subprocess.Popen(command, start_new_session=True)
        address = f"127.0.0.1:{port}"
        with grpc.insecure_channel(address, options=channel_options(address)) as channel:
            grpc.channel_ready_future(channel).result(30)
        return process


def target(reply_bytes: int) -> Target:
    """An echo server with replies of this length."""
    return Target("grpc echo", Echo(reply_bytes).start, partial(BytesCaller, method=METHOD))


def listen(answer: Callable[[bytes], bytes], port: int = 0) -> tuple[grpc.Server, int]:
    """A server in this process that answers every request by `answer`, and its port; 0 takes a free port."""
    server = grpc.server(ThreadPoolExecutor(THREADS))
    method: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(
        lambda request, context: answer(request)
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench.Echo", {"Echo": method}),))
    port = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    return server, port


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("reply_bytes", type=int)
    given = parser.parse_args()
    reply = bytes(given.reply_bytes)
    server, _ = listen(lambda request: reply, given.port)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
