"""docs/extending.md is correct: the files that it lists for an addition are the files that contain its example."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENT = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
# By heading: the pattern of the example, and where to search it.
EXAMPLES = {
    "A channel kind": (
        r"\bIMAGE\b|_IMAGE\b|ImageEncoder|[Pp]icture(Preprocessing|Checkpoint)|presets\.image\b"
        r"|\.pictures?\b|\bpicture\s*[=:]|\bpictures: (Sequence|Mapping|dict)"
    ),
    "A term": r"\bBehaviour\b|'BEHAVIOUR'",
    "A kind of part": r"\b(PART_KIND_)?BEHAVIOUR\s*=",
    "An index": r"\bHnswIndex\b",
    "An RPC": r"\b[Dd]elete_?[Uu]ser\b",
}
LOOKED_FOR_IN = ("protos", "server/itemlens_server", "exporter/itemlens_exporter", "clients/python/itemlens")


def listed(heading: str) -> set[str]:
    """The files that a section lists."""
    section = DOCUMENT.split(f"## {heading}\n")[1].split("\n## ")[0]
    return set(re.findall(r"^- `([^`]+)`", section, re.MULTILINE))


def code_of(path: Path) -> str:
    """The code of a file, without comments and docstrings."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".proto":
        return re.sub(r"//.*", "", text)
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [n for n in node.body if not _is_text(n)] or [ast.Pass()]
    return ast.unparse(tree)


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def naming(pattern: str) -> set[str]:
    """The files whose code contains an example."""
    paths = [
        p
        for folder in LOOKED_FOR_IN
        for suffix in ("py", "proto")
        for p in (ROOT / folder).rglob(f"*.{suffix}")
    ]
    return {
        str(path.relative_to(ROOT))
        for path in paths
        if "_pb2" not in path.name and re.search(pattern, code_of(path))
    }


@pytest.mark.parametrize("heading", EXAMPLES)
def test_the_files_of_a_section_are_those_that_name_its_example(heading: str) -> None:
    assert listed(heading) == naming(EXAMPLES[heading])


def test_every_file_that_is_named_is_there() -> None:
    for path in re.findall(r"`([\w/]+\.(?:py|proto))`", DOCUMENT):
        assert (ROOT / path).is_file(), path


def test_every_section_has_its_example() -> None:
    assert set(re.findall(r"^## (.+)$", DOCUMENT, re.MULTILINE)) == {*EXAMPLES, "A metric"}
