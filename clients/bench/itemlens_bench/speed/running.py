"""A server that runs for the duration of a block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from itemlens import Client
from itemlens_bench.speed.ours import Ours


@contextmanager
def running(ours: Ours, port: int) -> Iterator[tuple[Client, int]]:
    """Start a server for the duration of the block. Yield its client and its process."""
    process = ours.start(port)
    try:
        with Client(f"127.0.0.1:{port}", timeout=600) as client:
            yield client, process.pid
    finally:
        process.terminate()
        process.wait(600)
