"""A server in this process for the tests of measurements."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

import itemlens
from itemlens_bench.quality.ask import Asking
from itemlens_server.app import Server
from itemlens_server.config import Settings


@contextmanager
def asking_of(models: Path, data: Path, space: str) -> Iterator[Asking]:
    """Asks a separate server whose default space is `space`."""
    settings = Settings(
        listen="127.0.0.1:0", models=models, data=data, space=space, provider="cpu", threads=1
    )
    server = Server(settings)
    port = server.start()
    try:
        with itemlens.Client(f"localhost:{port}") as client:
            yield Asking(client, Console(quiet=True))
    finally:
        server.stop()
