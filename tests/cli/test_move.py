"""`itemlens move` against a real server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import itemlens
from support.command import Run
from support.serving import Server, sample_items
from support.spaces import Tiny


@pytest.fixture
def client(server: Server, tiny: Tiny) -> Iterator[itemlens.Client]:
    """A client of a separate collection, in the space that is not fitted."""
    with server.client(collection="moving") as client:
        client.create_collection("moving", space=tiny.plain)
        client.upsert(sample_items(6)).raise_for_errors()
        yield client
        client.delete_collection("moving")


def test_the_collection_answers_from_the_other_space(
    server: Server, client: itemlens.Client, tiny: Tiny, run: Run
) -> None:
    done = run("move", "moving", tiny.fitted, "--target", server.address)
    assert (done.status, done.out) == (0, f"collection moving uses space {tiny.fitted} now\n")
    assert client.get_collection().space_id == tiny.fitted
    assert client.recommend(text="red shoe").space_id == tiny.fitted


def test_a_space_of_other_encoders_is_refused(
    server: Server, client: itemlens.Client, tiny: Tiny, run: Run
) -> None:
    done = run("move", "moving", tiny.other, "--target", server.address)
    assert done.status == 1 and "encoder" in done.err and "Traceback" not in done.err
    assert client.get_collection().space_id == tiny.plain


@pytest.mark.parametrize(("collection", "space"), [("nope", ""), ("moving", "sp-nope")])
def test_an_unknown_collection_or_space_is_named(
    server: Server, client: itemlens.Client, tiny: Tiny, run: Run, collection: str, space: str
) -> None:
    done = run("move", collection, space or tiny.fitted, "--target", server.address)
    assert done.status == 1 and "nope" in done.err and "Traceback" not in done.err


def test_without_a_server_the_error_says_so(run: Run) -> None:
    done = run("move", "shop", "sp-1", "--target", "127.0.0.1:1")
    assert done.status == 1 and "no server answers at 127.0.0.1:1" in done.err
