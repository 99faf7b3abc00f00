"""The gRPC server: one event loop in its own thread, which accepts calls and sends replies."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future

import grpc
import uvloop
from grpc_health.v1 import health as health_service
from grpc_reflection.v1alpha import reflection

from itemlens_server.access.guard import Guard
from itemlens_server.config import Settings
from itemlens_server.errors import FailedPrecondition
from itemlens_server.rpc.calls import not_of_gone_callers
from itemlens_server.rpc.credentials import server_credentials
from itemlens_server.rpc.standard import Health, Reflection
from itemlens_server.rpc.streams import OpenStreams

# The shortest interval of keepalive pings that is accepted. gRPC's default, 5 minutes, would end idle streams.
PING_SECONDS = 5

# The time for a connection's handshake. gRPC's default, 2 minutes, would let silent connections use up all file
# descriptors.
HANDSHAKE_SECONDS = 10

# The event loop is alive if it did something lately.
BEAT_SECONDS, STUCK_SECONDS = 1.0, 30.0

# Bounds of the calls that wait until the event loop accepts them. Above the first, gRPC drops calls at random, with
# CANCELLED, so a burst of 8,000 honest calls must stay below it. The limit of streams per connection bounds the cost of
# resets.
PENDING_CALLS, MOST_PENDING_CALLS = 10_000, 16_000


class GrpcServer:
    """Serves what `register` adds, with health and reflection of `services`."""

    def __init__(
        self,
        register: Callable[[grpc.aio.Server, OpenStreams], None],
        services: Sequence[str],
        settings: Settings,
        guard: Guard,
    ) -> None:
        """`guard`: lets callers of reflection in.

        Raises:
            FailedPrecondition: the certificates cannot be used.
        """
        self._register = register
        self._services = services
        self._listen = settings.listen
        files = settings.certificate_files()
        self._credentials = None if files is None else server_credentials(files)
        self._guard = guard
        self._most_watches = settings.max_streams
        self._streams = OpenStreams(settings.max_streams, settings.stream_idle_seconds)
        self._options = [
            ("grpc.max_receive_message_length", settings.max_message_bytes),
            ("grpc.max_send_message_length", settings.max_message_bytes),
            ("grpc.so_reuseport", 0),
            # Keepalive pings end the connection of a caller whose machine is gone without closing it.
            ("grpc.keepalive_time_ms", 60_000),
            ("grpc.keepalive_timeout_ms", 20_000),
            ("grpc.http2.min_ping_interval_without_data_ms", PING_SECONDS * 1000),
            ("grpc.http2.min_recv_ping_interval_without_data_ms", PING_SECONDS * 1000),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.max_concurrent_streams", settings.max_streams_per_connection),
            # Connections that say nothing end soon: each takes a file descriptor.
            ("grpc.server_handshake_timeout_ms", HANDSHAKE_SECONDS * 1000),
            ("grpc.server.max_pending_requests", PENDING_CALLS),
            ("grpc.server.max_pending_requests_hard_limit", MOST_PENDING_CALLS),
        ]
        logging.getLogger("grpc._cython.cygrpc").addFilter(not_of_gone_callers)
        self._port: Future[int] = Future()
        self._stop: Callable[[float, float], None] = lambda *_: None
        self._beat: float | None = None
        self._thread = threading.Thread(target=self._run, name="grpc", daemon=True)

    def start(self) -> int:
        """Start serving, and return the port.

        Raises:
            FailedPrecondition: the address is in use.
        """
        self._thread.start()
        return self._port.result()

    @property
    def responsive(self) -> bool:
        """Whether the event loop turns, or has not begun."""
        return self._beat is None or time.monotonic() - self._beat < STUCK_SECONDS

    def stop(self, lame_duck_seconds: float, drain_seconds: float) -> None:
        """Report NOT_SERVING, and after `lame_duck_seconds` refuse new calls, end streams between two requests, and
        give running calls `drain_seconds` to finish."""
        self._stop(lame_duck_seconds, drain_seconds)
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            try:
                runner.run(self._serve())
            except BaseException as error:
                if self._port.done():
                    raise
                self._port.set_exception(error)  # for the caller of `start`

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        stopping: asyncio.Future[tuple[float, float]] = loop.create_future()
        server = grpc.aio.server(options=self._options)
        health = Health(self._services, self._most_watches)
        names = (*self._services, health_service.SERVICE_NAME, reflection.SERVICE_NAME)
        server.add_generic_rpc_handlers(
            (health.handlers(), Reflection(names, self._streams, self._guard).handlers())
        )
        self._register(server, self._streams)
        try:
            if self._credentials is None:
                port = server.add_insecure_port(self._listen)
            else:
                port = server.add_secure_port(self._listen, self._credentials)
        except RuntimeError as error:
            raise FailedPrecondition(f"cannot listen on {self._listen}: {error}; change --listen") from error
        await server.start()

        def stop(lame_duck: float, drain: float) -> None:
            loop.call_soon_threadsafe(stopping.set_result, (lame_duck, drain))

        def beat() -> None:
            self._beat = time.monotonic()
            loop.call_later(BEAT_SECONDS, beat)

        beat()
        self._stop = stop
        self._port.set_result(port)
        lame_duck_seconds, drain_seconds = await stopping
        health.stop()
        await asyncio.sleep(lame_duck_seconds)
        self._streams.stop()
        await server.stop(drain_seconds)
