"""Pages of items and events while the catalogue changes: nothing twice, and nothing lost that stays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itemlens.v1 import catalog_pb2
from itemlens_server.engine.call_context import CallContext
from itemlens_server.engine.repository import ModelRepository
from itemlens_server.errors import InvalidArgument
from itemlens_server.rpc.events import ListEvents
from itemlens_server.rpc.items import ListItems
from itemlens_server.services import EventRecord
from support.live import Live
from support.sizes import size
from support.spaces import Tiny

CLICK = 3
IDS = [*(f"i{n:02}" for n in range(10)), "ä", "Z", "日", "👟"]
PRICES = {"price": 5}
FEW = ("i03", "ä", "👟")


@pytest.fixture(scope="module")
def shop(repository: ModelRepository, tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    live = Live(repository, tmp_path_factory.mktemp("data"), tiny.fitted)
    yield live
    live.close()


def attributes(item_id: str) -> dict[str, Any]:
    return {**PRICES, "few": item_id in FEW}


def items(shop: Live, token: str = "", **request: Any) -> tuple[list[str], str]:
    message = catalog_pb2.ListItemsRequest(page_token=token, **request)
    reply = ListItems(shop.catalogue)(message, CallContext())
    return [stored.item.item_id for stored in reply.items], reply.next_page_token


def every(page: Callable[[str], tuple[list[str], str]], between: Callable[[], None]) -> list[str]:
    """What is listed on all pages, with something done between them."""
    found, token = page("")
    while token:
        between()
        more, token = page(token)
        found += more
    return found


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["rewrite", "price", "add", "delete"]), st.sampled_from(IDS), st.integers(0, 99)
    ),
    max_size=12,
)


@settings(max_examples=size(20, 300), deadline=None)
@given(
    changes=CHANGES,
    page_size=st.integers(1, 4),
    filter_=st.sampled_from(["", "price > 3", "few and price > 3"]),
)
def test_an_item_that_stays_is_listed_once(
    shop: Live, changes: list[tuple[str, str, int]], page_size: int, filter_: str
) -> None:
    for n, item_id in enumerate(IDS):
        assert shop.put(item_id, f"shoe {n}", attributes=attributes(item_id)).error is None
    stays = set(FEW if "few" in filter_ else IDS)
    waiting = list(changes)

    def change() -> None:
        if not waiting:
            return
        what, item_id, number = waiting.pop()
        if what == "delete":
            shop.catalogue.delete_items(shop.collection, [item_id])
            stays.discard(item_id)
        elif what == "add":
            shop.put(f"new-{number}", f"new {number}", attributes=PRICES)
        elif what == "price":
            shop.put(item_id, attributes={"price": 4 + number}, merge=True)
        else:  # other contents, so another row
            shop.put(item_id, f"boat {number}", attributes=attributes(item_id))

    listed = every(lambda token: items(shop, token, page_size=page_size, filter=filter_), change)
    assert len(listed) == len(set(listed)) and stays <= set(listed)
    assert listed == sorted(listed)


def test_the_events_of_a_user_are_listed_once(shop: Live) -> None:
    shop.record(*(("u", f"i{n}", CLICK) for n in range(9)))
    before = [event for _, event in shop.catalogue.event_changes.page(shop.collection, "u", 0, 99)]
    number = iter(range(100))

    def record(event_id: str, user_id: str) -> None:
        shop.catalogue.record("", [EventRecord(event_id, user_id, "i1", CLICK, 1e9)])

    def page(token: str) -> tuple[list[str], str]:
        request = catalog_pb2.ListEventsRequest(user_id="u", page_size=2, page_token=token)
        reply = ListEvents(shop.catalogue)(request, CallContext())
        return [stored.event.event_id for stored in reply.events], reply.next_page_token

    def change() -> None:
        n = next(number)
        shop.catalogue.event_changes.delete(shop.collection, [before[0].event_id])
        if n < 3:
            record(f"late-{n}", "u")
            record(f"other-{n}", "v")

    listed = every(page, change)
    assert listed[:9] == [event.event_id for event in before] and len(listed) == len(set(listed)) == 12


def test_a_token_of_another_list_is_refused(shop: Live) -> None:
    for item_id in IDS:
        shop.put(item_id, "shoe", attributes=PRICES)
    shop.catalogue.create("other", "")
    shop.record(("w", "i1", CLICK), ("w", "i2", CLICK), ("x", "i1", CLICK))
    _, token = items(shop, page_size=2)
    events = ListEvents(shop.catalogue)
    of_events = events(catalog_pb2.ListEventsRequest(user_id="w", page_size=1), CallContext()).next_page_token
    wrong: list[Callable[[], object]] = [
        lambda: items(shop, token, filter="price > 3"),
        lambda: items(shop, token, collection="other"),
        lambda: items(shop, of_events),
        lambda: events(catalog_pb2.ListEventsRequest(user_id="w", page_token=token), CallContext()),
        lambda: events(catalog_pb2.ListEventsRequest(user_id="x", page_token=of_events), CallContext()),
    ]
    for call in wrong:
        with pytest.raises(InvalidArgument, match="not a page token of this list") as raised:
            call()
        assert raised.value.field == "page_token"
    assert len(items(shop, token, page_size=1000)[0]) >= len(IDS) - 2
