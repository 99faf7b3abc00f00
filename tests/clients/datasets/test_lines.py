"""Lines of text files: byte order marks, encodings, and bytes that cannot be decoded."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest

from itemlens_datasets.lines import check_text, read_lines
from itemlens_datasets.rows import Reason, RowError

TEXT = "id,title\r\n1,caffè 咖啡\r\n"


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
    ],
)
def test_a_byte_order_mark_decides_the_encoding_and_is_not_text(
    tmp_path: Path, mark: bytes, encoding: str
) -> None:
    file = tmp_path / "a"
    file.write_bytes(mark + TEXT.encode(encoding))
    assert list(read_lines(file, "latin-1")) == TEXT.splitlines(keepends=True)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "gb18030"])
def test_without_a_mark_the_given_encoding_is_used(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a").write_bytes(TEXT.encode(encoding))
    assert list(read_lines(tmp_path / "a", encoding)) == TEXT.splitlines(keepends=True)


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (b"one\ncaf\xe9\nthree\n", "utf-8"),
        (b"one\nca\x81\nthree\n", "cp1252"),
        ("one\n\ud83d,\nthree\n".encode("utf-16", "surrogatepass"), "utf-8"),
        (b"one\n\xff\xff\nthree\n", "gb18030"),
    ],
    ids=["utf-8", "cp1252", "half a pair in utf-16", "gb18030"],
)
def test_bytes_that_cannot_be_decoded_affect_only_their_line(
    tmp_path: Path, content: bytes, encoding: str
) -> None:
    (tmp_path / "a").write_bytes(content)
    first, second, third = read_lines(tmp_path / "a", encoding)
    assert (first, third) == ("one\n", "three\n")
    with pytest.raises(RowError, match=r"does not belong to the file's encoding; .*`encoding`") as caught:
        check_text(second)
    assert caught.value.reason is Reason.NOT_DECODABLE


def test_the_byte_and_its_place_are_named(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"caf\xe9")
    with pytest.raises(RowError, match="byte 0xe9 at character 4"):
        check_text(*read_lines(tmp_path / "a", "utf-8"))


def test_a_nul_byte_is_refused() -> None:
    with pytest.raises(RowError, match="character 2 is a NUL byte") as caught:
        check_text("a\0b")
    assert caught.value.reason is Reason.NUL_BYTE


def test_other_text_passes() -> None:
    check_text("caffè 咖啡 👟 \x07\u2028")
