"""`itemlens items get|delete|export` and `itemlens collections list|delete`, against a server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from itemlens import Client, Item, NotFound, Relation
from support.command import Run
from support.serving import Server, sample_items

NAME = "looked-at"


@pytest.fixture
def shop(server: Server) -> Iterator[Client]:
    """A client of a collection with 40 items: with and without pictures, relations, attributes of all types."""
    with server.client(collection=NAME) as client:
        client.create_collection(NAME)
        client.upsert(
            [
                *sample_items(37),
                Item("a", text="红色 shoe", attributes={"price": 1.5, "tags": ["x", "y"], "in_stock": True}),
                Item("b", text="blue\nkettle", relations=[Relation("goes_with", "a")]),
                Item("c [/]", text="cup", attributes={"price": 9, "deep": {"list": [1, None, {"k": "v"}]}}),
            ]
        ).raise_for_errors()
        yield client
        client.delete_collection(NAME)


@pytest.fixture
def at(server: Server) -> tuple[str, ...]:
    return ("--target", server.address, "--collection", NAME)


def whole(client: Client) -> dict[str, Any]:
    """All items with their pictures and vectors, without sequence numbers."""
    ids = [stored.item.item_id for stored in client.list_items()]
    return {
        stored.item.item_id: (stored.item, stored.vector.values.tolist() if stored.vector else None)
        for stored in client.get_items(ids, pictures=True, vectors=True)
    }


def test_an_export_is_indexed_again_as_it_was(
    run: Run, server: Server, shop: Client, at: tuple[str, ...], tmp_path: Path
) -> None:
    before, out = whole(shop), tmp_path / "shop.jsonl"
    done = run("items", "export", "--out", out, *at)
    assert done.status == 0 and "40 items written" in done.err and done.out == ""
    again = run("index", out, "--target", server.address, "--collection", "again")
    assert again.status == 0, again.said
    with server.client(collection="again") as client:
        after = whole(client)
        client.delete_collection("again")
    for item_id, (item, vector) in before.items():
        found, found_vector = after[item_id]
        assert (found.texts, found.attributes, found.relations) == (
            item.texts,
            item.attributes,
            item.relations,
        )
        assert found_vector == pytest.approx(vector, abs=1e-6)
        assert {c: len(p) for c, p in found.pictures.items()} == {c: len(p) for c, p in item.pictures.items()}


def test_an_export_without_pictures_leaves_those_of_stored_items(
    run: Run, server: Server, shop: Client, at: tuple[str, ...], tmp_path: Path
) -> None:
    before, out = whole(shop), tmp_path / "shop.jsonl"
    assert run("items", "export", "--out", out, "--no-pictures", *at).status == 0
    assert not (tmp_path / "shop.pictures").exists()
    assert run("index", out, *at).status == 0
    assert whole(shop) == before


def test_lines_go_to_the_output_and_only_those_that_match(
    run: Run, shop: Client, at: tuple[str, ...]
) -> None:
    done = run("items", "export", "--filter", "price < 5", *at)
    assert [json.loads(line)["item_id"] for line in done.out.splitlines()] == ["a"]
    assert "1 items written, without pictures" in done.err
    assert len(run("items", "export", *at).out.splitlines()) == 40


def test_items_are_shown_as_they_are_stored(run: Run, shop: Client, at: tuple[str, ...]) -> None:
    done = run("items", "get", "a", "nothing", *at)
    shown = json.loads(done.out)
    assert shown["texts"] == {"text": "红色 shoe"} and shown["sequence_number"] > 0
    assert shown["attributes"] == {"price": 1.5, "tags": ["x", "y"], "in_stock": True}
    assert done.status == 3 and "'nothing'" in done.err and done.err.count("\n") == 1
    assert run("items", "get", "a", "--filter", " ", *at).out.count("sequence_number") == 1
    assert run("items", "get", "--filter", "price > 1", "--limit", 1, *at).out.count("sequence_number") == 1


def test_items_are_deleted_by_id(run: Run, shop: Client, at: tuple[str, ...]) -> None:
    done = run("items", "delete", "a", "b", "a", "gone", "--filter", " ", *at)
    assert "2 items deleted" in done.out and done.status == 3 and "'gone'" in done.err
    assert shop.get_collection().item_count == 38


def test_before_a_filter_deletes_it_is_asked(
    run: Run, shop: Client, at: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = run("items", "delete", "--filter", "price > 0", *at)
    assert refused.status == 1 and "would delete 2 items (a, c [/])" in refused.err and "--yes" in refused.err
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("typer.confirm", lambda *_, abort: None)
    assert "2 items deleted" in run("items", "delete", "--filter", "price > 0", *at).out
    assert "0 items deleted" in run("items", "delete", "--filter", "price > 0", "--yes", *at).out


@pytest.mark.parametrize("command", ["get", "delete"])
@pytest.mark.parametrize("given", [[], ["a", "--filter", "price > 0"], ["--filter", " "]])
def test_ids_or_a_filter_must_be_given(run: Run, command: str, given: list[str]) -> None:
    done = run("items", command, *given, "--target", "localhost:1")
    assert done.status == 1 and "give the ids of items, or a --filter" in done.err


def test_a_wrong_filter_and_a_file_that_cannot_be_written_are_one_line(
    run: Run, shop: Client, at: tuple[str, ...], tmp_path: Path
) -> None:
    wrong = run("items", "export", "--filter", "price <", *at)
    assert wrong.status == 1 and wrong.err.startswith("error:") and wrong.out == ""
    kept = tmp_path / "kept.jsonl"
    kept.write_text("before")
    assert run("items", "export", "--filter", "nonsense = 1", "--out", kept, *at).status == 1
    assert kept.read_text() == "before" and list(tmp_path.iterdir()) == [kept]
    assert "cannot be written" in run("items", "export", "--out", tmp_path / "no" / "a.jsonl", *at).err


def test_collections_are_listed_and_deleted(run: Run, server: Server, shop: Client) -> None:
    target = ("--target", server.address)
    assert NAME in run("collections", "list", *target).out
    [found] = [c for c in json.loads(run("collections", "list", "--json", *target).out) if c["name"] == NAME]
    assert found["item_count"] == 40 and found["attributes"]["price"] == "number"
    shop.create_collection("leaves")
    refused = run("collections", "delete", "leaves", *target)
    assert refused.status == 1 and "would delete collection leaves with 0 items and 0 events" in refused.err
    assert "deleted collection leaves" in run("collections", "delete", "leaves", "--yes", *target).out
    with pytest.raises(NotFound):
        shop.get_collection("leaves")
    assert "leaves" in run("collections", "delete", "leaves", "--yes", *target).err
