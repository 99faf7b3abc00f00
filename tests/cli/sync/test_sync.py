"""`itemlens index --sync` and `--check` against a server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from itemlens import AttributeType, Client, Item, ItemUpdate, Relation, ServerError, StreamPosition
from itemlens_cli.sync import apply as apply_module
from itemlens_cli.sync import lease
from itemlens_cli.sync.lease import Lease
from itemlens_cli.sync.state import Seen, seen
from itemlens_server.errors import FailedPrecondition
from support.command import Done, Run
from support.serving import Server
from support.spaces import picture, sample_items

NAME = "synced"
MAPPING = """
collection: synced
items:
  file: shop.csv
  id: "{sku}"
  texts: {text: "{name}"}
  attributes: {price: {column: price, type: float}, brand: brand}
"""
ROWS = ["a,red shoe,10,Alto", "b,blue kettle,20,Kaya", "c,green lamp,30,Alto", "d,white mug,5,Umi"]

Sync = Callable[..., Done]


@pytest.fixture
def shop(server: Server) -> Iterator[Client]:
    with server.client(collection=NAME) as client:
        yield client
        client.delete_collection(NAME)


@pytest.fixture
def sync(run: Run, server: Server, shop: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sync:
    """Writes rows to the file and syncs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop.yaml").write_text(MAPPING)

    def sync(rows: list[str], *options: str) -> Done:
        (tmp_path / "shop.csv").write_text("\n".join(["sku,name,price,brand", *rows]) + "\n")
        return run("index", tmp_path / "shop.yaml", "--sync", *options, "--target", server.address)

    assert sync(ROWS).status == 0
    return sync


def stored(client: Client) -> dict[str, tuple[str, dict[str, object]]]:
    return {
        one.item.item_id: (one.item.texts["text"], dict(one.item.attributes)) for one in client.list_items()
    }


def sequences(client: Client) -> dict[str, int]:
    return {one.item.item_id: one.sequence_number for one in client.list_items()}


def test_a_sync_of_what_did_not_change_writes_no_item(sync: Sync, shop: Client) -> None:
    before = sequences(shop)
    done = sync(ROWS)
    assert done.status == 0 and "did not change │ 4" in done.said and "no file" not in done.said
    assert sequences(shop) == before


def test_what_is_new_changed_or_gone_follows(sync: Sync, shop: Client) -> None:
    before = sequences(shop)
    done = sync(["a,red shoe,12,Alto", "b,blue pot,20,", "c,green lamp,30,Alto", "e,scarf,7,Umi"])
    assert done.status == 0
    assert "added │ 1 │ e" in done.said and "deleted │ 1 │ d" in done.said
    assert "attributes changed │ 2 │ a, b" in done.said and "relations changed │ 1 │ b" in done.said
    assert stored(shop) == {
        "a": ("red shoe", {"price": 12, "brand": "Alto"}),
        "b": ("blue pot", {"price": 20}),
        "c": ("green lamp", {"price": 30, "brand": "Alto"}),
        "e": ("scarf", {"price": 7, "brand": "Umi"}),
    }
    assert sequences(shop)["c"] == before["c"]


def test_what_was_changed_in_the_collection_stays(sync: Sync, shop: Client) -> None:
    shop.update_items([ItemUpdate("a", set={"price": 99, "live": True})]).raise_for_errors()
    shop.delete_items(["b"]).raise_for_errors()
    done = sync(["a,red boot,10,Alto", *ROWS[1:]])
    assert done.status == 0 and "stay deleted │ 1" in done.said
    assert stored(shop)["a"] == ("red boot", {"price": 99, "brand": "Alto", "live": True})
    assert "b" not in stored(shop)
    sync(["a,red boot,11,Alto", "b,blue kettle,21,Kaya", *ROWS[2:]])
    assert stored(shop)["a"][1]["price"] == 11 and stored(shop)["b"][1]["price"] == 21


def test_items_that_came_from_elsewhere_are_left_alone(sync: Sync, shop: Client) -> None:
    shop.upsert([Item("theirs", text="from the shop's own program")]).raise_for_errors()
    done = sync([*ROWS[:3], ROWS[0]])
    assert "deleted │ 1 │ d" in done.said and "left alone │ 1" in done.said and "REPEATED_ID" in done.said
    assert set(stored(shop)) == {"a", "b", "c", "theirs"}


def test_a_dry_run_says_it_and_writes_nothing(sync: Sync, shop: Client, tmp_path: Path) -> None:
    before, kept = sequences(shop), (tmp_path / "shop.synced.sync").read_bytes()
    done = sync(["a,red shoe,12,Alto", "e,scarf,7,Umi", *ROWS[1:3]], "--dry-run")
    assert done.status == 0 and "dry run: nothing was written" in done.said
    assert "added │ 1 │ e" in done.said and "deleted │ 1 │ d" in done.said
    assert sequences(shop) == before and (tmp_path / "shop.synced.sync").read_bytes() == kept


def test_only_some_attributes_follow_and_nothing_is_added_or_deleted(sync: Sync, shop: Client) -> None:
    done = sync(["a,other words,12,Other", "e,scarf,7,Umi"], "--fields", "price")
    assert done.status == 0 and "attributes changed │ 2" in done.said
    assert "1 items whose texts or attributes changed are not in the collection" in done.said
    assert stored(shop)["a"] == ("red shoe", {"price": 12, "brand": "Alto"}) and len(stored(shop)) == 4
    # The next whole sync knows that price, and sees that the words changed.
    shop.update_items([ItemUpdate("a", set={"price": 77})]).raise_for_errors()
    sync(["a,other words,12,Alto", *ROWS[1:]])
    assert stored(shop)["a"] == ("other words", {"price": 77, "brand": "Alto"})


def test_an_empty_file_and_a_deletion_of_more_than_half_are_refused(sync: Sync, shop: Client) -> None:
    for rows, told in (
        ([], "has no items: 4 of 4"),
        (ROWS[:1], "more than half of the items would go: 3 of 4"),
    ):
        done = sync(rows)
        assert done.status == 1 and told in done.said and "--force does it" in done.said
        assert len(stored(shop)) == 4
    assert sync(ROWS[:1], "--force").status == 0
    assert list(stored(shop)) == ["a"]


def test_after_skipped_rows_nothing_is_deleted(sync: Sync, shop: Client) -> None:
    done = sync(["a,red shoe,much,Alto", *ROWS[1:3], "f,new,1,Umi"])
    assert done.status == 3 and "2 items are not in the files, but rows were skipped" in done.said
    assert set(stored(shop)) == {"a", "b", "c", "d", "f"}
    assert sync([*ROWS[:3], "f,new,1,Umi"]).status == 0
    assert set(stored(shop)) == {"a", "b", "c", "f"}


def test_items_that_the_server_refuses_are_tried_again(sync: Sync, shop: Client) -> None:
    rows = [*ROWS, f"{'e' * 300},scarf,7,Umi"]
    done = sync(rows)
    assert done.status == 3 and "skipped rows: 1" in done.said and "INVALID_ARGUMENT" in done.said
    assert "added │ 1" in sync(rows).said


def test_a_sync_that_failed_half_way_is_done_again(
    sync: Sync, shop: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = ["a,red boot,12,Alto", *ROWS[1:3], "e,scarf,7,Umi"]
    with monkeypatch.context() as broken:

        def fail(*_: object, **__: object) -> None:
            raise ServerError("gone")

        broken.setattr(Client, "upload_updates", fail)
        assert "gone" in sync(rows).err
    assert set(stored(shop)) == {"a", "b", "c", "d", "e"}
    assert sync(rows).status == 0
    assert set(stored(shop)) == {"a", "b", "c", "e"}
    assert stored(shop)["a"] == ("red boot", {"price": 12, "brand": "Alto"})


@pytest.mark.parametrize(
    "now",
    [
        ["new,scarf,7,Umi", "a,red boot,12,Alto", *ROWS[1:], "e,scarf,7,Umi"],  # every row has another number
        ["a,red boot,12,Alto", *ROWS[1:]],
        ["a,red clog,12,Alto", *ROWS[1:], "e,scarf,7,Umi"],
    ],
)
def test_a_file_that_is_replaced_between_its_two_reads_is_told_and_done_again(
    sync: Sync, shop: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, now: list[str]
) -> None:
    first = ["a,red boot,12,Alto", *ROWS[1:], "e,scarf,7,Umi"]
    kept = (tmp_path / "shop.synced.sync").read_bytes()
    with monkeypatch.context() as replaced:
        apply = apply_module.Sync._apply

        def replace_first(self: apply_module.Sync, made: apply_module.Synced) -> None:
            (tmp_path / "shop.csv").write_text("\n".join(["sku,name,price,brand", *now]) + "\n")
            apply(self, made)

        replaced.setattr(apply_module.Sync, "_apply", replace_first)
        done = sync(first)
    assert done.status == 1 and "changed while the files were read; sync again" in done.said + done.err
    assert (tmp_path / "shop.synced.sync").read_bytes() == kept
    assert sync(first).status == 0
    assert stored(shop)["a"][0] == "red boot" and set(stored(shop)) == {"a", "b", "c", "d", "e"}


def test_only_items_that_are_sent_are_hashed_again(sync: Sync, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []

    def counted(item: Item, *, with_pictures: bool = True) -> Seen:
        if with_pictures:
            hashed.append(item.item_id)
        return seen(item, with_pictures=with_pictures)

    monkeypatch.setattr(apply_module, "seen", counted)
    assert sync(["a,red boot,12,Alto", "b,blue kettle,21,Kaya", *ROWS[2:], "e,scarf,7,Umi"]).status == 0
    assert sorted(hashed) == ["a", "e"]


def test_the_lease_is_kept_on_every_row(sync: Sync, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[Lease] = []
    monkeypatch.setattr(Lease, "keep", lambda self: kept.append(self))
    assert sync(["a,red boot,10,Alto", *ROWS[1:]]).status == 0
    assert len(kept) >= 3 * len(ROWS)  # the files, the collection, and the files again


def test_two_syncs_at_once_the_second_is_refused(
    sync: Sync, shop: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Lease(shop) as first:
        done = sync(ROWS[:3])
        assert done.status == 1 and "another sync of this collection runs" in done.said
        assert len(stored(shop)) == 4
        monkeypatch.setattr(lease, "STEP_SECONDS", -1.0)
        first.keep()
    assert sync(ROWS[:3]).status == 0
    assert len(stored(shop)) == 3


def test_a_sync_that_was_killed_holds_the_collection_only_for_a_while(
    sync: Sync, shop: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = Lease(shop)
    killed.__enter__()
    assert "if it was killed" in sync(ROWS).said
    monkeypatch.setattr(lease, "SILENCE_SECONDS", 0.0)
    monkeypatch.setattr(lease, "STEP_SECONDS", -1.0)
    assert sync(ROWS).status == 0
    with pytest.raises(FailedPrecondition, match="another sync"):
        killed.keep()  # it was not dead after all: it learns that another took its place


def test_beginners_at_the_same_moment_cannot_both_hold_it(sync: Sync, shop: Client) -> None:
    first, second = Lease(shop), Lease(shop)
    first._position = second._position = shop.list_streams()[0].position
    first._step("runs 1 0")
    with pytest.raises(FailedPrecondition, match="another sync"):
        second._step("runs 2 0")
    shop.record_events([], stream=StreamPosition(lease.STREAM, "ended", previous="runs 1 0"))


def test_a_check_lists_everything_that_is_wrong_and_writes_nothing(
    run: Run, sync: Sync, shop: Client, server: Server, tmp_path: Path
) -> None:
    before = sequences(shop)
    (tmp_path / "shop.yaml").write_text(MAPPING.replace("{column: price, type: float}", "price"))
    (tmp_path / "shop.csv").write_text("sku,name,price,brand\na,shoe,12,Alto\n,no id,1,x\nc,,3,x\n")
    done = run("index", tmp_path / "shop.yaml", "--check", "--target", server.address)
    assert done.status == 3
    for told in (
        "price: '12' is not a number",
        "the id is empty",
        "it has no text, no picture and no vector",
        "rows cannot be used; nothing was written",
    ):
        assert told in done.said or told in (tmp_path / "shop.errors.jsonl").read_text()
    assert sequences(shop) == before
    (tmp_path / "shop.yaml").write_text(MAPPING)
    (tmp_path / "shop.csv").write_text("sku,name,price,brand\na,shoe,12,Alto\n")
    assert run("index", tmp_path / "shop.yaml", "--check", "--target", server.address).status == 0
    (tmp_path / "shop.yaml").write_text(MAPPING.replace("text:", "title:"))
    wrong = run("index", tmp_path / "shop.yaml", "--check", "--target", server.address)
    assert wrong.status == 1 and "no channel 'title'" in wrong.said


def test_a_check_takes_the_values_that_the_server_takes(
    run: Run, sync: Sync, shop: Client, server: Server, tmp_path: Path
) -> None:
    shop.update_collection(NAME, attributes={"released": AttributeType.TIME, "stock": AttributeType.INTEGER})
    attributes = "{price: {column: price, type: float}, released: brand, stock: name}"
    (tmp_path / "shop.yaml").write_text(MAPPING[: MAPPING.index("{price")] + attributes)
    (tmp_path / "shop.csv").write_text("sku,name,price,brand\na,1,1,2026-03-01\nb,0.5,1,soon\n")
    done = run("index", tmp_path / "shop.yaml", "--check", "--target", server.address)
    assert done.status == 3 and "2 rows cannot be used" in done.said
    told = (tmp_path / "shop.errors.jsonl").read_text()
    assert "b: released: 'soon' is not a time" in told and "b: stock: '0.5' is not a whole number" in told
    assert "a: " not in told
    # The numbers of an export may be larger than the server takes.
    (tmp_path / "huge.jsonl").write_text(
        f'{{"item_id": "a", "texts": {{}}, "attributes": {{"price": 1{"0" * 400}}}}}'
    )
    done = run("index", tmp_path / "huge.jsonl", "--check", "--collection", NAME, "--target", server.address)
    assert done.status == 3 and "1 rows cannot be used" in done.said


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--fields", "price"], "--fields is for --sync"),
        (["--dry-run"], "--dry-run is for --sync"),
        (["--sync", "--limit", "3"], "of all rows"),
        (["--sync", "--check"], "not both"),
        (
            ["--sync", "--fields", "prise"],
            "has no such attribute; it has price, brand; did you mean 'price'?",
        ),
    ],
)
def test_options_that_do_not_go_together_are_told(
    run: Run, tmp_path: Path, options: list[str], told: str
) -> None:
    (tmp_path / "shop.yaml").write_text(MAPPING)
    (tmp_path / "shop.csv").write_text("sku,name,price,brand\n")
    done = run("index", tmp_path / "shop.yaml", *options, "--target", "localhost:1")
    assert done.status == 1 and told in done.said


def test_an_item_with_a_changed_picture_keeps_what_was_changed_there(
    run: Run, server: Server, shop: Client, sync: Sync, tmp_path: Path
) -> None:
    pictures = [picture for one in sample_items(10) for picture in one.pictures][:2]
    (tmp_path / "shop.yaml").write_text(MAPPING + '  pictures: {image: {path: "{sku}.png"}}\n')
    for n, name in enumerate("abcd"):
        (tmp_path / f"{name}.png").write_bytes(pictures[n % 2])
    assert sync(ROWS).status == 0
    shop.update_items([ItemUpdate("a", set={"price": 99})]).raise_for_errors()
    before = sequences(shop)
    (tmp_path / "a.png").write_bytes(pictures[1])
    done = sync(ROWS)
    assert done.status == 0 and "relations changed │ 1 │ a" in done.said
    assert stored(shop)["a"] == ("red shoe", {"price": 99, "brand": "Alto"})
    assert {item_id for item_id, n in sequences(shop).items() if n != before[item_id]} == {"a"}
    [pictured] = shop.get_items(["a"], pictures=True)
    assert isinstance(pictured.item.pictures, dict) and len(pictured.item.pictures["image"]) == 1


def test_an_update_between_the_read_of_an_item_and_its_write_stays(
    sync: Sync, shop: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = [picture for one in sample_items(10) for picture in one.pictures][:2]
    (tmp_path / "shop.yaml").write_text(MAPPING + '  pictures: {image: {path: "{sku}.png"}}\n')
    for name in "abcd":
        (tmp_path / f"{name}.png").write_bytes(pictures[0])
    assert sync(ROWS).status == 0
    (tmp_path / "a.png").write_bytes(pictures[1])
    get_items = Client.get_items

    def then_changed(client: Client, *args: Any, **options: Any) -> Any:
        found = get_items(client, *args, **options)
        shop.update_items([ItemUpdate("a", set={"price": 99})]).raise_for_errors()
        return found

    monkeypatch.setattr(Client, "get_items", then_changed)
    assert sync(["a,red boot,10,Umi", *ROWS[1:]]).status == 0
    assert stored(shop)["a"] == ("red boot", {"price": 99, "brand": "Umi"})


def test_a_text_that_was_cleared_in_the_file_is_taken_away(sync: Sync, shop: Client, tmp_path: Path) -> None:
    [picture, *_] = next(one.pictures for one in sample_items(10) if one.pictures)
    (tmp_path / "shop.yaml").write_text(MAPPING + '  pictures: {image: {path: "{sku}.png"}}\n')
    for name in "abcd":
        (tmp_path / f"{name}.png").write_bytes(picture)
    assert sync(ROWS).status == 0
    shop.update_items([ItemUpdate("a", set={"price": 99})]).raise_for_errors()
    assert sync(["a,,10,Alto", *ROWS[1:]]).status == 0
    [cleared] = shop.get_items(["a"], pictures=True)
    assert not cleared.item.texts and len(cleared.item.pictures) == 1
    assert cleared.item.attributes == {"price": 99, "brand": "Alto"}


def test_an_export_without_pictures_takes_away_what_left_it_and_keeps_the_pictures(
    run: Run, server: Server, shop: Client, tmp_path: Path
) -> None:
    shop.create_collection(NAME)
    large = picture("shoe", "red", side=300)  # it is stored smaller
    shop.upsert(
        [
            Item("a", text="red shoe", pictures=[large], relations=[Relation("goes_with", "b")]),
            Item("b", text="blue sock", attributes={"price": 5}),
        ]
    ).raise_for_errors()
    [before] = shop.get_items(["a"], pictures=True)
    out, at = tmp_path / "shop.jsonl", ("--target", server.address, "--collection", NAME)
    assert run("items", "export", "--no-pictures", "--out", out, *at).status == 0
    assert run("index", out, "--sync", *at).status == 0
    a, b = map(json.loads, out.read_text().splitlines())
    out.write_text("".join(json.dumps(one) + "\n" for one in ({**a, "texts": {}, "relations": []}, b)))
    done = run("index", out, "--sync", *at)
    assert done.status == 0 and "relations changed │ 1 │ a" in done.said
    [after] = shop.get_items(["a"], pictures=True)
    assert not after.item.texts and not after.item.relations
    assert after.item.pictures == before.item.pictures and before.item.pictures != {"image": [large]}


def test_an_item_that_is_deleted_after_the_comparison_is_not_brought_back(
    sync: Sync, shop: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply = apply_module.Sync._apply

    def delete_first(self: apply_module.Sync, made: apply_module.Synced) -> None:
        shop.delete_items(["a"]).raise_for_errors()
        apply(self, made)

    monkeypatch.setattr(apply_module.Sync, "_apply", delete_first)
    done = sync(["a,red boot,12,Alto", "b,blue pot,20,Kaya", *ROWS[2:]])
    assert done.status == 0
    assert "1 items whose texts or attributes changed are not in the collection" in done.said
    assert set(stored(shop)) == {"b", "c", "d"} and stored(shop)["b"][0] == "blue pot"


def test_an_unreadable_picture_costs_only_its_item(
    run: Run, shop: Client, sync: Sync, server: Server, tmp_path: Path
) -> None:
    (tmp_path / "shop.yaml").write_text(MAPPING + '  pictures: {image: {path: "{sku}.png"}}\n')
    [picture, *_] = next(one.pictures for one in sample_items(10) if one.pictures)
    for name in "abc":
        (tmp_path / f"{name}.png").write_bytes(picture)
    done = sync([*ROWS[:3], "d,other words,6,Umi"])
    assert done.status == 3 and "UNREADABLE_FILE" in done.said
    assert stored(shop)["d"][0] == "white mug"
    checked = run("index", tmp_path / "shop.yaml", "--check", "--target", server.address)
    assert checked.status == 3 and "there is no picture" in checked.said
    (tmp_path / "d.png").write_bytes(picture)
    assert sync([*ROWS[:3], "d,other words,6,Umi"]).status == 0
    assert stored(shop)["d"] == ("other words", {"price": 6, "brand": "Umi"})


def test_types_that_values_do_not_show_are_given_to_the_collection(
    sync: Sync, shop: Client, tmp_path: Path
) -> None:
    released = MAPPING.replace("brand: brand", "brand: brand, released: {column: brand, type: time}")
    (tmp_path / "shop.yaml").write_text(released)
    done = sync(["a,red shoe,10,2026-03-01", "b,blue kettle,20,2026-03-01T10:00:00", *ROWS[2:]])
    assert done.status == 3 and "is not a day or time in ISO 8601" in done.said
    assert shop.get_collection().attributes["released"] == "time"
    found = [one.item.item_id for one in shop.list_items(filter='released > "2026-03-01"')]
    assert found == ["b"]
