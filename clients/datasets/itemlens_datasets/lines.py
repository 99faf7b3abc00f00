"""Lines of a text file, decoded so that a bad byte affects only its own line."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from pathlib import Path

from itemlens_datasets.rows import Reason, RowError

# The little-endian mark of UTF-32 begins with that of UTF-16, so the longer marks come first.
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_KEEP_BAD_BYTES = "itemlens.keep_bad_bytes"
_BAD_BYTE = re.compile("[\udc00-\udcff]")


def _keep_bad_bytes(error: UnicodeError) -> tuple[str, int]:
    """Replace each bad byte by a lone surrogate, U+DC00 + byte, which valid text never contains.

    `surrogateescape` covers only bytes from 128 up, which is not enough for UTF-16.
    """
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : error.end]), error.end


codecs.register_error(_KEEP_BAD_BYTES, _keep_bad_bytes)


def read_lines(path: Path, encoding: str) -> Iterator[str]:
    """The lines with their line ends. A byte order mark takes precedence over `encoding`."""
    with path.open("rb") as file:
        start = file.read(4)
    marked = next((name for mark, name in _MARKS.items() if start.startswith(mark)), encoding)
    with path.open(encoding=marked, errors=_KEEP_BAD_BYTES, newline="") as lines:
        yield from lines


def check_text(text: str) -> None:
    """Raise RowError if a line holds a byte that could not be decoded, or a NUL byte."""
    if "\0" in text:
        at = text.index("\0") + 1
        raise RowError(
            Reason.NUL_BYTE,
            f"character {at} is a NUL byte: the file is damaged, or it is UTF-16 without a byte order mark; "
            "for UTF-16 give `encoding`: utf-16-le or utf-16-be",
        )
    if not text.isascii() and (bad := _BAD_BYTE.search(text)):
        byte = ord(bad[0]) - 0xDC00
        raise RowError(
            Reason.NOT_DECODABLE,
            f"byte 0x{byte:02x} at character {bad.start() + 1} does not belong to the file's encoding; "
            "if the whole file has another encoding, give it with `encoding`, such as cp1252",
        )
