"""`itemlens health`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def health(
    target: Annotated[
        str,
        typer.Option(
            help="the server to check; default: the address that `itemlens serve` takes with the same settings"
        ),
    ] = "",
    config: Annotated[
        Path | None, typer.Option(help="YAML file of the server's settings, if it has one")
    ] = None,
    timeout: Annotated[float, typer.Option(help="seconds to wait for the answer", min=0.1)] = 2.0,
) -> None:
    """Check a server with its health service. Exit status 0 if it serves, else 1."""
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    from itemlens._transport import channel_options, failure
    from itemlens_cli.connection import checked_target
    from itemlens_server.address import Address
    from itemlens_server.config import Settings

    asked = checked_target(target or Address.parse(Settings.read(config).listen).target)
    with grpc.insecure_channel(asked, options=channel_options(asked)) as channel:
        try:
            reply = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), timeout=timeout
            )
        except grpc.RpcError as error:
            typer.echo(f"not serving at {asked}: {failure(error, asked, closed=False)}")
            raise typer.Exit(1) from error
    typer.echo(health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status))
    raise typer.Exit(0 if reply.status == health_pb2.HealthCheckResponse.SERVING else 1)
