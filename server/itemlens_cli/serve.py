"""`itemlens serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from itemlens_server.config import Settings
from itemlens_server.stop_signals import StopSignals

_FIELDS = Settings.model_fields


def _option(name: str) -> typer.models.OptionInfo:
    described: typer.models.OptionInfo = typer.Option(
        help=f"{_FIELDS[name].description} [ITEMLENS_{name.upper()}]"
    )
    return described


def serve(
    config: Annotated[
        Path | None, typer.Option(help="YAML file of settings", exists=True, dir_okay=False)
    ] = None,
    listen: Annotated[str | None, _option("listen")] = None,
    models: Annotated[Path | None, _option("models")] = None,
    data: Annotated[Path | None, _option("data")] = None,
    space: Annotated[str | None, _option("space")] = None,
    provider: Annotated[str | None, _option("provider")] = None,
    precision: Annotated[str | None, _option("precision")] = None,
    threads: Annotated[int | None, _option("threads")] = None,
    log: Annotated[str | None, _option("log")] = None,
    tune: Annotated[
        bool,
        typer.Option(
            "--tune", help="measure again the fastest way to run each encoder on this machine, and save it"
        ),
    ] = False,
) -> None:
    """Serve a model repository and a store over gRPC until SIGTERM.

    Every setting (docs/settings.md) can also be given in the environment, as ITEMLENS_ and its name, or in a file.
    """
    # Heavy imports only where they are needed, so that `itemlens --help` is fast.
    from itemlens_server import app
    from itemlens_server.live_settings import LiveSettings

    def read() -> Settings:
        return Settings.read(
            config, listen=listen, models=models, data=data, space=space, provider=provider, precision=precision,
            threads=threads, log=log,
        )  # fmt: skip

    settings = read()
    app.serve(settings, StopSignals(), tune, LiveSettings(settings, config, read) if config else None)
