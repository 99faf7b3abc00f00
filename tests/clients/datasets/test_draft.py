"""Drafts of mappings: they load as they are, and guess what a person would."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from itemlens_datasets.draft import draft
from itemlens_datasets.mapping import Dataset
from itemlens_datasets.rows import MappingError
from support import made_up_shop


def loaded(folder: Path, *names: str) -> tuple[str, Dataset]:
    text = draft([folder / name for name in names])
    (folder / "m.yaml").write_text(text, encoding="utf-8")
    dataset = Dataset.read(folder / "m.yaml")
    dataset.check(folder)
    return text, dataset


def drafted(folder: Path, text: str, encoding: str = "utf-8", name: str = "a.csv") -> tuple[str, Any]:
    (folder / name).write_text(text, encoding=encoding)
    said, dataset = loaded(folder, name)
    return said, dataset.items


def test_three_files_of_a_shop_are_joined_and_typed(tmp_path: Path) -> None:
    made_up_shop.write(tmp_path, 200)
    said, dataset = loaded(tmp_path, "products.csv", "stock.csv", "prices.csv")
    assert said.count("\n") <= 24
    assert "unsure" not in said
    items = list(dataset.read_items(tmp_path))
    assert len(items) == 200
    shown = items[0]
    assert shown.item_id == "SKU-0000" and shown.texts["text"].startswith("Kaya Wanderrucksack")
    assert shown.attributes["group"] == "M-001" and shown.attributes["brand"] == "Kaya"
    assert isinstance(shown.attributes["price"], float) and isinstance(shown.attributes["quantity"], int)


def test_a_column_of_vectors_is_no_attribute(tmp_path: Path) -> None:
    lines = '{"id": "a", "title": "cup", "v": [0.1, 2, 3]}\n{"id": "b", "title": "mug", "v": [1.5, 0, 1]}\n'
    said, items = drafted(tmp_path, lines, name="a.jsonl")
    assert "v" not in items.attributes and "# external: {NAME: {column: v," in said


def test_delimiters_and_encodings_are_found(tmp_path: Path) -> None:
    said, items = drafted(
        tmp_path, "Artikelnummer;Bezeichnung;Preis\n1;Lüfter;1.234,50\n2;Öl;9,90\n", "cp1252"
    )
    assert items.delimiter == ";" and items.encoding == "cp1252"
    assert items.id == "{Artikelnummer}" and items.texts["text"] == ["{Bezeichnung}"]
    assert items.attributes["Preis"].read({"Preis": "1.234,50"}) == 1234.5, said


@pytest.mark.parametrize(
    ("values", "read"),
    [
        (["1", "20"], 20),
        (["1.5", "2"], 2.0),
        (["007", "012"], "012"),
        (["12345678901234567", "1"], "1"),
        (["true", "No"], False),
        (["2026-03-01", "2026-03-31"], "2026-03-31"),
        (["2026-03-01T10:00:00", "2026-03-31T12:00:00"], "2026-03-31T12:00:00+00:00"),
        (["red|blue", "green|red"], ["green", "red"]),
        (["red", "blue"], "blue"),
    ],
)
def test_types_of_attributes_are_guessed(values: list[str], read: Any, tmp_path: Path) -> None:
    rows = "".join(f"{n},{value}\n" for n, value in enumerate(values))
    _, items = drafted(tmp_path, "sku,v\n" + rows)
    assert items.attributes["v"].read({"v": values[-1]}) == read


def test_what_is_unsure_is_said(tmp_path: Path) -> None:
    said, items = drafted(tmp_path, "kind,image,flag\nx,https://a/b.jpg,0\nx,https://a/c.jpg,1\n")
    assert "no column is called like an id" in said and items.id == "{image}"
    said, items = drafted(tmp_path, "sku,flag\nx,0\nx,1\nx,1\n")
    assert "unsure: not every row has a value of its own" in said
    assert "no column looks like a title" in said and "unsure: 0 and 1 only" in said
    said, _ = drafted(tmp_path, "sku,title,image\na,x,https://a/b.jpg\nb,y,c.jpg\n")
    assert "download the files" in said
    said, _ = drafted(tmp_path, "sku,title,image\na,x,b.jpg\nb,y,c.jpg\n")
    assert "there is no such file" in said


def test_json_lines_keep_their_types(tmp_path: Path) -> None:
    lines = '{"sku": 1, "name": "shoe", "price": 1.5}\n{"sku": 2, "name": "cup", "tags": ["a"]}\n'
    _, items = drafted(tmp_path, lines, name="a.jsonl")
    assert items.id == "{sku}" and items.attributes["tags"].type is None


def test_a_file_without_rows_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("sku,name\n")
    with pytest.raises(MappingError, match="has no rows"):
        draft([tmp_path / "a.csv"])
    with pytest.raises(MappingError, match="no file"):
        draft([tmp_path / "b.csv"])


CELLS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(
    names=st.lists(CELLS.filter(lambda name: name.strip()), min_size=1, max_size=5),
    rows=st.lists(st.lists(CELLS, min_size=5, max_size=5), min_size=1, max_size=5),
)
def test_every_draft_is_a_mapping_of_its_file(
    names: list[str], rows: list[list[str]], tmp_path: Path
) -> None:
    with (tmp_path / "a.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([names, *(row[: len(names)] for row in rows)])
    try:
        loaded(tmp_path, "a.csv")
    except MappingError as error:
        assert "no rows" in error.message or "no column with a usable name" in error.message
