"""docs/catalogue.md as it stands, on a made-up shop of 829 products: from CSV files to a filtered, grouped list."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from itemlens_datasets.mapping import Dataset
from support import made_up_shop
from support.command import Run
from support.serving import Server
from support.spaces import Tiny

PAGE = (Path(__file__).parents[2] / "docs" / "catalogue.md").read_text(encoding="utf-8")
MOST_LINES = 15
Typed = Callable[[str], list[str]]


def block(section: str, language: str) -> str:
    """The first fenced block of a section in a language."""
    text = PAGE.split(f"## {section}\n")[1].split("\n## ")[0]
    found = re.search(rf"```{language}\n(.*?)```", text, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture(scope="module")
def shop(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose folder has the files of the shop and the mapping of the page beside its data."""
    folder = tmp_path_factory.mktemp("shop")
    made_up_shop.write(folder)
    (folder / "shop.yaml").write_text(block("First upload", "yaml"), encoding="utf-8")
    with Server(tiny.models, folder / "data") as server:
        yield server


@pytest.fixture
def typed(shop: Server, run: Run, monkeypatch: pytest.MonkeyPatch) -> Typed:
    """Types the commands of a section. Returns what each printed."""
    monkeypatch.chdir(shop.data.parent)

    def typed(section: str) -> list[str]:
        printed = []
        for line in block(section, "sh").splitlines():
            program, *arguments = shlex.split(line, comments=True)
            assert program == "itemlens"
            if arguments[0] in ("index", "items", "collections"):
                arguments += ["--target", shop.address]
            done = run(*arguments)
            assert done.status == 0, f"{line}\n{done.said}"
            printed.append(done.said)
        return printed

    return typed


def test_from_csv_to_a_filtered_grouped_list_in_a_few_lines(shop: Server, typed: Typed) -> None:
    draft, check, upload = typed("First upload")
    assert "draft.yaml" in draft and "0 rows cannot be used" in check
    assert "added │ 829" in upload and "829 items" in upload
    program = block("First upload", "python")
    mapping = block("First upload", "yaml").splitlines()
    lines = [line for line in [*mapping, *program.splitlines()] if line.strip() and not line.startswith("#")]
    assert len(lines) + 1 <= MOST_LINES  # and the command
    code = program.replace("localhost:50051", shop.address)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    found = [line.split()[0] for line in done.stdout.splitlines()]
    assert len(found) == 10
    with shop.client(collection="shop") as client:
        items = {one.item.item_id: one.item.attributes for one in client.get_items(found)}
    assert all(items[one]["stock"] > 0 and items[one]["price"] < 60 for one in found)
    assert len({items[one]["group"] for one in found}) == 10


def test_the_draft_is_a_mapping_of_the_shop(shop: Server) -> None:
    folder = shop.data.parent
    dataset = Dataset.read(folder / "draft.yaml")
    items = {item.item_id: item for item in dataset.read_items(folder)}
    assert len(items) == made_up_shop.PRODUCTS
    assert items["SKU-0000"].attributes.keys() >= {
        "price",
        "quantity",
        "brand",
        "category",
        "group",
        "language",
    }


def test_the_nightly_sync_and_prices_every_minute(shop: Server, typed: Typed) -> None:
    folder = shop.data.parent
    prices = (folder / "prices.csv").read_text(encoding="utf-8").splitlines()
    (folder / "prices.csv").write_text(
        "\n".join([*prices[:1], "SKU-0000;1,25", *prices[2:]]) + "\n", encoding="utf-8"
    )
    [minute] = typed("Prices every minute")
    assert "attributes changed │ 1 │ SKU-0000" in minute
    dry, nightly = typed("Nightly sync")
    assert "dry run" in dry and "did not change │ 829" in nightly
    with shop.client(collection="shop") as client:
        assert next(iter(client.get_items(["SKU-0000"]))).item.attributes["price"] == 1.25


def test_looking_at_items_and_backups(shop: Server, typed: Typed) -> None:
    listed, got, matching, exported, indexed, deleted, gone = typed("Look at an item, take some out")
    assert "shop" in listed and "SKU-0001" in got and "price" in matching
    assert "829 items written" in exported and "829 items" in indexed
    assert int(re.findall(r"(\d+) items deleted", deleted)[0]) > 50 and "deleted collection copy" in gone
    made, restored = typed("Backup")
    assert "829 items" in made and "829 items" in restored
    manifest = json.loads(
        (shop.data.parent / "backups" / "monday" / "backup.json").read_text(encoding="utf-8")
    )
    assert not manifest["damage"]
