"""The reference of mapping files, as docs/mapping.md and docs/mapping.schema.json have it.

python -m itemlens_datasets.reference > docs/mapping.md
python -m itemlens_datasets.reference schema > docs/mapping.schema.json
"""

from __future__ import annotations

import json
import re
import sys
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from itemlens_datasets.fields import Attribute, PictureSource, RelationSource, Time, TypeRule, TypeRules
from itemlens_datasets.files import RowFile
from itemlens_datasets.joins import JoinedFile
from itemlens_datasets.mapping import Dataset, Events, Items

_PARTS: tuple[tuple[str, str, type[BaseModel]], ...] = (
    ("A mapping", "", Dataset),
    ("`items`", "And the keys of every file of rows, below.", Items),
    ("`events`", "And the keys of every file of rows, below.", Events),
    (
        "Every file of rows",
        "`items`, `events` and each of `join` have these keys, too. Names of columns in braces, such as `{sku}`, "
        "make a template.",
        RowFile,
    ),
    ("`items.join[]`", "And the keys of every file of rows, above.", JoinedFile),
    ("`items.pictures.CHANNEL`", "One of the two.", PictureSource),
    ("`items.attributes.NAME`", "A text alone is the column.", Attribute),
    ("`items.relations[]`", "", RelationSource),
    ("`events.type`", "A text alone is the type.", TypeRules),
    ("`events.type.rules[]`", "", TypeRule),
    ("`events.time`", "", Time),
)


def schema() -> str:
    """Return the JSON schema of mapping files."""
    described = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Dataset.model_json_schema()}
    return json.dumps(described, ensure_ascii=False, indent=2) + "\n"


def markdown() -> str:
    """Return the page of all keys."""
    lines = [
        "# Mapping files: all keys",
        "",
        "A mapping says how rows of files become items and events ([catalogue.md](catalogue.md) has examples). "
        "`itemlens mapping draft FILE...` drafts one. [mapping.schema.json](mapping.schema.json) is the same as a JSON "
        "schema: editors complete and check keys by it. This page is made from the code that reads mappings.",
    ]
    for title, said, model in _PARTS:
        fields = {
            n: f for n, f in model.model_fields.items() if model is RowFile or n not in RowFile.model_fields
        }
        lines += [
            "",
            f"## {title}",
            *([said] if said else []),
            "",
            "| key | value | default | meaning |",
            "|---|---|---|---|",
        ]
        lines += [
            f"| `{name}` | {_kind(model, name)} | {_default(field)} | {_meaning(field)} |"
            for name, field in fields.items()
        ]
    return "\n".join(lines) + "\n"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "needed"
    return f"`{json.dumps(field.default)}`" if field.default not in (None, [], {}, "") else ""


def _meaning(field: FieldInfo) -> str:
    return re.sub(r"\s+", " ", field.description or "").replace("|", "\\|")


def _kind(model: type[BaseModel], name: str) -> str:
    """What a value is, from the JSON schema."""
    described = model.model_json_schema()
    while "$ref" in described or ("anyOf" in described and "properties" not in described):
        described = (
            _resolved(described, described)
            if "$ref" in described
            else described["anyOf"][-1] | {"$defs": described.get("$defs", {})}
        )
    return " or ".join(dict.fromkeys(_words(described["properties"][name], described))).replace("|", "\\|")


def _resolved(part: dict[str, Any], whole: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = whole["$defs"][part["$ref"].rpartition("/")[2]]
    return {"$defs": whole["$defs"], **found}


def _words(part: dict[str, Any], whole: dict[str, Any]) -> list[str]:
    if "$ref" in part:
        part = _resolved(part, whole)
    if "anyOf" in part:
        return [word for one in part["anyOf"] for word in _words(one, whole)]
    if "enum" in part:
        return [f"`{value}`" for value in part["enum"]]
    if "const" in part:
        return [f"`{part['const']}`"]
    match part.get("type"):
        case "null":
            return []
        case "array":
            return [f"list of {' or '.join(dict.fromkeys(_words(part['items'], whole)))}"]
        case "object":
            inner = part.get("additionalProperties")
            if isinstance(inner, dict):
                return [f"names with {' or '.join(dict.fromkeys(_words(inner, whole)))}"]
            return ["keys"]
        case kind:
            return [
                {"string": "text", "integer": "whole number", "boolean": "true or false"}.get(
                    str(kind), str(kind)
                )
            ]


if __name__ == "__main__":
    print(schema() if sys.argv[1:] == ["schema"] else markdown(), end="")
