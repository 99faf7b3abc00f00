"""Attributes in a live catalogue: pages of what matches, types that are about to count, and damaged items."""

from __future__ import annotations

import pytest

from itemlens_server.attributes.parser import parse
from itemlens_server.errors import InvalidArgument
from itemlens_server.services import QueryRequest
from itemlens_server.services.collection import Collection
from itemlens_server.storage.collection_settings import Attribute, CollectionSettings
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
    page = list(shop.catalogue.reads.page(shop.collection, 0, 5, parse("price >= 5")))
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


def test_a_damaged_item_is_listed_without_its_attributes(shop: Live) -> None:
    shop.store.write(lambda c: c.execute("UPDATE items SET document = 'x' WHERE item_id = 'i03'"))
    query = QueryRequest(content=contents("red shoe"))
    found = shop.ask(query, k=20, attributes=["price"])
    told = {item.item_id: dict(item.attributes) for item in found.items}
    assert told["i03"] == {} and told["i04"] == {"price": 4}
