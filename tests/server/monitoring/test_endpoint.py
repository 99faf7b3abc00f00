"""The HTTP port: pages, and callers that do harm."""

from __future__ import annotations

import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, Gauge

from itemlens_server.address import Address
from itemlens_server.errors import FailedPrecondition
from itemlens_server.monitoring import endpoint
from itemlens_server.monitoring.endpoint import Endpoint


class State:
    live = True
    ready = False


@pytest.fixture
def state() -> State:
    return State()


@pytest.fixture
def served(state: State) -> Iterator[Endpoint]:
    registry = CollectorRegistry()
    Gauge("items", "Items.", registry=registry).set(3)
    served = Endpoint(Address.parse("127.0.0.1:0"), registry, lambda: state.live, lambda: state.ready)
    served.start()
    yield served
    served.close()


def get(served: Endpoint, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{served.port}{path}", timeout=10) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def answers(served: Endpoint) -> bool:
    try:
        return get(served, "/live")[0] == 200
    except OSError:
        return False


def test_metrics_are_in_prometheus_form(served: Endpoint) -> None:
    status, text = get(served, "/metrics?x=1")
    assert status == 200 and "items 3.0" in text and "# TYPE items gauge" in text


def test_live_and_ready_are_told_apart(served: Endpoint, state: State) -> None:
    assert (get(served, "/live"), get(served, "/ready")) == ((200, "live\n"), (503, "not ready\n"))
    state.live, state.ready = False, True
    assert (get(served, "/live"), get(served, "/ready")) == ((503, "not live\n"), (200, "ready\n"))


def test_another_path_says_what_is_here(served: Endpoint) -> None:
    status, text = get(served, "/")
    assert status == 404 and "/metrics" in text
    assert get(served, "/metrics/../../etc/passwd")[0] == 404


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00",
        b"GET",
        b"PRI * HTTP/2.0\r\n\r\n",
        b"POST /metrics HTTP/1.1\r\n\r\n",
        b"\r\n" * 500,
    ],
)
def test_what_is_no_get_does_no_harm(served: Endpoint, data: bytes) -> None:
    with socket.create_connection(("127.0.0.1", served.port)) as raw:
        raw.sendall(data)
    assert get(served, "/live")[0] == 200


def test_silent_connections_do_not_use_up_the_threads(
    served: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint._Handler, "timeout", 0.3)
    silent = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(100)]
    try:
        end = time.monotonic() + 10
        while not answers(served):
            assert time.monotonic() < end, "it does not answer any more"
            time.sleep(0.05)
    finally:
        for connection in silent:
            connection.close()


def test_a_page_that_fails_is_500_and_not_the_end(served: Endpoint, state: State) -> None:
    def fails() -> bool:
        raise ValueError

    state.__class__ = type("Failing", (State,), {"live": property(lambda _: fails())})
    assert get(served, "/live")[0] == 500 and get(served, "/metrics")[0] == 200


def test_an_address_in_use_is_told(served: Endpoint) -> None:
    with pytest.raises(
        FailedPrecondition, match=r"cannot listen on .* for metrics.*change the setting `monitoring`"
    ):
        Endpoint(Address.parse(f"127.0.0.1:{served.port}"), CollectorRegistry(), lambda: True, lambda: True)
