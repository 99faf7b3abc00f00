"""Facets: they count what the values say."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itemlens_server.attributes.facets import Facet, WantedFacet, facets_of
from itemlens_server.attributes.schema import AttributeType
from itemlens_server.attributes.table import AttributeTable
from itemlens_server.errors import InvalidArgument
from support.filters import RANDOM_ITEM
from support.sizes import size

DECLARED = {
    "released": AttributeType.TIME,
    "ean": AttributeType.INTEGER,
    "place": AttributeType.POINT,
}


def counted(items: list[dict[str, Any]], name: str, most: int = 100) -> Facet:
    table = AttributeTable(DECLARED)
    records = np.asarray([table.add(item) for item in items], np.int64)
    [found] = facets_of(table.view(), [WantedFacet(name, most)], records)
    return found


@given(st.lists(RANDOM_ITEM, max_size=20), st.data())
@settings(max_examples=size(100, 1000), deadline=None)
def test_columns_count_what_the_values_say(items: list[dict[str, Any]], data: st.DataObject) -> None:
    table = AttributeTable({})
    table.add({"price": 1.0, "brand": "Alto", "tags": ["x"], "in_stock": True})
    added = [(table.add(item), item) for item in items]
    chosen = [own for own in added if data.draw(st.booleans())]
    records = np.asarray([record for record, _ in chosen], np.int64)
    for name in ("price", "brand", "tags", "in_stock"):
        own = [value for _, item in chosen if (value := item.get(name)) is not None and value != []]
        single = [set(value) if isinstance(value, list) else {value} for value in own]
        expected = Counter(value for values in single for value in values)
        [found] = facets_of(table.view(), [WantedFacet(name, 100)], records)
        assert (found.items, dict(found.counts), found.different) == (len(own), expected, len(expected))
        assert [n for _, n in found.counts] == sorted(expected.values(), reverse=True)
        if name == "price":
            assert (found.least, found.largest) == (min(own, default=None), max(own, default=None))


def test_the_most_frequent_values_are_given_and_the_number_of_all() -> None:
    items: list[dict[str, Any]] = [{"brand": f"b{n % 7}"} for n in range(40)] + [
        {"brand": "b3"},
        {"price": 1},
    ]
    found = counted(items, "brand", 2)
    assert found.counts == (("b3", 7), ("b0", 6)) and (found.items, found.different) == (41, 7)


def test_values_are_those_of_json() -> None:
    items: list[dict[str, Any]] = [
        {"released": "2026-01-02", "ean": "9007199254740993"},
        {"released": "2026-01-01T12:00:00+01:00", "ean": 5},
    ]
    released = counted(items, "released")
    assert (released.least, released.largest) == ("2026-01-01T11:00:00Z", "2026-01-02T00:00:00Z")
    assert dict(counted(items, "ean").counts) == {5: 1, "9007199254740993": 1}
    assert counted(items[:0], "released") == Facet("released", 0, (), 0)


def test_places_and_unknown_attributes_are_refused() -> None:
    for name, message in (("place", "'place' has places"), ("eans", "did you mean 'ean'")):
        with pytest.raises(InvalidArgument, match=message) as raised:
            counted([], name)
        assert raised.value.field == "facets[0].attribute"
