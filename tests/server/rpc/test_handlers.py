"""Handlers pass messages on undecoded: the use case refuses a batch that is too long before it is decoded."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from google.protobuf.message import Message

from itemlens.v1 import catalog_pb2, common_pb2, itemlens_pb2
from itemlens_server.errors import InvalidArgument
from itemlens_server.rpc import events, fuse, items, messages, updates
from itemlens_server.rpc.encode import Encode
from itemlens_server.rpc.events import RecordEvents
from itemlens_server.rpc.explain import Explain
from itemlens_server.rpc.fuse import Fuse
from itemlens_server.rpc.items import UpsertItems
from itemlens_server.rpc.recommend import Recommend
from itemlens_server.rpc.updates import UpdateItems
from itemlens_server.services import CallContext, Priority


class Refusing:
    """A use case that refuses everything."""

    def is_light(self, *_: object) -> bool:
        return False

    def __getattr__(self, name: str) -> Callable[..., None]:
        def refuse(*_: object, **__: object) -> None:
            raise InvalidArgument("too much")

        return refuse


USE_CASE: Any = Refusing()
POOL = ThreadPoolExecutor(1)
CONTENT = common_pb2.Content(channel="text", text="red")
EVENT = catalog_pb2.Event(event_id="e")
USER = common_pb2.UserSide(
    query=[CONTENT],
    history=[common_pb2.Interaction(item_id="a")],
    channel_weights=[common_pb2.ChannelWeight(channel="text")],
)
CALLS: list[tuple[Any, Message]] = [
    (UpsertItems(USE_CASE), catalog_pb2.UpsertItemsRequest(items=[catalog_pb2.Item(item_id="a")])),
    (
        RecordEvents(USE_CASE, lambda handler: handler),
        catalog_pb2.RecordEventsRequest(events=[catalog_pb2.Event(event_id="e")]),
    ),
    (
        UpdateItems(USE_CASE, lambda handler: handler),
        catalog_pb2.UpdateItemsRequest(updates=[catalog_pb2.ItemUpdate(item_id="a")]),
    ),
    (Encode(USE_CASE, POOL), itemlens_pb2.EncodeRequest(inputs=[CONTENT])),
    (Fuse(USE_CASE), itemlens_pb2.FuseRequest(inputs=[itemlens_pb2.FuseInput(contents=[CONTENT])])),
    (Recommend(USE_CASE, POOL, POOL), itemlens_pb2.RecommendRequest(user=USER)),
    (Explain(USE_CASE, 1), itemlens_pb2.ExplainRequest(user=USER, item_ids=["a"])),
]


@pytest.mark.parametrize(("handler", "request_"), CALLS, ids=lambda value: type(value).__name__)
def test_nothing_is_decoded_of_what_is_refused(
    handler: Any, request_: Message, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decode(*_: object) -> None:
        raise AssertionError("decoded before it was refused")

    for module, name in (
        (messages, "content"), (messages, "vector"), (messages, "_interaction"), (messages, "_change"),
        (events, "_event"), (items, "_item"), (fuse, "_input"),
        (updates, "_update"),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, decode)
    with pytest.raises(InvalidArgument, match="too much"):
        reply = handler(request_, CallContext())
        if inspect.isawaitable(reply):
            asyncio.run(_result(reply))


@pytest.mark.parametrize("priority", Priority)
def test_only_what_cannot_wait_begins_on_the_event_loop(priority: Priority) -> None:
    threads: list[threading.Thread] = []

    class Light:
        def is_light(self, *_: object) -> bool:
            return True

        def begin(self, *_: object) -> None:
            threads.append(threading.current_thread())
            raise InvalidArgument("seen")

    light: Any = Light()
    encode: Any = Encode(light, POOL)
    with pytest.raises(InvalidArgument, match="seen"):
        asyncio.run(encode(itemlens_pb2.EncodeRequest(inputs=[CONTENT]), CallContext(priority=priority)))
    assert (threads == [threading.current_thread()]) is (priority is Priority.INTERACTIVE)


async def _result(reply: Any) -> Any:
    return await reply
