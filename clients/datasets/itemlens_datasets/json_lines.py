"""JSON lines: one object per line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from itemlens_datasets.lines import check_text
from itemlens_datasets.rows import BadRow, Cells, Reason, Row, RowError


def json_rows(lines: Iterable[str]) -> Iterator[Row | BadRow]:
    """The rows. Blank lines are skipped."""
    number = 0
    for line, text in enumerate(lines, 1):
        if not text.strip():
            continue
        number += 1
        try:
            check_text(text)
            yield Row(number, line, _object(text))
        except RowError as error:
            yield BadRow.of(number, line, text.rstrip("\r\n"), error)


def _object(text: str) -> Cells:
    try:
        value: Any = json.loads(text)
    except json.JSONDecodeError as error:
        message = f"not JSON: {error.msg} at character {error.pos + 1}; each line holds one whole object"
        raise RowError(Reason.NOT_JSON, message) from error
    except (ValueError, RecursionError) as error:  # from thousands of digits or of nested brackets
        raise RowError(Reason.NOT_JSON, f"JSON that cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise RowError(
            Reason.NOT_JSON, f"not an object, but {type(value).__name__}; each line holds one whole object"
        )
    return value
