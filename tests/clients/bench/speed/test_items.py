"""Collections and requests for the scenario `recommend`."""

from __future__ import annotations

import numpy as np

from itemlens import Item, Role, Vector
from itemlens_bench.speed import items


def stored(count: int) -> list[Item]:
    return [
        Item(f"item-{n}", texts={"text": f"thing number {n}"}, attributes={"category": f"kind-{n % 3}"})
        for n in range(count)
    ]


def test_made_items_are_all_different_and_have_a_kind() -> None:
    generated = list(items.made_items(500, seed=1))
    assert len({item.item_id for item in generated}) == len({item.text for item in generated}) == 500
    assert all(item.attributes["category"] for item in generated)


def test_a_history_has_at_most_two_kinds_of_stored_items() -> None:
    known = {item.item_id: item.attributes["category"] for item in stored(90)}
    for past in items.histories(stored(90), count=20, seed=1):
        assert len(past) == items.HISTORY
        assert len({known[item_id] for item_id in past}) <= 2


def test_a_query_is_two_words_of_an_item() -> None:
    own = {word for item in stored(10) for word in item.texts["text"].split()}
    for words in items.words(stored(10), count=20, seed=1):
        assert len(words.split()) == 2
        assert set(words.split()) <= own


def test_requests_have_a_history_or_a_vector() -> None:
    past = items.by_history("shop", ["a", "b"])
    assert [interaction.item_id for interaction in past.user.history] == ["a", "b"]
    vector = Vector(np.arange(3, dtype=np.float32), Role.QUERY, "sp-1")
    sought = items.by_vector("shop", vector)
    assert np.frombuffer(sought.user.query_vector.data, np.float32).tolist() == [0, 1, 2]
    assert sought.user.query_vector.space_id == "sp-1"
    assert past.k == sought.k == items.K
