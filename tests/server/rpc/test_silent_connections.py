"""Connections that say nothing end, because each takes a file descriptor."""

from __future__ import annotations

import socket
import time

import pytest

from itemlens_server.access.guard import OpenDoor
from itemlens_server.config import Settings
from itemlens_server.rpc import server as module
from itemlens_server.rpc.server import GrpcServer


def test_a_connection_without_a_handshake_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HANDSHAKE_SECONDS", 1)
    server = GrpcServer(lambda *_: None, (), Settings(listen="127.0.0.1:0"), OpenDoor())
    port = server.start()
    try:
        began = time.monotonic()
        with socket.create_connection(("127.0.0.1", port), timeout=10) as silent:
            while silent.recv(1000):  # the server's own greeting
                pass
        assert 0.5 < time.monotonic() - began < 5
    finally:
        server.stop(0, 1)
