"""The size of a reply with many entries is checked while it is built, not only at the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from itemlens.v1 import catalog_pb2, common_pb2, itemlens_pb2
from itemlens_server.errors import InvalidArgument
from itemlens_server.rpc import items
from itemlens_server.rpc.explain import Explain
from itemlens_server.rpc.items import GetItems, ListItems
from itemlens_server.rpc.pages import Listing
from itemlens_server.services import CallContext, ExplainResult, Explanation, StoredItem
from itemlens_server.storage.records import Document

SIZE = 1000
LISTING = Listing("ListItems", (1, None))


class Catalogue:
    """Any number of items of `SIZE` bytes each; counts those that are read."""

    def __init__(self, count: int = 10**9) -> None:
        self.count, self.read = count, 0
        self.reads = self

    def collection(self, name: str) -> Any:
        class Collection:
            class space:
                space_id = "sp"

            class record:
                id = 1

        return Collection

    def get(self, _: object, item_ids: Sequence[str], with_data: bool) -> Iterator[StoredItem]:
        for item_id in item_ids:
            self.read += 1
            yield self._item(item_id, 1)

    def page(
        self, _: object, after: bytes, size: int, condition: object = None
    ) -> Iterator[tuple[bytes, StoredItem]]:
        first = int(after or 0) + 1
        for label in range(first, min(first + size, self.count + 1)):
            self.read += 1
            yield str(label).encode(), self._item(f"i{label}", label)

    def _item(self, item_id: str, label: int) -> StoredItem:
        return StoredItem(label, item_id, 1, Document({"text": "x" * SIZE}, {}, ()))


def listed(catalogue: Any, **request: Any) -> tuple[int, str]:
    reply = ListItems(catalogue)(catalog_pb2.ListItemsRequest(**request), CallContext())
    return len(reply.items), reply.next_page_token


def test_one_id_many_times_stops_where_the_message_is_full() -> None:
    catalogue: Any = Catalogue()
    request = catalog_pb2.GetItemsRequest(item_ids=["a"] * 1000)
    with pytest.raises(InvalidArgument, match="the first 11 of 1000") as refused:
        GetItems(catalogue, 10 * SIZE + 500)(request, CallContext())
    assert refused.value.field == "item_ids"
    assert catalogue.read == 11


def test_explanations_stop_where_the_message_is_full() -> None:
    done = 0

    def explanations() -> Iterator[Explanation]:
        nonlocal done
        while True:
            done += 1
            yield Explanation("a", sentence="x" * SIZE)

    class Explainer:
        def explain_query(self, *_: object) -> ExplainResult:
            return ExplainResult("sp", explanations())

    explainer: Any = Explainer()
    user = common_pb2.UserSide(user_id="u")
    request = itemlens_pb2.ExplainRequest(user=user, item_ids=["a"] * 100)
    with pytest.raises(InvalidArgument, match="the first 11 of 100"):
        Explain(explainer, 10 * SIZE + 500)(request, CallContext())
    assert done == 11


def test_a_page_ends_where_it_has_grown_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(items, "PAGE_BYTES", 5 * SIZE)
    catalogue = Catalogue()
    count, token = listed(catalogue, page_size=1000)
    assert (count, catalogue.read) == (5, 6)
    assert listed(catalogue, page_size=1000, page_token=token) == (5, LISTING.token(b"10"))


def test_the_last_page_has_no_token() -> None:
    assert listed(Catalogue(4), page_size=2) == (2, LISTING.token(b"2"))
    assert listed(Catalogue(4), page_size=2, page_token=LISTING.token(b"2")) == (2, "")
