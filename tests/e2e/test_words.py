"""Words that match, over gRPC: settings, part numbers, parts, and a restart."""

from __future__ import annotations

from pathlib import Path

import pytest

from itemlens import Client, InvalidArgument, Item, Lexical, PartKind
from support.serving import Server
from support.spaces import Tiny

SHOP = [
    Item(
        f"i{n:02}",
        text=f"red shoe {n}",
        attributes={"sku": f"KX-{4700 + n}-B", "brand": ("Alto", "Kaya")[n % 2]},
    )
    for n in range(40)
]


def test_a_part_number_finds_its_item_once_words_count(client: Client) -> None:
    client.upsert(SHOP).raise_for_errors()
    name = client.get_collection().name
    assert client.get_collection().lexical is None
    assert all(p.kind != PartKind.LEXICAL for p in client.recommend(text="kx4711b", parts=True)[0].parts)
    lexical = Lexical(attributes=["sku", "brand"])
    changed = client.update_collection(name, lexical=lexical)
    assert changed.lexical == Lexical(channels=(), attributes=("sku", "brand"))
    for asked in ("KX-4711-B", "kx4711b", "red shoe KX-4711-B"):
        assert client.recommend(text=asked, k=3)[0].item_id == "i11", asked
    assert client.recommend(text="kaya", k=1, filter='brand = "Kaya"').eligible_items == 20
    assert client.update_collection(name, lexical=False).lexical is None


def test_each_word_is_a_part(client: Client) -> None:
    client.update_collection(client.get_collection().name, lexical=True)
    client.upsert([*SHOP, Item("kettle", text="steel kettle QX-1")]).raise_for_errors()
    [why] = client.explain(["kettle"], text="steel ketttle qx1 zebra", language="en")
    found = {p.text: (p.spelling, p.value) for p in why.by_source if p.kind is PartKind.LEXICAL}
    assert {text: spelling for text, (spelling, _) in found.items()} == {
        "steel": "",
        "ketttle": "kettle",
        "qx1": "",
    }
    assert all(value > 0 for _, value in found.values()) and abs(why.residual) < 1e-4
    assert sum(p.value for p in why.by_source) == pytest.approx(why.score, abs=1e-4)
    assert "“qx1”" in why.sentence
    answer = client.recommend(text="steel kettle", k=1)
    [kept] = client.explain(recommendation_id=answer.recommendation_id, item_ids=["kettle"])
    assert {p.text for p in kept.by_source if p.kind is PartKind.LEXICAL} == {"steel", "kettle"}


@pytest.mark.parametrize(
    ("lexical", "field"),
    [
        (Lexical(channels=["nothing"]), "settings.lexical.channels[0]"),
        (Lexical(attributes=["x" * 10**6]), "settings.lexical.attributes[0]"),
        (Lexical(attributes=[str(n) for n in range(100_000)]), "settings.lexical.attributes"),
    ],
)
def test_a_wrong_setting_is_refused(client: Client, lexical: Lexical, field: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        client.update_collection(client.get_collection().name, lexical=lexical)
    assert refused.value.violations[0].field == field
    assert client.get_collection().lexical is None


def test_words_survive_a_kill(tiny: Tiny, tmp_path: Path) -> None:
    with Server(tiny.models, tmp_path / "data") as server:
        with server.client(collection="shop") as client:
            client.create_collection("shop", lexical=Lexical(attributes=["sku"]))
            client.upsert(SHOP).raise_for_errors()
            client.delete_items(["i12"])
        server.kill()
    with Server(tiny.models, tmp_path / "data") as server, server.client(collection="shop") as client:
        assert client.get_collection().lexical == Lexical(channels=(), attributes=("sku",))
        assert client.recommend(text="kx4711b", k=1)[0].item_id == "i11"
        assert client.recommend(text="kx-4712-b", k=1)[0].item_id != "i12"
