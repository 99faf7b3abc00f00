"""The reference of mapping files is made from the code that reads them."""

from __future__ import annotations

import json
from pathlib import Path

from itemlens_datasets import reference

DOCS = Path(__file__).parents[3] / "docs"


def test_the_page_is_that_of_the_code() -> None:
    documented = (DOCS / "mapping.md").read_text(encoding="utf-8")
    assert documented == reference.markdown(), "run: python -m itemlens_datasets.reference > docs/mapping.md"


def test_the_schema_is_that_of_the_code() -> None:
    documented = (DOCS / "mapping.schema.json").read_text(encoding="utf-8")
    run = "run: python -m itemlens_datasets.reference schema > docs/mapping.schema.json"
    assert documented == reference.schema(), run


def test_every_key_has_a_meaning() -> None:
    rows = [line for line in reference.markdown().splitlines() if line.startswith("| `")]
    assert len(rows) > 40
    assert [row for row in rows if row.endswith("|  |")] == []


def test_short_forms_are_in_the_schema() -> None:
    parts = json.loads(reference.schema())["$defs"]
    assert {"type": "string"} in parts["Attribute"]["anyOf"]
    assert {"type": "string"} in parts["Items"]["properties"]["texts"]["additionalProperties"]["anyOf"]
