"""Lists under caps where the candidates of the graphs alone would not fill them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from itemlens_server.engine.call_context import CallContext
from itemlens_server.engine.repository import ModelRepository
from itemlens_server.fusion.caps import Cap
from itemlens_server.services import ItemInput, QueryRequest
from support.live import Live, contents
from support.spaces import Tiny

OF_EACH = 900
CAPS = [Cap("brand", 1, "caps[0]")]


@pytest.fixture
def shop(repository: ModelRepository, tiny: Tiny, tmp_path: Path) -> Iterator[Live]:
    """Many items of one brand that the words fit, and as many of other brands that they do not fit."""
    live = Live(repository, tmp_path / "data", tiny.fitted, candidates_per_channel=2)
    items = [ItemInput(f"i{n}", contents(f"red shoe {n}"), {"brand": "common"}, ()) for n in range(OF_EACH)]
    items += [ItemInput(f"b{n}", contents(f"blue boat {n}"), {"brand": f"b{n}"}, ()) for n in range(OF_EACH)]
    for start in range(0, len(items), 200):
        live.catalogue.upsert("", items[start : start + 200], False, CallContext())
    assert live.collection.maintain(live.store)
    yield live
    live.close()


def test_a_list_is_short_only_if_nothing_is_left(shop: Live) -> None:
    query = QueryRequest(content=contents("red shoe"))
    plain = shop.ask(query, k=5)
    assert all(item.item_id.startswith("i") for item in plain.items)
    found = shop.ask(query, k=5, caps=CAPS)
    assert [item.item_id[0] for item in found.items] == ["i", "b", "b", "b", "b"]
    exact = shop.ask(query, k=5, caps=CAPS, exact=True)
    assert [item.item_id for item in found.items] == [item.item_id for item in exact.items]
