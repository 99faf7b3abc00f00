"""The examples and settings in the README and the docs are correct."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import yaml

from itemlens_datasets.mapping import Dataset
from itemlens_server.config import markdown
from support import spaces
from support.serving import Server
from support.spaces import Tiny

ROOT = Path(__file__).parents[2]


def blocks(path: str, language: str) -> list[str]:
    """The fenced blocks of a document in one language."""
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / path).read_text(encoding="utf-8"), re.DOTALL)


def test_the_readmes_python_example_runs_as_it_stands(tiny: Tiny, tmp_path: Path) -> None:
    (example,) = blocks("README.md", "python")
    with Server(tiny.models, tmp_path / "data") as server:
        code = example.replace("localhost:50051", server.address)
        assert code != example
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    *recommended, why = done.stdout.splitlines()
    assert len(recommended) == 2 and all(
        line.split()[0] in {"tent", "kettle", "course"} for line in recommended
    )
    assert why


def tried(path: str) -> list[str]:
    """The blocks of a document that a test runs, by its own words."""
    text = (ROOT / path).read_text(encoding="utf-8")
    return re.findall(r"<!-- A test runs this block[^>]*-->\n```python\n(.*?)```", text, re.DOTALL)


def printed(path: str, tiny: Tiny, data: Path) -> list[list[str]]:
    """What each block of a document prints, one after the other on one server."""
    lines = []
    with Server(tiny.models, data) as server:
        for example in tried(path):
            code = example.replace("localhost:50051", server.address)
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
            assert done.returncode == 0, done.stderr
            lines.append(done.stdout.splitlines())
    return lines


def test_the_examples_of_filters_run_one_after_the_other(tiny: Tiny, tmp_path: Path) -> None:
    (cheap, why, *listed, deleted), built, facets = printed("docs/filters.md", tiny, tmp_path / "data")
    assert facets == ["2 {'Alto': 1}", "12.5 149.0"]
    assert sorted(built) == ["boots {'price': 149.0}", "socks {'price': 12.5}"]
    assert cheap == "socks {'price': 12.5}"
    assert "the filter leaves 'tent' out: it needs in_stock = true (in_stock is false)" in why
    assert listed == ["socks", "tent"] and deleted == "1 deleted"


def test_the_examples_of_the_catalogue_by_tasks_run_as_they_stand(tiny: Tiny, tmp_path: Path) -> None:
    said = [
        [
            "boots 129.0 ['leather', 'new season']",
            "True True",
        ]
    ]
    for n, (example, expected) in enumerate(zip(tried("docs/catalogue.md"), said, strict=True)):
        with Server(tiny.models, tmp_path / f"data-{n}") as server:
            code = example.replace("localhost:50051", server.address)
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines() == expected


def test_the_examples_of_tasks_run_one_after_the_other(tiny: Tiny, tmp_path: Path) -> None:
    stock, variants, ruled, words, (new, old, gift, first) = printed(
        "docs/recommend.md", tiny, tmp_path / "data"
    )
    assert stock[:2] == ["socks {'price': 12.5}", "['socks']"] and "in_stock is false" in stock[2]
    assert sum("stands for" in line for line in variants) == 4
    assert any("duplicates at most 1" in line for line in variants)
    assert ruled[0] == "1 shoe-7 Kaya spring" and "12 items without rules" in ruled
    assert any("rule 'recall' blocks 'shoe-0'" in line for line in ruled)
    assert words[0] == "filter" and "('keetle', 'kettle', " in words[1]
    assert new.startswith("new {'new season': 1.45} Because") and "it is preferred here: “new season”" in new
    assert old.startswith("old {'new season': 0.01}") and gift.startswith("gift {}")
    assert first == "gift"


def test_the_example_of_vectors_runs_as_it_stands(tmp_path: Path) -> None:
    (example,) = tried("docs/export.md")
    (tmp_path / "models").mkdir()
    spaces.build(tmp_path / "models", external={"tower": spaces.external(4, "2026-11")})
    with Server(tmp_path / "models", tmp_path / "data") as server:
        code = example.replace("localhost:50051", server.address)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first.startswith("boots {'tower': ") and second.startswith("socks {'tower': ")


def test_the_settings_are_those_of_the_server() -> None:
    documented = (ROOT / "docs/settings.md").read_text(encoding="utf-8")
    assert documented == markdown(), "run: python -m itemlens_server.config > docs/settings.md"


def test_the_example_of_a_mapping_is_one() -> None:
    for example in blocks("docs/catalogue.md", "yaml"):
        assert Dataset.model_validate(yaml.safe_load(example)).collection == "shop"


def test_every_document_that_is_linked_is_there() -> None:
    for document in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for link in re.findall(r"\]\(([^)#:]+)\)", document.read_text(encoding="utf-8")):
            assert (document.parent / link).exists(), f"{document.name}: {link}"


FOLDERS = ("", "server", "server/itemlens_server", "exporter", "clients/bench")
# Neighbours of a file that a row names before: `engine/pictures/` and then `file.py`.
ANYWHERE = {
    path.name for folder in ("server", "exporter", "clients") for path in (ROOT / folder).rglob("*.py")
}


def test_every_module_that_a_document_names_is_there() -> None:
    for document in (ROOT / "docs").glob("*.md"):
        for name in re.findall(r"`([\w/]+\.(?:py|proto))`", document.read_text(encoding="utf-8")):
            if "/" in name:
                assert any((ROOT / folder / name).exists() for folder in FOLDERS), f"{document.name}: {name}"
            else:
                assert name in ANYWHERE, f"{document.name}: {name}"
