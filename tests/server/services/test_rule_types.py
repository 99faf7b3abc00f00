"""Rules fit the types that attributes have after a change of settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from itemlens_server.attributes.schema import AttributeType
from itemlens_server.engine.call_context import CallContext
from itemlens_server.errors import InvalidArgument
from itemlens_server.services import ItemInput
from itemlens_server.services.rule_types import check_fit
from itemlens_server.storage.collection_settings import Attribute, CollectionSettings
from itemlens_server.storage.rules import Rule
from support.live import Live, contents

TYPES = {
    "brand": AttributeType.STRING, "size": AttributeType.NUMBER, "tags": AttributeType.STRINGS,
    "released": AttributeType.TIME,
}  # fmt: skip
NEW = Rule("new", "FLOOR", filter="released > now - 30d", places=1)
DEAR = Rule("dear", "FLOOR", filter="price > 9", places=1)


def floors(*filters: str, share: float = 0.6) -> list[Rule]:
    return [Rule(f"f{n}", "FLOOR", filter=own, share=share) for n, own in enumerate(filters)]


@pytest.mark.parametrize(
    ("rules", "apart"),
    [
        (floors('brand = "Alto"', 'brand = "Kaya"'), True),
        (floors('brand = "Alto" and size > 3', 'brand in ("Kaya", "Milo")'), True),
        (floors("size = 1", "size = 2"), True),
        (floors("size = 1", "size = 1.0"), False),
        (floors('brand = "Alto"', 'brand = "Kaya"', share=0.5), False),
        (floors('tags = "new"', 'tags = "eco"'), False),  # an item may have both
        (floors('released = "2026-01-01"', 'released = "2026-01-01T00:00:00Z"'), False),
    ],
)
def test_floors_of_more_than_the_list_are_refused_if_no_item_matches_both(
    rules: Sequence[Rule], apart: bool
) -> None:
    if not apart:
        check_fit(rules, TYPES, (), TYPES)
        return
    with pytest.raises(InvalidArgument, match="no item matches both floors 'f0' and 'f1'") as raised:
        check_fit(rules, TYPES, (), TYPES)
    assert raised.value.field == "settings.rules[1].floor.share"
    check_fit(rules, TYPES, rules, TYPES)


def configure(live: Live, only: Sequence[str], **settings: Any) -> None:
    live.catalogue.configure("default", CollectionSettings(**settings), only)


@pytest.fixture
def shop(live: Live) -> Live:
    attributes = {"released": "2026-01-01", "price": 10}
    live.catalogue.upsert("", [ItemInput("a", contents("shoe"), attributes, ())], False, CallContext())
    return live


def test_a_type_and_a_rule_that_needs_it_are_set_in_one_call(shop: Live) -> None:
    with pytest.raises(InvalidArgument, match="released"):
        configure(shop, ["rules"], rules=(NEW,))
    configure(shop, ["rules", "attributes"], rules=(NEW,), attributes=(Attribute("released", "TIME"),))


def test_a_type_that_a_rule_does_not_fit_is_refused(shop: Live) -> None:
    given = (Attribute("released", "TIME"),)
    configure(shop, ["rules", "attributes"], rules=(NEW, DEAR), attributes=given)
    with pytest.raises(InvalidArgument, match="rule 'new' would no longer fit") as raised:
        configure(shop, ["attributes"], attributes=())
    assert raised.value.field == "settings.attributes"
    assert shop.collection.record.settings.attributes == given
    configure(shop, ["rules", "attributes"], rules=(DEAR,), attributes=())


def test_a_rule_whose_attribute_is_forgotten_does_not_keep_others_out(shop: Live) -> None:
    """As after a restart, when no item has the attribute any more."""
    known = {"brand": AttributeType.STRING}
    brand = Rule("alto", "FLOOR", filter='brand = "Alto"', places=1)
    check_fit((DEAR, brand), known, (DEAR,), known)
    with pytest.raises(InvalidArgument, match="'price' is no attribute") as raised:
        check_fit((brand, DEAR), known, (), known)
    assert raised.value.field == "settings.rules[1].filter"
