"""Wrong uses of `itemlens index` with data files. Each message names the file, the place and the fix.

Wrong mapping files are in tests/clients/datasets/test_wrong_mappings.py.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer
from typer.testing import CliRunner

from itemlens_datasets.rows import MappingError

# In the package this name is the function, so the module is imported by its full name.
command = import_module("itemlens_cli.index")

MAPPING = 'items:\n  file: FILE\n  id: "{sku}"\n  texts: {text: "{title}"}\n'


class Wrong(NamedTuple):
    use: str
    files: dict[str, bytes]
    """The files by name. Without "m.yaml" the mapping is MAPPING over the first file."""
    arguments: list[str]
    message: list[str]
    """Parts of the message."""


def of_file(use: str, name: str, content: bytes, *message: str) -> Wrong:
    return Wrong(use, {name: content}, ["m.yaml"], list(message))


WRONG_FILES = [
    Wrong(
        "no such mapping",
        {},
        ["grocry"],
        ["no mapping file grocry", "bundled are fashion, grocery", "did you mean 'grocery'?"],
    ),
    Wrong(
        "the data instead of the mapping",
        {"a.csv": b"sku,title\n1,x\n"},
        ["a.csv"],
        ["a.csv, line 1: this is not a mapping", "write `items:`"],
    ),
    Wrong(
        "a bundled mapping without the folder of its data",
        {},
        ["ml-100k"],
        ["items.file: no file", "ml-100k.item; name the folder of the data with --data"],
    ),
    Wrong(
        "a misspelt name of a file",
        {"m.yaml": MAPPING.replace("FILE", "product.csv").encode(), "products.csv": b"sku,title\n"},
        ["m.yaml"],
        ["m.yaml, line 2: items.file: no file", "did you mean 'products.csv'?"],
    ),
    Wrong(
        "a missing file of events, found before items are stored",
        {
            "m.yaml": (
                MAPPING.replace("FILE", "a.csv")
                + 'events: {file: e.csv, user: "{u}", item: "{i}", type: view}'
            ).encode(),
            "a.csv": b"sku,title\n1,x\n",
        },
        ["m.yaml"],
        ["m.yaml, line 5: events.file: no file"],
    ),
    Wrong(
        "the data file as errors file",
        {"a.csv": b"sku,title\n1,x\n"},
        ["m.yaml", "--errors", "a.csv"],
        ["--errors a.csv is a folder or an input of this load; name another file"],
    ),
    of_file(
        "a missing column",
        "a.csv",
        b"sku,titel\n1,x\n",
        "m.yaml, line 4: items.texts.text: a.csv has no column 'title'; it has sku, titel; did you mean 'titel'?",
    ),
    of_file(
        "another delimiter",
        "a.csv",
        b"sku;title\n1;x\n",
        "m.yaml, line 3: items.id: a.csv has no column 'sku'; it has sku;title; is it separated",
        'give `delimiter: ";"`',
    ),
    of_file(
        "a column twice",
        "a.csv",
        b"sku,title,title\n1,x,y\n",
        "m.yaml, line 4: items.texts.text: a.csv has 2 columns 'title'; rename one, or name all with `columns`",
    ),
    of_file(
        "an empty csv", "a.csv", b"", "line 2: items.file: a.csv is empty: it has no line with the names"
    ),
    of_file(
        "UTF-16 without a byte order mark",
        "a.csv",
        "sku,title\n1,x\n".encode("utf-16-le"),
        "items.file: ",
        "the line with the names of the columns",
        "UTF-16 without a byte order mark; for UTF-16 give `encoding`",
    ),
    of_file(
        "a quotation mark that is not closed in the names",
        "a.csv",
        b'sku,"title\n1,x\n',
        "items.file: ",
        "the line with the names of the columns: the quotation mark that opens a cell is not closed",
    ),
    of_file(
        "a spreadsheet",
        "a.xlsx",
        b"PK",
        "m.yaml, line 2: items.file: the ending of a.xlsx is not a known format; give `format`",
        "save a spreadsheet as csv",
    ),
    of_file(
        "a parquet file of another format",
        "a.parquet",
        b"sku,title\n",
        "items.file: a.parquet is not a parquet file",
    ),
]


@pytest.mark.parametrize("wrong", WRONG_FILES, ids=lambda wrong: wrong.use)
def test_the_message_names_the_place_and_the_fix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: Wrong
) -> None:
    def connected(*_: Any, **__: Any) -> None:
        pytest.fail("nothing should be stored")

    if ".parquet" in str(wrong.files):
        pytest.importorskip("pyarrow")
    monkeypatch.setattr(command, "Client", connected)
    monkeypatch.chdir(tmp_path)
    mapping = MAPPING.replace("FILE", next(iter(wrong.files), "a.csv")).encode()
    for name, content in ({"m.yaml": mapping} | wrong.files).items():
        Path(name).write_bytes(content)
    app = typer.Typer()
    app.command()(command.index)
    result = CliRunner().invoke(app, wrong.arguments)
    assert isinstance(result.exception, MappingError), result.output
    for fragment in wrong.message:
        assert fragment in result.exception.message
    assert Path("a.csv").read_bytes() == wrong.files["a.csv"] if "a.csv" in wrong.files else True
