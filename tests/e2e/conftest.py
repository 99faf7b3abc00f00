"""One server for all tests that do not change it. Each test gets its own collection."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator

import pytest

import itemlens
from support.serving import Server, sample_items
from support.spaces import Tiny

_numbers = itertools.count()


@pytest.fixture(scope="session")
def server(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server over the tiny spaces; the fitted one is its default."""
    with Server(tiny.models, tmp_path_factory.mktemp("server") / "data") as running:
        yield running
    assert running.process.returncode == 0


@pytest.fixture(autouse=True)
def healthy_after(request: pytest.FixtureRequest) -> Iterator[None]:
    """After each test, check that the shared server serves and has logged no internal error."""
    yield
    if "server" in request.fixturenames:
        server: Server = request.getfixturevalue("server")
        assert server.healthy()
        faults = [line for line in server.log if "internal error" in line or "Traceback" in line]
        assert faults == [], "".join(server.log[-60:])


@pytest.fixture
def collection(server: Server) -> Iterator[str]:
    """The name of a new collection."""
    name = f"test-{next(_numbers)}"
    with server.client() as client:
        client.create_collection(name)
        yield name
        with contextlib.suppress(itemlens.NotFound):
            client.delete_collection(name)


@pytest.fixture
def client(server: Server, collection: str) -> Iterator[itemlens.Client]:
    """A client of the new collection."""
    with server.client(collection=collection) as connected:
        yield connected


@pytest.fixture(scope="session")
def sample(server: Server) -> Iterator[itemlens.Client]:
    """A client of a collection with 150 items, to read."""
    with server.client(collection="sample") as connected:
        connected.create_collection("sample")
        connected.upsert(sample_items(150)).raise_for_errors()
        yield connected
