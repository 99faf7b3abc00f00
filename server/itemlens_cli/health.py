"""`itemlens health`."""

from __future__ import annotations

import os
from typing import Annotated

import typer


def health(
    target: Annotated[
        str, typer.Option(help="server to ask; default: localhost and the port of ITEMLENS_LISTEN")
    ] = "",
    timeout: Annotated[float, typer.Option(help="seconds")] = 2.0,
) -> None:
    """Ask a server's health service; status 0 if it serves."""
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    port = os.environ.get("ITEMLENS_LISTEN", "127.0.0.1:50051").rpartition(":")[2]
    with grpc.insecure_channel(target or f"127.0.0.1:{port}") as channel:
        try:
            reply = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), timeout=timeout
            )
        except grpc.RpcError as error:
            typer.echo(f"not serving: {error.code().name}: {error.details()}")
            raise typer.Exit(1) from error
    typer.echo(health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status))
    raise typer.Exit(0 if reply.status == health_pb2.HealthCheckResponse.SERVING else 1)
