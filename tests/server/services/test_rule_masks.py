"""Masks of the filters of rules are those of filters, and each record is looked at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemlens_server.attributes.columns import Attributes
from itemlens_server.attributes.filters import Compare
from itemlens_server.attributes.schema import AttributeType
from itemlens_server.attributes.table import AttributeTable
from itemlens_server.errors import InvalidArgument
from itemlens_server.fusion.rows import Bools
from itemlens_server.services.rule_masks import MOST_KNOWN, RuleMasks, condition

FILTERS = (
    "price < 3",
    "not price < 3",
    'brand = "a" and price >= 1',
    'tags = "x"',
    "has(released)",
    "released > now",
)
TYPES = {
    "price": AttributeType.NUMBER, "brand": AttributeType.STRING, "tags": AttributeType.STRINGS,
    "released": AttributeType.TIME,
}  # fmt: skip
ITEMS = st.fixed_dictionaries(
    {},
    optional={
        "price": st.integers(0, 5),
        "brand": st.sampled_from("ab"),
        "tags": st.lists(st.sampled_from("xy")),
        "released": st.sampled_from(["2020-01-01", "2999-01-01"]),
        "new": st.booleans(),
    },
)


@given(st.lists(st.tuples(ITEMS, st.booleans()), max_size=12))
def test_they_follow_records_that_are_added_and_compacted(steps: list[tuple[dict[str, Any], bool]]) -> None:
    """An earlier view has its mask, too."""
    masks, table = RuleMasks(), AttributeTable(TYPES)
    early = table.view()
    for attributes, compacts in steps:
        table.add(attributes)
        if compacts:
            table, _ = table.compacted(np.arange(0, len(table), 2))
        for expression in FILTERS:
            for view in (table.view(), early):
                expected = condition(expression).mask(view)
                assert masks.of(expression, view).tolist() == expected.tolist()


def test_each_record_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looks, mask = list[int](), Compare.mask

    def look(own: Compare, attributes: Attributes) -> Bools:
        looks.append(len(attributes))
        return mask(own, attributes)

    monkeypatch.setattr(Compare, "mask", look)
    masks, table = RuleMasks(), AttributeTable(TYPES)
    table.add_all([{"price": n} for n in range(100)])
    for _ in range(3):
        masks.of("price < 3", table.view())
    table.add({"price": 1})
    masks.of("price < 3", table.view())
    assert looks == [101, 1]


def test_the_masks_of_filters_that_are_gone_are_forgotten() -> None:
    masks, view = RuleMasks(), AttributeTable(TYPES).view()
    for n in range(3 * MOST_KNOWN):
        masks.of(f"price < {n}", view)
    assert len(masks._known) <= MOST_KNOWN


def test_a_filter_that_does_not_fit_is_refused_each_time() -> None:
    masks, view = RuleMasks(), AttributeTable(TYPES).view()
    for _ in range(2):
        with pytest.raises(InvalidArgument, match="'nothing'"):
            masks.of("nothing = 1", view)
