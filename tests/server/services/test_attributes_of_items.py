"""Attributes in a live catalogue: pages of what matches, types that are about to count, and damaged items."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from itemlens_server.attributes.parser import parse
from itemlens_server.errors import InvalidArgument
from itemlens_server.services import ItemUpdate, QueryRequest
from itemlens_server.services.catalogue_reads import CatalogueReads
from itemlens_server.services.collection import Collection
from itemlens_server.storage.collection_settings import Attribute, CollectionSettings
from itemlens_server.storage.reader import Reader
from itemlens_server.storage.records import Document
from support.live import Live, contents


@pytest.fixture
def shop(live: Live) -> Live:
    """Twenty items with prices 0, 1, 2 ..."""
    for n in range(20):
        assert live.put(f"i{n:02}", f"red shoe {n}", attributes={"price": n}).error is None
    return live


def test_a_page_is_full_although_some_of_its_items_were_deleted_meanwhile(
    shop: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    stale = shop.collection.matching(parse("price >= 5"))
    monkeypatch.setattr(Collection, "matching", lambda *_: stale)
    shop.catalogue.delete_items(shop.collection, ["i06", "i07"])
    page = list(shop.catalogue.reads.page(shop.collection, b"", 5, parse("price >= 5")))
    assert [item.item_id for _, item in page] == ["i05", "i08", "i09", "i10", "i11"]


def test_items_are_checked_against_types_that_are_about_to_count(shop: Live) -> None:
    """A write of settings and an upsert may share a transaction."""
    shop.collection.announce(CollectionSettings(attributes=(Attribute("released", "TIME"),)))
    refused = shop.put("new", "red", attributes={"released": "last year"})
    assert isinstance(refused.error, InvalidArgument) and "is not a time" in refused.error.message
    shop.collection.announce(None)
    assert shop.put("new", "red", attributes={"released": "last year"}).error is None


def test_settings_that_are_refused_leave_nothing_behind(shop: Live) -> None:
    wrong = CollectionSettings(attributes=(Attribute("price", "TIME"),))
    with pytest.raises(InvalidArgument, match="attribute 'price' of item 'i00'"):
        shop.catalogue.configure("default", wrong, ["attributes"])
    assert shop.put("new", "red", attributes={"price": 5}).error is None
    assert shop.collection.attribute_types == {"price": "NUMBER"}


def test_a_reply_does_not_contradict_its_own_filter(shop: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """Values that changed after the list was made: a list tells those of its moment, a page has the item no more."""
    reads, items = CatalogueReads.documents, Reader.named

    def change() -> None:
        for item_id in ("i01", "i02"):
            update = ItemUpdate(item_id, {"price": 70.0, "note": "new"})
            [outcome] = shop.catalogue.begin_update("", [update]).result()[0]
            assert outcome.error is None

    def documents(*args: Any) -> Iterator[tuple[str, Document]]:
        change()
        return reads(*args)

    def named(*args: Any) -> Iterator[Any]:
        change()
        return items(*args)

    monkeypatch.setattr(CatalogueReads, "documents", documents)
    query = QueryRequest(content=contents("red shoe"))
    found = shop.ask(query, k=20, filter=parse("price < 3"), attributes=["price", "note"])
    assert {item.item_id: item.attributes["price"] for item in found.items} == {"i00": 0, "i01": 1, "i02": 2}
    assert shop.put("i01", "red", attributes={"price": 1}).error is None
    assert shop.put("i02", "red", attributes={"price": 2}).error is None
    monkeypatch.setattr(Reader, "named", named)
    page = shop.catalogue.reads.page(shop.collection, b"", 3, parse("price < 5"))
    assert [item.item_id for _, item in page] == ["i00", "i03", "i04"]


def test_a_damaged_item_is_listed_without_its_attributes(shop: Live) -> None:
    shop.store.write(lambda c: c.execute("UPDATE items SET document = 'x' WHERE item_id = 'i03'"))
    query = QueryRequest(content=contents("red shoe"))
    found = shop.ask(query, k=20, attributes=["price"])
    told = {item.item_id: dict(item.attributes) for item in found.items}
    assert told["i03"] == {} and told["i04"] == {"price": 4}
