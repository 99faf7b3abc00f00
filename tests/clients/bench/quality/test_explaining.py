"""Explanations of items that a busy server refuses, in a client that answers by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import pytest
from rich.console import Console

import itemlens
from itemlens import Explanation, ItemlensError, NotFound, Overloaded, Retry
from itemlens_bench.quality.ask import Asking

Answer = Callable[[Sequence[str]], list[Explanation]]


@pytest.fixture
def client() -> Iterator[itemlens.Client]:
    with itemlens.Client("localhost:1") as client:
        yield client


@pytest.fixture
def asking(client: itemlens.Client) -> Asking:
    return Asking(client, Console(quiet=True), retry=Retry(attempts=3, initial=0.0))


def explained(item_id: str, error: ItemlensError | None = None) -> Explanation:
    return Explanation(item_id, 0.0, 0.0, (), (), (), (), "", (), error)


def answer(
    monkeypatch: pytest.MonkeyPatch, client: itemlens.Client, *replies: Mapping[str, ItemlensError]
) -> list[list[str]]:
    """Let the calls of the client fail for the items of each reply; the items asked for, call by call."""
    asked: list[list[str]] = []

    def explain(item_ids: Sequence[str], *_: object, **__: object) -> list[Explanation]:
        errors = replies[len(asked)]
        asked.append(list(item_ids))
        return [explained(item_id, errors.get(item_id)) for item_id in item_ids]

    monkeypatch.setattr(client, "explain", explain)
    return asked


def test_refused_items_are_asked_for_again(
    asking: Asking, client: itemlens.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = Overloaded("busy")
    asked = answer(monkeypatch, client, {"b": busy, "c": busy}, {"c": busy}, {})
    found = asking.explain(["a", "b", "c", "d"], collection="shop")
    assert [one.item_id for one in found] == ["a", "b", "c", "d"]
    assert asked == [["a", "b", "c", "d"], ["b", "c"], ["c"]]


def test_items_that_stay_refused_raise(
    asking: Asking, client: itemlens.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = answer(monkeypatch, client, *[{"a": Overloaded("busy")}] * 3)
    with pytest.raises(Overloaded):
        asking.explain(["a"], collection="shop")
    assert len(asked) == 3


def test_other_errors_raise_at_once(
    asking: Asking, client: itemlens.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = answer(monkeypatch, client, {"b": NotFound("no such item")})
    with pytest.raises(NotFound):
        asking.explain(["a", "b"], collection="shop")
    assert len(asked) == 1
