"""`itemlens health` checks the server that `itemlens serve` starts with the same settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from support.command import Run
from support.serving import Server

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING

Listening = Callable[[str], int]


@pytest.fixture
def servicer() -> health.HealthServicer:
    servicer = health.HealthServicer()
    servicer.set("", SERVING)
    return servicer


@pytest.fixture
def listen(servicer: health.HealthServicer) -> Iterator[Listening]:
    """Starts a health service on an address. Returns its port."""
    servers: list[grpc.Server] = []

    def listen(address: str) -> int:
        server = grpc.server(futures.ThreadPoolExecutor(1))
        servers.append(server)
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
        port = server.add_insecure_port(address)
        server.start()
        return port

    yield listen
    for server in servers:
        server.stop(0).wait()


def test_a_server_that_serves(server: Server, run: Run) -> None:
    done = run("health", "--target", server.address)
    assert (done.status, done.out) == (0, "SERVING\n")


def test_a_server_that_does_not_serve(listen: Listening, servicer: health.HealthServicer, run: Run) -> None:
    port = listen("127.0.0.1:0")
    servicer.set("", NOT_SERVING)
    done = run("health", "--target", f"127.0.0.1:{port}")
    assert (done.status, done.out) == (1, "NOT_SERVING\n")


def test_no_server(run: Run) -> None:
    done = run("health", "--target", "127.0.0.1:1")
    assert done.status == 1 and done.out.startswith("not serving at 127.0.0.1:1: UNAVAILABLE")


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost", "[::1]", "[::]"])
def test_the_address_comes_from_the_settings(
    host: str, listen: Listening, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    try:
        port = listen(f"{host}:0")
    except RuntimeError:
        pytest.skip(f"NOT RUN: this machine cannot listen on {host}")
    monkeypatch.setenv("ITEMLENS_LISTEN", f"{host}:{port}")
    assert run("health").status == 0
    # As for `serve`, the environment takes precedence over the file.
    config = tmp_path / "itemlens.yaml"
    config.write_text("listen: 127.0.0.1:1\n")
    assert run("health", "--config", config).status == 0
    monkeypatch.delenv("ITEMLENS_LISTEN")
    assert "not serving at 127.0.0.1:1" in run("health", "--config", config).out
    config.write_text(f"listen: '{host}:{port}'\n")
    assert run("health", "--config", config).status == 0


@pytest.mark.parametrize("kind", ["unix", "unix-abstract"])
def test_the_address_may_be_a_unix_socket(
    kind: str, listen: Listening, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    address = f"{kind}:{tmp_path / 'health.sock'}"
    listen(address)
    monkeypatch.setenv("ITEMLENS_LISTEN", address)
    assert run("health").status == 0


def test_a_proxy_in_the_environment_is_not_used_for_this_machine(
    listen: Listening, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("http_proxy", "https_proxy", "grpc_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("ITEMLENS_LISTEN", f"0.0.0.0:{listen('127.0.0.1:0')}")
    assert run("health").status == 0
    done = run("health", "--target", "shop.invalid:50051", "--timeout", "5")
    assert done.status == 1 and "through the proxy 127.0.0.1:1 (from " in done.out
