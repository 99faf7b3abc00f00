"""YAML files that are checked by a model. Errors name the file, the line, the key and the nearest valid key."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from itemlens_datasets.rows import MappingError, did_you_mean

Keys: TypeAlias = tuple[str | int, ...]

_QUOTES = 'write a value with braces in quotation marks, such as "{sku}"'


class Model(BaseModel):
    """A part of a YAML file. An unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _knows_keys(cls, value: Any) -> Any:
        for key in value if isinstance(value, dict) else ():
            if key not in cls.model_fields:
                raise PydanticCustomError(
                    "unknown_key",
                    "unknown key{near}; the keys here are {known}",
                    {
                        "key": str(key),
                        "near": did_you_mean(str(key), cls.model_fields),
                        "known": ", ".join(cls.model_fields),
                    },
                )
        return value


def or_text(schema: dict[str, Any]) -> None:
    """Change the JSON schema of a model that may also be given as a text."""
    keys = dict(schema)
    schema.clear()
    schema["anyOf"] = [{"type": "string"}, keys]


class Document:
    """A YAML file: its value, and the lines of its keys. MappingError if it cannot be read."""

    def __init__(self, file: Path) -> None:
        self.file = file
        try:
            text = file.read_text(encoding="utf-8-sig")
            self._root = yaml.compose(text, Loader=yaml.SafeLoader)
            self._check_keys_once(self._root)
            self.value: Any = yaml.safe_load(text)
        except UnicodeDecodeError as error:
            raise MappingError(f"{file} is not a YAML file in UTF-8: {error}") from error
        except OSError as error:
            raise MappingError(f"cannot read {file}: {error.strerror}") from error
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
            raise MappingError(f"{file}{line}: not YAML: {error.problem}; {_QUOTES}") from error
        except yaml.YAMLError as error:
            raise MappingError(f"{file}: not YAML: {error}") from error

    def place(self, keys: Keys) -> str:
        """The file, and the line and path of the innermost of the keys that the file has."""
        node, path = self._root, ""
        line = node.start_mark.line if node else 0
        for key in keys:
            child = next((pair for pair in _children(node) if pair[0] == str(key)), None)
            if child is None:
                break
            path, line, node = f"{path}.{key}" if path else str(key), child[1], child[2]
        return f"{self.file}, line {line + 1}" + (f": {path}" if path else "")

    def explain(self, error: ValidationError) -> str:
        """All errors that a model finds in the value, each with its place."""
        return "; ".join(
            f"{self.place((*found['loc'], *_key(found)))}: {_message(found)}"
            for found in error.errors(include_url=False)
        )

    def _check_keys_once(self, node: yaml.Node | None) -> None:
        """Raise MappingError if a key appears twice. YAML would silently take the last one."""
        lines: dict[str, int] = {}
        for key, line, child in _children(node):
            if key in lines:
                raise MappingError(
                    f"{self.file}, line {line + 1}: the key {key!r} is in line {lines[key] + 1} already; remove one"
                )
            lines[key] = line
            self._check_keys_once(child)


def _children(node: yaml.Node | None) -> Iterator[tuple[str, int, yaml.Node]]:
    """(key or index, line from 0, value) of a mapping or list."""
    if isinstance(node, yaml.MappingNode):
        yield from ((str(key.value), key.start_mark.line, value) for key, value in node.value)
    elif isinstance(node, yaml.SequenceNode):
        yield from ((str(n), value.start_mark.line, value) for n, value in enumerate(node.value))


def _key(error: ErrorDetails) -> Keys:
    return (error["ctx"]["key"],) if error["type"] == "unknown_key" else ()


def _message(error: ErrorDetails) -> str:
    given, context = error["input"], error.get("ctx", {})
    shown = repr(given) if len(repr(given)) <= 60 else type(given).__name__
    match error["type"]:
        case "missing":
            return f"the key {str(error['loc'][-1])!r} is missing"
        case "enum" | "literal_error":
            known = re.findall(r"'([^']*)'", context["expected"])
            return f"{shown} is not one of {', '.join(known)}{did_you_mean(str(given), known)}"
        case "string_type" if isinstance(given, dict):
            return f"should be a text; {_QUOTES}"
        case "string_type":
            return f"should be a text, not {shown}; write it in quotation marks"
        case "dict_type" | "model_type":
            return f"should be keys with values, not {shown}"
        case "value_error":
            return str(context["error"])
        case "unknown_key":
            return error["msg"]
        case _:
            return f"{error['msg'].replace('Input should', 'should', 1)}, not {shown}"
