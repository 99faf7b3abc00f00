"""Lists over gRPC say what caps and folded duplicates did to them."""

from __future__ import annotations

import asyncio

from itemlens import AsyncClient, Client, Item, ListChange, Recommendations
from support.serving import Server

COLOURS = ("red", "green", "blue")


def shop(client: Client) -> list[str]:
    """Shoes of three brands; every text is there twice, under two sellers. Return the ids, the best first."""
    client.upsert(
        [
            Item(
                f"i{n:02}-{seller}",
                text=f"{COLOURS[n % 3]} shoe {n}",
                attributes={"brand": f"b{n % 3}", "seller": seller, "model": f"m{n // 3}"},
            )
            for n in range(20)
            for seller in ("ann", "bob")
        ]
    ).raise_for_errors()
    return [item.item_id for item in client.recommend(text="red shoe", k=40)]


def model(item_id: str) -> int:
    return int(item_id[1:3]) // 3


def test_an_item_says_its_rank_without_caps_and_the_list_what_they_passed_over(client: Client) -> None:
    everything = shop(client)
    plain = client.recommend(text="red shoe", k=10)
    assert plain.changes == () and {item.rank for item in plain} == {0}

    capped = client.recommend(text="red shoe", k=10, group_by="model", caps={"brand": 3, "seller": 30})
    ranks = [everything.index(item.item_id) + 1 for item in capped]
    # Items of equal content have equal scores, and so equal ranks.
    assert all(rank - item.rank in (0, 1) for rank, item in zip(ranks, capped, strict=True))
    above = everything[: ranks[-1]]
    assert sum(change.items for change in capped.changes) >= len(above) - len(capped)
    assert [(change.attribute, change.most) for change in capped.changes] == [
        ("model", 1), ("brand", 3), ("seller", 30),
    ]  # fmt: skip
    assert capped.changes[0].items > 0 and capped.changes[2].items == 0


def test_items_of_equal_content_are_folded_into_one_place(client: Client) -> None:
    everything = shop(client)
    found = client.recommend(text="red shoe", k=40, fold_duplicates=True)
    assert len(found) == 20 and len({item.item_id[:3] for item in found}) == 20
    for item in found:
        other = {"ann": "bob", "bob": "ann"}[item.item_id[4:]]
        assert item.others == (f"{item.item_id[:3]}-{other}",)
    assert found.changes == (ListChange("", 1, 20),)
    assert [i[:3] for i in dict.fromkeys(i[:3] for i in everything)] == [item.item_id[:3] for item in found]


def test_duplicates_groups_and_caps_together(client: Client) -> None:
    everything = shop(client)
    found = client.recommend(text="red shoe", k=20, fold_duplicates=True, group_by="model", per_group=2)
    models = [model(item.item_id) for item in found]
    assert sorted(models) == sorted([*range(7)] * 2)
    assert len({item.item_id[:3] for item in found}) == 14
    listed = {item.item_id for item in found}
    for item in found:
        expected = [
            i
            for i in everything
            if i not in listed and (model(i) == model(item.item_id) or i[:3] == item.item_id[:3])
        ]
        assert sorted(item.others) == sorted(expected)
    assert [change.attribute for change in found.changes] == ["model", ""]
    capped = client.recommend(text="red shoe", k=20, fold_duplicates=True, caps={"brand": 2})
    assert len(capped) == 6


def test_somebody_new_and_past_items_get_folded_lists_too(client: Client) -> None:
    shop(client)
    for found in (
        client.recommend(user_id="nobody", k=40, fold_duplicates=True),
        client.recommend(history=["i00-ann", "i01-bob"], k=40, fold_duplicates=True),
    ):
        texts = [item.item_id[:3] for item in found]
        assert len(texts) == len(set(texts)) == 20 and all(item.rank > 0 for item in found)


def test_a_changed_item_is_no_duplicate_any_more(client: Client) -> None:
    shop(client)
    assert len(client.recommend(text="red shoe", k=40, fold_duplicates=True)) == 20
    client.upsert([Item("i00-ann", text="kettle")]).raise_for_errors()
    assert len(client.recommend(text="red shoe", k=40, fold_duplicates=True)) == 21
    client.upsert([Item("i00-ann", text=f"{COLOURS[0]} shoe 0")]).raise_for_errors()
    assert len(client.recommend(text="red shoe", k=40, fold_duplicates=True)) == 20


def test_the_asyncio_client_has_the_same(server: Server, client: Client, collection: str) -> None:
    shop(client)

    async def ask() -> Recommendations:
        async with AsyncClient(server.address, collection=collection) as other:
            return await other.recommend(text="red shoe", k=40, fold_duplicates=True)

    found = asyncio.run(ask())
    assert len(found) == 20 and found.changes == (ListChange("", 1, 20),)
