"""Files of rows: encodings, formats and columns, and errors that stop the reading of a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from itemlens_datasets.files import RowFile
from itemlens_datasets.rows import BadRow, MappingError, Note, Reason, Row
from itemlens_datasets.schema import Keys


class Ids(RowFile):
    """A file of rows that needs only the column `id`."""

    columns_needed: tuple[str, ...] = ("id",)

    def uses(self) -> Iterator[tuple[Keys, list[str]]]:
        yield ("id",), list(self.columns_needed)


def read(folder: Path, name: str, content: str | bytes, **options: Any) -> list[Row | BadRow | Note]:
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return list(Ids(file=Path(name), **options).open(folder))


def ids(rows: list[Row | BadRow | Note]) -> list[str]:
    return [str(row.cells["id"]) for row in rows if isinstance(row, Row)]


def reasons(rows: list[Row | BadRow | Note]) -> list[tuple[int, int | None, Reason]]:
    return [(row.number, row.line, row.reason) for row in rows if isinstance(row, BadRow)]


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b""])
@pytest.mark.parametrize(
    ("name", "text"),
    [("a.csv", "id,title\n1,x\n"), ("a.tsv", "id\ttitle\n1\tx\n"), ("a.jsonl", '{"id": 1, "title": "x"}\n')],
)
def test_a_byte_order_mark_is_not_part_of_the_first_name(
    tmp_path: Path, name: str, text: str, mark: bytes
) -> None:
    assert ids(read(tmp_path, name, mark + text.encode())) == ["1"]


def test_utf_16_with_a_mark_is_read(tmp_path: Path) -> None:
    assert ids(read(tmp_path, "a.csv", "id,title\n1,x\n2,y\n".encode("utf-16"))) == ["1", "2"]


def test_utf_16_without_a_mark_is_refused_unless_the_encoding_is_given(tmp_path: Path) -> None:
    content = "id\n1\n".encode("utf-16-le")
    with pytest.raises(MappingError, match=r"NUL byte: .* UTF-16 without a byte order mark; .*`encoding`"):
        read(tmp_path, "a.csv", content)
    assert ids(read(tmp_path, "a.csv", content, encoding="utf-16-le")) == ["1"]


@pytest.mark.parametrize(
    ("name", "content", "bad"),
    [
        ("a.csv", b"id,t\n1,a\n2,caf\xe9\n3,c\n", (2, 3, Reason.NOT_DECODABLE)),
        ("a.csv", b"id,t\n1,a\n2,\0\0\n3,c\n", (2, 3, Reason.NUL_BYTE)),
        ("a.csv", b"id,t\n1,a\n2,b,b\n3,c\n", (2, 3, Reason.CELL_COUNT)),
        ("a.tsv", b"id\tt\n1\ta\n2\tcaf\xe9\n3\tc\n", (2, 3, Reason.NOT_DECODABLE)),
        ("a.tsv", b"id\tt\n1\ta\n2\n3\tc\n", (2, 3, Reason.CELL_COUNT)),
        ("a.jsonl", b'{"id": 1}\n{"id": "caf\xe9"}\n{"id": 3}\n', (2, 2, Reason.NOT_DECODABLE)),
        ("a.jsonl", b'{"id": 1}\n{"id":\n{"id": 3}\n', (2, 2, Reason.NOT_JSON)),
        ("a.jsonl", b'{"id": 1}\n[2]\n{"id": 3}\n', (2, 2, Reason.NOT_JSON)),
        ("a.jsonl", b'{"id": 1}\n' + b"[" * 100_000 + b'\n{"id": 3}\n', (2, 2, Reason.NOT_JSON)),
        ("a.jsonl", b'{"id": 1}\n{"id": ' + b"9" * 5000 + b'}\n{"id": 3}\n', (2, 2, Reason.NOT_JSON)),
    ],
)
def test_a_bad_row_has_a_number_and_a_reason_and_does_not_affect_others(
    tmp_path: Path, name: str, content: bytes, bad: tuple[int, int, Reason]
) -> None:
    rows = read(tmp_path, name, content)
    assert reasons(rows) == [bad]
    assert ids(rows) == ["1", "3"]


def test_in_a_jsonl_file_of_bad_rows_alone_no_column_is_missing(tmp_path: Path) -> None:
    assert reasons(read(tmp_path, "a.jsonl", "[\n1]\n")) == [(1, 1, Reason.NOT_JSON), (2, 2, Reason.NOT_JSON)]


@pytest.mark.parametrize(
    ("name", "text"), [("a.csv", "id,title\n"), ("a.csv", "id"), ("a.tsv", "id\n\n"), ("a.jsonl", "\n")]
)
def test_a_file_may_have_no_rows(tmp_path: Path, name: str, text: str) -> None:
    assert read(tmp_path, name, text) == []


def test_an_empty_table_has_no_columns(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match=r"file: a\.csv is empty: it has no line with the names"):
        read(tmp_path, "a.csv", "")


def test_two_columns_of_one_name_are_refused_where_it_is_used(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match=r"id: a\.csv has 2 columns 'id'; rename one, or .*`columns`"):
        read(tmp_path, "a.csv", "id,title,id\n1,x,2\n")
    [row] = read(tmp_path, "a.csv", "id,,\n1,x,2\n")
    assert isinstance(row, Row) and row.cells["id"] == "1"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("ID,title\n", r"it has ID, title"),
        ("idd,title\n", r"did you mean 'idd'\?"),
        ("id;title\n", r'is it separated by ";"|give `delimiter: ";"`'),
        ("id\ttitle\n", r'give `delimiter: "\\t"`'),
        (",".join(f"c{n}" for n in range(50)) + "\n", "c19 and 30 more"),
    ],
)
def test_a_missing_column_names_the_columns_of_the_file(tmp_path: Path, text: str, hint: str) -> None:
    with pytest.raises(MappingError, match=hint):
        read(tmp_path, "a.csv", text)


def test_a_missing_file_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "products.csv").touch()
    with pytest.raises(MappingError, match=r"no file .*product\.csv; did you mean 'products\.csv'\?"):
        Ids(file=Path("product.csv")).open(tmp_path)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(MappingError, match=r"file: cannot read .*a\.csv: Is a directory"):
        Ids(file=Path("a.csv")).open(tmp_path)


class TestParquet:
    def test_times_in_nanoseconds_and_values_that_python_cannot_hold(self, tmp_path: Path) -> None:
        pa = pytest.importorskip("pyarrow")
        import pyarrow.parquet

        times = pa.array([1_700_000_000_123_456_789, 2], pa.timestamp("ns", "UTC"))
        # Python's dates end with the year 9999.
        dates = pa.array([19_000, 3_000_000], pa.int32()).cast(pa.date32())
        pyarrow.parquet.write_table(
            pa.table({"id": ["a", "b"], "time": times, "date": dates}), tmp_path / "a.parquet"
        )
        rows = list(Ids(file=Path("a.parquet"), columns_needed=("id", "time", "date")).open(tmp_path))
        assert ids(rows) == ["a"]
        assert isinstance(rows[0], Row)
        assert rows[0].cells["time"].isoformat() == "2023-11-14T22:13:20.123456+00:00"
        assert reasons(rows) == [(2, None, Reason.BAD_VALUE)]

    def test_two_columns_of_one_name_are_refused(self, tmp_path: Path) -> None:
        pa = pytest.importorskip("pyarrow")
        import pyarrow.parquet

        table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["id", "id"])
        pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
        with pytest.raises(MappingError, match="has 2 columns 'id'"):
            Ids(file=Path("a.parquet")).open(tmp_path)

    def test_a_file_of_another_format_is_refused(self, tmp_path: Path) -> None:
        pytest.importorskip("pyarrow")
        with pytest.raises(MappingError, match=r"file: a\.parquet is not a parquet file that can be read"):
            read(tmp_path, "a.parquet", "id\n1\n")


def test_rows_beyond_the_first_thousand_are_read_one_by_one(tmp_path: Path) -> None:
    lines = [json.dumps({"id": n}) for n in range(1500)]
    (tmp_path / "a.jsonl").write_text("\n".join([*lines, "{"]))
    rows = Ids(file=Path("a.jsonl")).open(tmp_path)
    assert isinstance(next(rows), Row)
    assert reasons(list(rows)) == [(1501, 1501, Reason.NOT_JSON)]
