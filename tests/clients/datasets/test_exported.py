"""Files of items as JSON lines: what is written is read again, and a wrong line costs only itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemlens import Item, Relation
from itemlens_datasets.exported import exported, item_object
from itemlens_datasets.rows import BadRow

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
VALUES = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
ITEMS = st.builds(
    Item,
    TEXT.filter(lambda text: text == text.strip()),
    texts=st.dictionaries(TEXT, TEXT, max_size=2),
    attributes=st.dictionaries(TEXT, VALUES, max_size=3),
    relations=st.lists(st.builds(Relation, TEXT, TEXT), max_size=2),
    pictures=st.just({}),
)


def read(folder: Path, *lines: Any) -> tuple[list[Item], list[BadRow]]:
    file, bad = folder / "items.jsonl", list[BadRow]()
    file.write_text("".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines), encoding="utf-8")
    return list(exported(file).read_items(folder, bad.append)), bad


@given(items=st.lists(ITEMS, min_size=1, max_size=4))
def test_what_is_written_is_read_again(items: list[Item], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp()
    assert read(folder, *(item_object(item, {}) for item in items)) == (items, [])


def test_paths_of_pictures_are_relative_to_the_file(tmp_path: Path) -> None:
    [item], _ = read(tmp_path, {"item_id": "a", "pictures": {"image": ["shop.pictures/a.png"]}})
    assert item.pictures == {"image": [tmp_path / "shop.pictures" / "a.png"]}


def test_lines_without_pictures_are_merged(tmp_path: Path) -> None:
    for line, merged in (({"item_id": "a"}, True), ({"item_id": "a", "pictures": {}}, False)):
        read(tmp_path, line)
        items = exported(tmp_path / "items.jsonl").items
        assert items is not None and items.merge is merged


@pytest.mark.parametrize(
    ("wrong", "column"),
    [
        ({"item_id": ""}, "item_id"),
        ({"item_id": "x", "texts": "no"}, "texts"),
        ({"item_id": "x", "attributes": [1]}, "attributes"),
        ({"item_id": "x", "relations": [{"type": "t"}]}, "relations"),
        ({"item_id": "x", "relations": {"type": "t"}}, "relations"),
        ({"item_id": "x", "pictures": {"image": "a.png"}}, "pictures"),
        ({"item_id": "x", "pictures": {"image": [1]}}, "pictures"),
    ],
)
def test_a_wrong_line_costs_only_itself(wrong: Any, column: str, tmp_path: Path) -> None:
    items, [bad] = read(tmp_path, {"item_id": "a"}, wrong, {"item_id": "b"})
    assert [item.item_id for item in items] == ["a", "b"]
    assert (bad.number, bad.column) == (2, column)
