"""The server sends each error that the client's docstrings promise."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest

import itemlens
from itemlens import Client, Event, FuseInput, Item, ItemUpdate, OwnEventType, StreamPosition, Vector
from support.serving import Server
from support.spaces import Tiny


def vector_of_another_space(client: Client, tiny: Tiny) -> Vector | None:
    return client.fuse([FuseInput(text="red")], role="query", space=tiny.other)[0].vector


# By operation and error: a call that causes it. The client's collection exists, in the fitted space.
CASES: dict[str, Callable[[Client, Tiny], Any]] = {
    "space NotFound": lambda c, t: c.space("nope"),
    "statistics NotFound": lambda c, t: c.statistics("nope"),
    "encode InvalidArgument": lambda c, t: c.encode([]),
    "encode NotFound": lambda c, t: c.encode(["red"], space="nope"),
    "fuse InvalidArgument": lambda c, t: c.fuse([]),
    "fuse NotFound": lambda c, t: c.fuse([FuseInput(text="red")], space="nope"),
    "recommend InvalidArgument": lambda c, t: c.recommend(text="red", k=0),
    "recommend NotFound": lambda c, t: c.recommend(liked=["nope"]),
    "recommend FailedPrecondition": lambda c, t: c.recommend(query_vector=vector_of_another_space(c, t)),
    "explain NotFound": lambda c, t: c.explain(["a"], recommendation_id="nope"),
    "explain InvalidArgument": lambda c, t: c.explain([], text="red"),
    "explain FailedPrecondition": lambda c, t: c.explain(["a"], query_vector=vector_of_another_space(c, t)),
    "create_collection AlreadyExists": lambda c, t: c.create_collection(c.get_collection().name),
    "create_collection FailedPrecondition": lambda c, t: c.create_collection(
        c.get_collection().name, space=t.other, allow_existing=True
    ),
    "create_collection InvalidArgument": lambda c, t: c.create_collection("no name"),
    "create_collection NotFound": lambda c, t: c.create_collection("new", space="nope"),
    "update_collection NotFound": lambda c, t: c.update_collection("nope", space=t.plain),
    "update_collection FailedPrecondition": lambda c, t: c.update_collection(
        c.get_collection().name, space=t.other
    ),
    "upsert InvalidArgument": lambda c, t: c.upsert([]),
    "upsert NotFound": lambda c, t: c.upsert([Item("a", text="red")], collection="nope"),
    "update_items InvalidArgument": lambda c, t: c.update_items([]),
    "update_items NotFound": lambda c, t: c.update_items([ItemUpdate("a")], collection="nope"),
    "get_items InvalidArgument": lambda c, t: c.get_items([]),
    "get_items NotFound": lambda c, t: c.get_items(["a"], collection="nope"),
    "delete_items InvalidArgument": lambda c, t: c.delete_items([]),
    "delete_matching InvalidArgument": lambda c, t: c.delete_matching("price <"),
    "delete_matching NotFound": lambda c, t: c.delete_matching("in_stock", collection="nope"),
    "delete_items NotFound": lambda c, t: c.delete_items(["a"], collection="nope"),
    "record_events InvalidArgument": lambda c, t: c.record_events([]),
    "record_events NotFound": lambda c, t: c.record_events([Event("u", "a")], collection="nope"),
    "record_events FailedPrecondition": lambda c, t: c.record_events([], stream=StreamPosition("s", "2", "1")),
    "update_collection InvalidArgument": lambda c, t: c.update_collection(
        c.get_collection().name, event_types=[OwnEventType(name="No name", weight=1.0)]
    ),
    "delete_events InvalidArgument": lambda c, t: c.delete_events([]),
    "delete_events NotFound": lambda c, t: c.delete_events(["e"], collection="nope"),
    "merge_users InvalidArgument": lambda c, t: c.merge_users("u", "u"),
    "merge_users NotFound": lambda c, t: c.merge_users("u", "v", collection="nope"),
    "get_counts NotFound": lambda c, t: c.get_counts("nope"),
    "delete_user InvalidArgument": lambda c, t: c.delete_user(""),
    "delete_user NotFound": lambda c, t: c.delete_user("u", collection="nope"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_server_sends_it(client: Client, tiny: Tiny, case: str) -> None:
    client.upsert([Item("a", text="red shoe")]).raise_for_errors()
    error = getattr(itemlens, case.split()[1])
    with pytest.raises(itemlens.ItemlensError) as raised:
        CASES[case](client, tiny)
    assert type(raised.value) is error and raised.value.message


def test_every_promised_error_has_a_case() -> None:
    promised = set()
    for name, method in inspect.getmembers(Client, inspect.isfunction):
        _, _, raises = (inspect.getdoc(method) or "").partition("Raises:")
        promised |= {f"{name} {error}" for error in re.findall(r"^    (\w+): ", raises, re.MULTILINE)}
    # An upload can end with the error of any call; tests/clients/python/test_client_upload.py covers it.
    promised -= {"upload ItemlensError", "upload_events ItemlensError", "upload_updates ItemlensError"}
    assert promised == set(CASES)


def test_a_vector_of_another_space_is_the_error_of_its_own_input(
    server: Server, client: Client, tiny: Tiny
) -> None:
    other = client.encode(["red"], space=tiny.other)[0].vector
    assert other is not None
    fused = client.fuse([FuseInput(vectors=[other]), FuseInput(text="red")])
    assert isinstance(fused[0].error, itemlens.FailedPrecondition) and fused[1].error is None
