"""A YAML file of settings, with the line of each key for error messages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from itemlens_server.errors import InvalidArgument


@dataclass(frozen=True)
class SettingsFile:
    """The contents of a file: values by name, without empty ones."""

    path: Path
    values: dict[str, Any]
    lines: dict[str, int]
    """Line of each key, from 1."""

    @classmethod
    def read(cls, path: Path, names: Iterable[str]) -> SettingsFile:
        """Read a file whose keys must be in `names`.

        Raises:
            InvalidArgument: the file cannot be read, is not YAML, or has a duplicate key or one not in `names`.
        """
        text = _text(path)
        try:
            root = yaml.compose(text, yaml.SafeLoader)
            # The file is parsed twice: for the lines of the keys, and for the values.
            values = yaml.safe_load(text)
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            # PyYAML raises these for dates that do not exist, wrong tags and deep nesting.
            raise InvalidArgument(f"{path}: a value is not YAML: {error}") from error
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            where = f"{path}, line {mark.line + 1}" if mark else str(path)
            raise InvalidArgument(f"{where}: not YAML: {getattr(error, 'problem', None) or error}") from error
        if root is None:
            return cls(path, {}, {})
        if not isinstance(root, yaml.MappingNode) or not isinstance(values, dict):
            raise InvalidArgument(f"{path} holds no settings: write lines such as `listen: 0.0.0.0:50051`")
        lines: dict[str, int] = {}
        for key, _ in root.value:
            name, line = str(key.value), key.start_mark.line + 1
            if name not in names:
                near = did_you_mean(name, names)
                hint = f"; did you mean {near}?" if near else "; docs/settings.md lists them"
                raise InvalidArgument(f"{path}, line {line}: {name} is not a setting{hint}")
            if name in lines:
                raise InvalidArgument(
                    f"{path}, line {line}: {name} is already given in line {lines[name]}; keep one"
                )
            lines[name] = line
        return cls(path, {name: value for name, value in values.items() if value is not None}, lines)

    def place(self, name: str) -> str:
        """The place where a setting is given, for messages."""
        return f"{self.path}, line {self.lines[name]}: {name}" if name in self.lines else name


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """The most similar name to a misspelt one; "" if none is similar."""
    plain = name.lower().replace("-", "_").removeprefix("itemlens_")
    return next(iter(get_close_matches(plain, list(names), 1, cutoff=0.7)), "")


def _text(path: Path) -> str:
    try:
        # A pipe could read as a file without settings, and the server would run with defaults.
        if not path.is_file():
            path.stat()
            raise InvalidArgument(f"{path} is not a regular file; write the settings to one")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InvalidArgument(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidArgument(f"{path} cannot be read: it is not UTF-8 at byte {error.start}") from error
