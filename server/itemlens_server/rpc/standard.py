"""gRPC's own services: health, which needs no key, and reflection. Both end their streams when the server stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2

from itemlens_server.access.guard import Caller, Guard
from itemlens_server.access.quotas import Used
from itemlens_server.access.roles import Role
from itemlens_server.errors import NotFound, Overloaded, quoted
from itemlens_server.rpc.calls import Context, Exchange, Received, admitted, fail, parsed, receiver
from itemlens_server.rpc.streams import OpenStream, OpenStreams

Status = health_pb2.HealthCheckResponse


class Health:
    """The health service for `services`. It replaces the library's servicer, which keeps watches open after the stop,
    waits for slow watchers, and answers malformed requests with UNKNOWN."""

    def __init__(self, services: Sequence[str], most_watches: int) -> None:
        self._services = frozenset(["", *services])
        self._most_watches, self._watches = most_watches, 0
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Report NOT_SERVING from now on, and end the watches."""
        self._stopping.set()

    def handlers(self) -> grpc.GenericRpcHandler:
        """To be added to a server."""
        one, every = health_pb2.HealthCheckRequest, health_pb2.HealthListRequest
        methods: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            "Check": grpc.unary_unary_rpc_method_handler(self._check, receiver(one)),
            "List": grpc.unary_unary_rpc_method_handler(self._list, receiver(every)),
            "Watch": grpc.unary_stream_rpc_method_handler(self._watch, receiver(one)),
        }
        return grpc.method_handlers_generic_handler(health.SERVICE_NAME, methods)

    async def _check(self, received: Received, context: Context) -> bytes:
        try:
            request = parsed(received)
            if request.service not in self._services:
                raise NotFound(
                    f"there is no service {quoted(request.service)}", "service", request.service, "service"
                )
            return bytes(self._status().SerializeToString())
        except Exception as error:
            await fail(context, error, Exchange())

    async def _list(self, received: Received, context: Context) -> bytes:
        try:
            parsed(received)
            statuses = {service: self._status() for service in self._services}
            return bytes(health_pb2.HealthListResponse(statuses=statuses).SerializeToString())
        except Exception as error:
            await fail(context, error, Exchange())

    async def _watch(self, received: Received, context: Context) -> None:
        self._watches += 1
        try:
            if self._watches > self._most_watches:  # it needs no key
                raise Overloaded(f"{self._most_watches} watches are open already", retry_seconds=1.0)
            known = parsed(received).service in self._services
            first = self._status() if known else Status(status=Status.SERVICE_UNKNOWN)
            await context.write(first.SerializeToString())
            await self._stopping.wait()
            if known:
                await context.write(self._status().SerializeToString())
        except Exception as error:
            await fail(context, error, Exchange())
        finally:
            self._watches -= 1

    def _status(self) -> health_pb2.HealthCheckResponse:
        return Status(status=Status.NOT_SERVING if self._stopping.is_set() else Status.SERVING)


class Reflection:
    """The library's reflection of `services`, over streams that the server can end."""

    def __init__(self, services: Sequence[str], streams: OpenStreams, guard: Guard) -> None:
        self._guard = guard
        self._servicer = reflection.aio.ReflectionServicer(services)
        self._streams = streams

    def handlers(self) -> grpc.GenericRpcHandler:
        """To be added to a server."""
        request = reflection_pb2.ServerReflectionRequest
        methods: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}
        methods["ServerReflectionInfo"] = grpc.stream_stream_rpc_method_handler(self._info, receiver(request))
        return grpc.method_handlers_generic_handler(reflection.SERVICE_NAME, methods)

    async def _info(self, requests: AsyncIterator[Received], context: Context) -> None:
        try:
            caller = admitted(context, self._guard, Role.READ, Exchange())
            with self._streams.opened(caller.name) as stream:
                said = self._requests(requests, caller, stream)
                async for reply in self._servicer.ServerReflectionInfo(said, context):
                    await stream.write(context.write(reply.SerializeToString()))
        except Exception as error:
            await fail(context, error, Exchange())

    async def _requests(
        self, requests: AsyncIterator[Received], caller: Caller, stream: OpenStream
    ) -> AsyncIterator[reflection_pb2.ServerReflectionRequest]:
        while (received := await stream.read(requests)) is not None:
            caller.check(Role.READ)
            caller.spend(Used.CALLS, 1)
            yield parsed(received)
