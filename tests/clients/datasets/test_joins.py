"""Several files of one item: joined by a key, with what is missing said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from itemlens import Item
from itemlens_datasets.mapping import Dataset
from itemlens_datasets.rows import BadRow, MappingError, Note, Reason

JOIN = [{"file": "stock.csv", "key": "{article}", "matches": "{sku}"}, {"file": "prices.csv", "key": "{sku}"}]
MAPPING: dict[str, Any] = {
    "file": "products.csv",
    "id": "{sku}",
    "join": JOIN,
    "texts": {"text": "{name}"},
    "attributes": {
        "stock": {"column": "quantity", "type": "int"},
        "price": {"column": "price", "type": "float"},
    },
}
FILES = {
    "products.csv": "sku,name\na,shoe\nb,cup\nc,lamp\n",
    "stock.csv": "article,quantity,place\na,3,x\nb,0,y\nz,9,z\n",
    "prices.csv": "sku,price\na,1.5\nc,2\nc,4\n",
}


def read(folder: Path, **changes: Any) -> tuple[list[Item], list[BadRow], list[Note]]:
    for name, text in FILES.items():
        (folder / name).write_text(changes.pop(name.split(".")[0], text), encoding="utf-8")
    (folder / "m.yaml").write_text(yaml.safe_dump({"items": {**MAPPING, **changes}}), encoding="utf-8")
    bad, notes = list[BadRow](), list[Note]()
    dataset = Dataset.read(folder / "m.yaml")
    dataset.check(folder)
    read = [item for _, item in dataset.items_with_rows(folder, bad.append, notes.append)]
    return read, bad, notes


def test_an_item_has_fields_of_all_files(tmp_path: Path) -> None:
    items, bad, _ = read(tmp_path)
    assert {item.item_id: item.attributes for item in items} == {
        "a": {"stock": 3, "price": 1.5},
        "b": {"stock": 0},
        "c": {"price": 4.0},
    }
    assert [item.texts["text"] for item in items] == ["shoe", "cup", "lamp"] and not bad


def test_keys_that_are_missing_unused_or_repeated_are_said(tmp_path: Path) -> None:
    _, _, notes = read(tmp_path)
    assert [(note.reason, note.row) for note in notes] == [
        (Reason.REPEATED_KEY, 3),
        (Reason.NO_MATCH, 2),
        (Reason.NO_MATCH, 3),
        (Reason.NO_ITEM, None),
    ]
    assert "prices.csv has no row with the key 'b'" in notes[1].message
    assert "stock.csv: no row of products.csv has the key 'z'" in notes[3].message


def test_a_wrong_row_of_a_joined_file_costs_no_item(tmp_path: Path) -> None:
    items, bad, _ = read(tmp_path, stock='article,quantity\na,3\n,4\nb,"5\nc,1\n')
    assert len(items) == 3 and items[2].attributes["stock"] == 1
    assert [(str(row.file), row.number, row.reason) for row in bad] == [
        ("stock.csv", 2, Reason.EMPTY),
        ("stock.csv", 3, Reason.UNCLOSED_QUOTE),
    ]


def test_columns_of_one_name_need_a_prefix(tmp_path: Path) -> None:
    both = "sku,name,price\na,shoe,9\nb,cup,9\nc,lamp,9\n"
    with pytest.raises(MappingError) as caught:
        read(tmp_path, products=both)
    assert "m.yaml, line" in caught.value.message and "items.join.1" in caught.value.message
    assert "products.csv and prices.csv both have a column 'price'" in caught.value.message
    join = [JOIN[0], {**JOIN[1], "prefix": "new_"}]
    attributes = {"price": {"column": "new_price", "type": "float"}, "old": "price"}
    items, _, _ = read(tmp_path, products=both, join=join, attributes=attributes)
    assert items[0].attributes == {"price": 1.5, "old": "9"}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"join": [{"file": "none.csv", "key": "{sku}"}]}, "items.join.0.file: no file"),
        ({"join": [{**JOIN[0], "key": "{sku}"}]}, "items.join.0.key: stock.csv has no column 'sku'"),
        (
            {"join": [{**JOIN[0], "matches": "{ean}"}]},
            "items.join.0.matches: products.csv with stock.csv has no column 'ean'",
        ),
        ({"where": {"quantity": 3}}, "items.where"),
        ({"attributes": {"colour": "colour"}}, "with stock.csv with prices.csv has no column 'colour'"),
        ({"join": [{"key": "{sku}"}]}, "the key 'file' is missing"),
    ],
)
def test_a_wrong_join_is_told_with_its_place(changes: dict[str, Any], told: str, tmp_path: Path) -> None:
    with pytest.raises(MappingError) as caught:
        read(tmp_path, **changes)
    assert told in caught.value.message and "m.yaml, line" in caught.value.message


KEYS = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=2)


@given(
    products=st.lists(KEYS, unique=True, min_size=1),
    stock=st.dictionaries(KEYS, st.integers(0, 99), min_size=1),
)
def test_the_join_is_that_of_two_tables(
    products: list[str], stock: dict[str, int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp()
    items, _, notes = read(
        folder,
        products="sku,name\n" + "".join(f"{key},x\n" for key in products),
        stock="article,quantity\n" + "".join(f"{key},{count}\n" for key, count in stock.items()),
        join=JOIN[:1],
        attributes={"stock": MAPPING["attributes"]["stock"]},
    )
    assert [item.attributes.get("stock") for item in items] == [stock.get(key) for key in products]
    assert sum(note.reason is Reason.NO_MATCH for note in notes) == len(set(products) - stock.keys())
    assert sum(note.reason is Reason.NO_ITEM for note in notes) == len(stock.keys() - set(products))
