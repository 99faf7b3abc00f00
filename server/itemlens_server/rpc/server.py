"""The gRPC server: one event loop, in a thread of its own, that takes calls in and sends answers out."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future

import grpc
import uvloop
from grpc_health.v1 import health as health_service
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from itemlens_server.config import Settings
from itemlens_server.errors import FailedPrecondition


class GrpcServer:
    """Serves what `register` adds, with health and reflection of `services`."""

    def __init__(
        self,
        register: Callable[[grpc.aio.Server], None],
        services: Sequence[str],
        settings: Settings,
    ) -> None:
        self._register = register
        self._services = services
        self._listen = settings.listen
        self._options = [
            ("grpc.max_receive_message_length", settings.max_message_bytes),
            ("grpc.max_send_message_length", settings.max_message_bytes),
            ("grpc.so_reuseport", 0),
            # A caller whose machine is gone, without a word, must not be waited for for ever.
            ("grpc.keepalive_time_ms", 60_000),
            ("grpc.keepalive_timeout_ms", 20_000),
        ]
        self._port: Future[int] = Future()
        self._stop: Callable[[float], None] = lambda _: None
        self._thread = threading.Thread(target=self._run, name="grpc", daemon=True)

    def start(self) -> int:
        """Begin to serve; the port.

        Raises:
            FailedPrecondition: the address is taken.
        """
        self._thread.start()
        return self._port.result()

    def stop(self, drain_seconds: float) -> None:
        """No new calls; running ones get `drain_seconds` to finish."""
        self._stop(drain_seconds)
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            try:
                runner.run(self._serve())
            except BaseException as error:
                if self._port.done():
                    raise
                self._port.set_exception(error)  # to who waits in `start`

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        stopping: asyncio.Future[float] = loop.create_future()
        server = grpc.aio.server(options=self._options)
        health = health_service.aio.HealthServicer()
        self._register(server)
        health_pb2_grpc.add_HealthServicer_to_server(health, server)
        names = (*self._services, health_service.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, server)
        try:
            port = server.add_insecure_port(self._listen)
        except RuntimeError as error:
            raise FailedPrecondition(
                f"cannot listen on {self._listen}: {error}; give --listen another address"
            ) from error
        await server.start()
        for name in ("", *self._services):
            await health.set(name, health_pb2.HealthCheckResponse.SERVING)

        def stop(seconds: float) -> None:
            loop.call_soon_threadsafe(stopping.set_result, seconds)

        self._stop = stop
        self._port.set_result(port)
        drain_seconds = await stopping
        await health.enter_graceful_shutdown()
        await server.stop(drain_seconds)
