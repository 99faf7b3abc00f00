"""Wrong mapping files. Each message names the file, the line, the key and the fix."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from itemlens_datasets.mapping import Dataset
from itemlens_datasets.rows import MappingError


class Wrong(NamedTuple):
    use: str
    mapping: str
    message: list[str]
    """Parts of the message."""


ITEMS = 'items:\n  file: a.csv\n  id: "{sku}"\n'
EVENTS = 'events:\n  file: e.csv\n  user: "{who}"\n  item: "{sku}"\n  type: click\n'

WRONG_MAPPINGS = [
    Wrong(
        "an id without braces",
        "items:\n  file: a.csv\n  id: sku\n",
        ["m.yaml, line 3: items.id: 'sku' names no column", 'write "{sku}"'],
    ),
    Wrong(
        "a user without braces",
        EVENTS.replace('"{who}"', "who"),
        ["m.yaml, line 3: events.user: 'who' names no column", 'write "{who}"'],
    ),
    Wrong(
        "a text without braces",
        ITEMS + "  texts: {text: title}\n",
        ["line 4: items.texts.text: 'title' names no column", 'write "{title}"'],
    ),
    Wrong(
        "a picture's path without braces",
        ITEMS + "  pictures:\n    image: {path: photo}\n",
        ["line 5: items.pictures.image.path: 'photo' names no column", 'write "{photo}"'],
    ),
    Wrong(
        "an attribute's column with braces",
        ITEMS + '  attributes:\n    price: "{price}"\n',
        ["line 5: items.attributes.price: ", "without braces: price"],
    ),
    Wrong(
        "braces without quotation marks, which YAML reads as keys",
        "items:\n  file: a.csv\n  id: {sku}\n",
        ["line 3: items.id: should be a text", 'in quotation marks, such as "{sku}"'],
    ),
    Wrong(
        "braces and text without quotation marks, which are not YAML",
        "items:\n  file: a.csv\n  id: {sku}-{size}\n",
        ["m.yaml, line 3, column", "not YAML", 'in quotation marks, such as "{sku}"'],
    ),
    Wrong(
        "a tab as indentation",
        "items:\n\tfile: a.csv\n",
        ["m.yaml, line 2, column 1: not YAML", "\\t"],
    ),
    Wrong(
        "a misspelt key",
        ITEMS + "  text: {text: '{title}'}\n",
        ["line 4: items.text: unknown key", "did you mean 'texts'?"],
    ),
    Wrong(
        "a misspelt key far down",
        EVENTS + "  time: {colum: when}\n",
        [
            "line 6: events.time.colum: unknown key",
            "did you mean 'column'?",
            "the keys here are column, unit",
        ],
    ),
    Wrong(
        "a misspelt part",
        'item:\n  file: a.csv\n  id: "{sku}"\n',
        ["line 1: item: unknown key", "did you mean 'items'?"],
    ),
    Wrong(
        "a key that is missing",
        "items:\n  file: a.csv\n",
        ["m.yaml, line 1: items: the key 'id' is missing"],
    ),
    Wrong(
        "a key twice",
        ITEMS + '  id: "{ean}"\n',
        ["m.yaml, line 4: the key 'id' is in line 3 already; remove one"],
    ),
    Wrong(
        "an unknown event type",
        EVENTS.replace("click", "clik"),
        ["line 5: events.type: ", "'clik' is not one of impression, view, click", "did you mean 'click'?"],
    ),
    Wrong(
        "rules without a column",
        EVENTS.replace("type: click", "type: {rules: [{at_least: 4, type: click}]}"),
        ["line 5: events.type: give the `column`"],
    ),
    Wrong(
        "an unknown format",
        ITEMS + "  format: excel\n",
        ["line 4: items.format: 'excel' is not one of jsonl, csv, tsv, parquet"],
    ),
    Wrong(
        "an unknown encoding",
        ITEMS + "  encoding: utf9\n",
        ["line 4: items.encoding: 'utf9' is not a text encoding", "cp1252"],
    ),
    Wrong(
        "a codec that is not a text encoding",
        ITEMS + "  encoding: base64\n",
        ["line 4: items.encoding: 'base64' is not a text encoding"],
    ),
    Wrong(
        "a delimiter of several characters",
        ITEMS + "  delimiter: '\\t'\n",
        ["line 4: items.delimiter: ", 'write a tab as "\\t", in double quotation marks'],
    ),
    Wrong(
        "an option of another format",
        ITEMS.replace("a.csv", "a.parquet") + "  delimiter: ';'\n",
        ["items: delimiter is only for csv and tsv; a.parquet is parquet"],
    ),
    Wrong(
        "a column name twice",
        ITEMS + "  columns: [sku, title, sku]\n",
        ["items: columns names 'sku' twice"],
    ),
    Wrong(
        "a brace that is not closed",
        "items:\n  file: a.csv\n  id: '{sku'\n",
        ["line 3: items.id: '{sku' has an unmatched brace", "{{"],
    ),
    Wrong(
        "a template with more than a column's name",
        "items:\n  file: a.csv\n  id: '{sku:5}'\n",
        ["line 3: items.id: a template holds plain column names"],
    ),
    Wrong(
        "path and column of one picture",
        ITEMS + "  pictures: {image: {path: '{sku}.jpg', column: photo}}\n",
        ["line 4: items.pictures.image: give either path or column"],
    ),
    Wrong(
        "a text instead of channels",
        ITEMS + "  texts: '{title}'\n",
        ["line 4: items.texts: should be keys with values, not '{title}'"],
    ),
    Wrong(
        "a number instead of a text",
        "items:\n  file: a.csv\n  id: 5\n",
        ["line 3: items.id: should be a text, not 5; write it in quotation marks"],
    ),
    Wrong(
        "a number that is too small",
        ITEMS + "  join_rows: 0\n",
        ["line 4: items.join_rows: should be greater than or equal to 1, not 0"],
    ),
    Wrong(
        "the data instead of the mapping",
        "sku,title\n1,Red shoes\n",
        ["m.yaml, line 1: this is not a mapping", "`items:`"],
    ),
    Wrong("an empty file", "", ["m.yaml, line 1: this is not a mapping", "`items:`"]),
    Wrong(
        "neither items nor events",
        "collection: shop\n",
        ["m.yaml, line 1: there is nothing to load", "`items:` or `events:`"],
    ),
]


@pytest.mark.parametrize("wrong", WRONG_MAPPINGS, ids=lambda wrong: wrong.use)
def test_the_message_names_the_place_and_the_fix(tmp_path: Path, wrong: Wrong) -> None:
    file = tmp_path / "m.yaml"
    file.write_text(wrong.mapping, encoding="utf-8")
    with pytest.raises(MappingError) as caught:
        Dataset.read(file)
    for fragment in wrong.message:
        assert fragment in caught.value.message
    assert caught.value.message.startswith(str(file))


def test_the_message_has_all_mistakes(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text("items:\n  file: a.csv\n  id: sku\n  join_rows: 0\n")
    with pytest.raises(MappingError, match=r"line 3: items\.id: .*; .*line 4: items\.join_rows: "):
        Dataset.read(tmp_path / "m.yaml")


def test_a_mapping_in_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_bytes(b"collection: caf\xe9\n")
    with pytest.raises(MappingError, match=r"m\.yaml is not a YAML file in UTF-8"):
        Dataset.read(tmp_path / "m.yaml")


def test_a_mapping_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_bytes(b"\xef\xbb\xbf" + ITEMS.encode())
    assert Dataset.read(tmp_path / "m.yaml").items is not None


def test_a_missing_mapping_is_named(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match=r"cannot read .*none\.yaml"):
        Dataset.read(tmp_path / "none.yaml")
