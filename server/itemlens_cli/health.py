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
    """Check a server. Exit status 0 if it serves, else 1.

    It asks the health service, or /ready on the port of the setting `monitoring`, if there is one, which needs no
    certificate.
    """
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    from itemlens._transport import failure, open_channel
    from itemlens_cli.connection import checked_target, credentials
    from itemlens_server.address import Address
    from itemlens_server.config import Settings

    if not target:
        settings = Settings.read(config)
        if settings.monitoring:
            raise typer.Exit(0 if _ready(Address.parse(settings.monitoring).target, timeout) else 1)
        target = Address.parse(settings.listen).target
    asked = checked_target(target)
    with open_channel(asked, credentials()["tls"]) as channel:
        try:
            reply = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), timeout=timeout
            )
        except grpc.RpcError as error:
            typer.echo(f"not serving at {asked}: {failure(error, asked, closed=False)}")
            raise typer.Exit(1) from error
    typer.echo(health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status))
    raise typer.Exit(0 if reply.status == health_pb2.HealthCheckResponse.SERVING else 1)


def _ready(address: str, timeout: float) -> bool:
    """Whether the HTTP port of a server says that it is ready. Tell what it says."""
    from urllib.error import HTTPError, URLError
    from urllib.request import urlopen

    try:
        with urlopen(f"http://{address}/ready", timeout=timeout) as reply:
            said = reply.read().decode().strip()
            good = True
    except HTTPError as error:
        said, good = error.read().decode(errors="replace").strip(), False
    except (URLError, OSError) as error:
        said, good = f"not serving at {address}: {error}", False
    typer.echo(said)
    return good
