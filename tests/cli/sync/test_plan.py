"""What a sync does, from what the files say, what they said, and what the collection has."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from itemlens import Item, ItemUpdate, Relation
from itemlens_cli.sync.plan import Owned, Plan, plan, plan_fields
from itemlens_cli.sync.state import DAMAGED, Seen, seen
from itemlens_datasets.rows import Row

ALL = Owned(
    texts=True, relations=True, pictures=True, external=None, attributes=frozenset({"price", "brand"})
)


def item(id: str, text: str = "shoe", picture: bytes = b"", relations: Any = (), **attributes: Any) -> Item:
    pictures = {"image": [picture]} if picture else {}
    return Item(id, texts={"text": text}, pictures=pictures, relations=relations, attributes=attributes)


def planned(
    files: list[Item], stored: list[Item], before: list[Item] | None = None, owned: Owned = ALL
) -> Plan:
    rows = ((Row(n, n, {}), one) for n, one in enumerate(files, 1))
    there = {one.item_id: seen(one, with_pictures=False) for one in stored}
    return plan(rows, there, {one.item_id: seen(one) for one in before or []}, owned)


def what(made: Plan) -> dict[str, list[str]]:
    changes = made.changes.items()
    ids = {
        "added": [item_id for item_id, change in changes if change.add],
        "content": [item_id for item_id, change in changes if change.replace or change.merge],
        "attributes": [item_id for item_id, change in changes if change.update is not None],
        "deleted": made.deleted,
    }
    return {kind: some for kind, some in ids.items() if some}


def test_what_is_new_is_added_and_what_left_is_deleted() -> None:
    made = planned([item("a"), item("b")], [item("b"), item("c")])
    assert what(made) == {"added": ["a"], "deleted": ["c"]}


def test_equal_items_are_left_alone_with_and_without_an_earlier_sync() -> None:
    some = [item("a", price=1, brand="x"), item("b", relations=[Relation("r", "a")])]
    assert what(planned(some, some)) == {}
    assert what(planned(some, some, some)) == {}
    pictured = [item("c", picture=b"1")]
    assert what(planned(pictured, pictured, pictured)) == {}


def test_attributes_alone_are_updated_and_only_those_that_the_files_decide() -> None:
    made = planned([item("a", price=2)], [item("a", price=1, brand="x", live=9)])
    assert what(made) == {"attributes": ["a"]}
    assert made.changes["a"].update == ItemUpdate("a", set={"price": 2}, remove=("brand",))


def test_what_did_not_change_in_the_files_stays_as_it_is_in_the_collection() -> None:
    now, then = item("a", price=5, brand="y"), item("a", price=5, brand="x")
    made = planned([now], [item("a", "changed there", price=99, brand="z")], [then])
    assert made.changes["a"].update == ItemUpdate("a", set={"brand": "y"})
    assert not made.changes["a"].merge and not made.changes["a"].replace


def test_an_item_that_was_deleted_there_stays_deleted_until_its_row_changes() -> None:
    made = planned([item("a")], [], [item("a")])
    assert what(made) == {} and made.stay_deleted == 1
    assert what(planned([item("a", "new")], [], [item("a")])) == {"added": ["a"]}


def test_texts_are_merged_and_pictures_and_relations_written_as_a_whole() -> None:
    old = item("a", picture=b"1")
    assert planned([item("a", "new", b"1")], [old], [old]).changes["a"].merge
    assert planned([item("a", picture=b"2")], [old], [old]).changes["a"].replace
    related = planned([item("a", relations=[Relation("r", "b")])], [item("a")]).changes["a"]
    assert related.replace and not related.merge


def test_a_text_that_is_gone_is_taken_away_by_writing_the_item_as_a_whole() -> None:
    both = replace(item("a"), texts={"text": "shoe", "notes": "red"})
    for before in ([], [both]):
        cleared = planned([item("a")], [both], before).changes["a"]
        assert cleared.replace and not cleared.merge
    assert planned([both], [item("a")]).changes["a"].merge
    # A text that another program added is no text of the files.
    assert planned([item("a", "new")], [both], [item("a")]).changes["a"].merge


def test_pictures_of_the_first_sync_are_sent_since_a_server_does_not_say_what_it_has() -> None:
    assert planned([item("a", picture=b"1")], [item("a", picture=b"1")]).changes["a"].replace


def test_what_a_mapping_does_not_name_is_no_change() -> None:
    owned = Owned(texts=False, relations=False, pictures=False, external=frozenset(), attributes=frozenset())
    assert what(planned([Item("a", pictures={})], [item("a", price=1)], owned=owned)) == {}


def test_only_what_these_files_had_is_deleted_once_they_are_known() -> None:
    made = planned([item("a")], [item("a"), item("b"), item("theirs")], [item("a"), item("b")])
    assert what(made) == {"deleted": ["b"]} and made.others == 1


def test_a_damaged_item_is_written_as_a_whole() -> None:
    made = plan([(Row(1, 1, {}), item("a"))], {"a": DAMAGED}, {}, ALL)
    assert made.changes["a"].replace and not made.changes["a"].merge


def test_of_rows_with_one_id_the_last_counts() -> None:
    made = planned([item("a", "x"), item("a", "y")], [item("a", "y")])
    assert what(made) == {} and made.repeated == [2] and made.count == 1
    made = planned([item("a", "y"), item("a", "x")], [item("a", "y")])
    assert made.changes["a"].row == 2


def test_only_these_attributes_are_sent_and_only_where_they_changed() -> None:
    before = {"a": seen(item("a", price=1, brand="x")), "b": seen(item("b", price=1))}
    now = [item("a", price=2, brand="y"), item("b", price=1), item("new", price=3), item("c")]
    made = plan_fields(((Row(n, n, {}), one) for n, one in enumerate(now, 1)), before, ["price"])
    updates = {item_id: change.update for item_id, change in made.changes.items()}
    assert updates == {
        "a": ItemUpdate("a", set={"price": 2}),
        "new": ItemUpdate("new", set={"price": 3}),
        "c": ItemUpdate("c", remove=("price",)),
    }
    assert made.files["a"] == replace(
        before["a"], attributes={**before["a"].attributes, "price": seen(now[0]).attributes["price"]}
    )


def test_numbers_are_equal_as_a_server_returns_them() -> None:
    assert seen(item("a", price=1)) == seen(item("a", price=1.0))
    assert seen(item("a", price=1)) != seen(item("a", price=True))
    assert seen(item("a", tags=["x"])) != seen(item("a", tags=["x", "y"]))


ITEMS = st.dictionaries(
    st.sampled_from("abcdef"),
    st.tuples(
        st.sampled_from(["shoe", "cup"]),
        st.dictionaries(st.sampled_from(["price", "brand"]), st.integers(0, 2)),
    ),
)


def made_of(items: dict[str, tuple[str, dict[str, int]]]) -> dict[str, Item]:
    return {
        id: Item(id, texts={"text": text}, pictures={}, attributes=attributes)
        for id, (text, attributes) in items.items()
    }


@given(ITEMS, ITEMS)
def test_without_an_earlier_sync_the_collection_becomes_the_files(files: Any, stored: Any) -> None:
    now, there = made_of(files), made_of(stored)
    made = planned(list(now.values()), list(there.values()))
    assert applied(made, now, there) == now


@given(ITEMS, ITEMS)
def test_a_second_sync_of_the_same_files_does_nothing(files: Any, stored: Any) -> None:
    now, there = made_of(files), made_of(stored)
    assert what(planned(list(now.values()), list(now.values()), list(now.values()))) == {}
    again = planned(list(now.values()), list(there.values()), list(now.values()))
    assert set(what(again)) <= {"deleted"}


def applied(made: Plan, files: dict[str, Item], stored: dict[str, Item]) -> dict[str, Item]:
    """The collection after a plan."""
    result = {id: one for id, one in stored.items() if id not in made.deleted}
    for id, change in made.changes.items():
        if change.add:
            result[id] = files[id]
        if change.merge or change.replace:
            result[id] = replace(result[id], texts=files[id].texts)
        if change.update is not None:
            attributes = {**result[id].attributes, **change.update.set}
            kept = {name: value for name, value in attributes.items() if name not in change.update.remove}
            result[id] = replace(result[id], attributes=kept)
    return result


def test_a_hash_of_what_was_seen_is_kept_as_it_was() -> None:
    one = seen(item("a", picture=b"1", price=1))
    assert Seen(one.texts, one.relations, one.pictures, dict(one.attributes), one.channels) == one
