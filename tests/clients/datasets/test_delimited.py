"""CSV and TSV: a broken row is refused by its number and does not affect other rows."""

from __future__ import annotations

import csv
import io
import random
from typing import Any

import pytest

from itemlens_datasets.delimited import CELL_LINES, Delimited
from itemlens_datasets.rows import BadRow, MappingError, Reason, Row


def read(text: str, delimiter: str = ",", **options: Any) -> list[Row | BadRow]:
    given: dict[str, Any] = {
        "delimiter": delimiter,
        "quoted": delimiter != "\t",
        "cell_lines": None,
    } | options
    delimited = Delimited(text.splitlines(keepends=True), **given)
    return list(delimited.rows(delimited.names()))


def good(rows: list[Row | BadRow]) -> list[int]:
    return [row.number for row in rows if isinstance(row, Row)]


def bad(rows: list[Row | BadRow]) -> list[tuple[int, int | None, Reason, str]]:
    return [(row.number, row.line, row.reason, row.column) for row in rows if isinstance(row, BadRow)]


def products(first: int, last: int) -> str:
    return "".join(f"{n},product {n}\n" for n in range(first, last + 1))


class TestUnclosedQuote:
    def test_if_it_stays_open_to_the_end_of_the_file_only_its_row_is_bad(self) -> None:
        rows = read('id,title\n1,one\n2,"17 inch screen\n' + products(3, 200))
        assert bad(rows) == [(2, 3, Reason.UNCLOSED_QUOTE, "title")]
        assert good(rows) == [1, *range(3, 201)]
        assert rows[2] == Row(3, 4, {"id": "3", "title": "product 3"})

    @pytest.mark.parametrize(
        "closing",
        ['50,19 inch screen"\n', '50,"19 inch screen\n', '50,"19 inch"\n', '50,19" and 21"\n'],
        ids=["at a line's end", "at a cell's start", "a quoted cell", "several in a line"],
    )
    def test_a_quotation_mark_further_down_does_not_hide_it(self, closing: str) -> None:
        rows = read('id,title\n1,one\n2,"17 inch screen\n' + products(3, 49) + closing + products(51, 200))
        assert bad(rows)[0] == (2, 3, Reason.UNCLOSED_QUOTE, "title")
        assert {row for row, *_ in bad(rows)} <= {2, 50}
        assert set(good(rows)) >= {1, *range(3, 50), *range(51, 201)}

    def test_one_that_is_closed_in_the_next_row_is_seen(self) -> None:
        rows = read('id,title\n1,"17 inch\n2,19 inch"\n3,x\n')
        assert bad(rows) == [(1, 2, Reason.UNCLOSED_QUOTE, "title")]
        assert good(rows) == [2, 3]

    def test_one_in_another_column_is_seen_and_named(self) -> None:
        rows = read('id,title,year\n1,"17 inch,1999\n2,x,2000\n3,y",2001\n4,z,2002\n')
        assert bad(rows) == [(1, 2, Reason.UNCLOSED_QUOTE, "title")]
        assert good(rows) == [2, 3, 4]

    def test_a_cell_of_more_lines_than_the_bound_counts_as_unclosed(self) -> None:
        text = 'id\n"' + "word\n" * CELL_LINES + 'end"\nlast\n'
        rows = read(text)
        assert bad(rows)[0] == (1, 2, Reason.UNCLOSED_QUOTE, "id")
        assert f"not closed within {CELL_LINES} lines" in str(rows[0])
        assert isinstance(rows[-1], Row) and rows[-1].cells == {"id": "last"}

    def test_in_the_names_of_the_columns_it_is_an_error(self) -> None:
        with pytest.raises(MappingError, match="names of the columns"):
            read('id,"title\n1,x\n')


class TestCellsOfSeveralLines:
    def test_a_cell_that_is_closed_within_the_bound_is_read(self) -> None:
        about = "Wool, red.\n\nWashes at 30 degrees, spins.\nMade in Italy."
        rows = read(f'id,about,year\n1,"{about}",1999\n2,x,2000\n')
        assert [row.cells for row in rows if isinstance(row, Row)] == [
            {"id": "1", "about": about, "year": "1999"},
            {"id": "2", "about": "x", "year": "2000"},
        ]
        assert isinstance(rows[1], Row) and (rows[1].number, rows[1].line) == (2, 6)

    def test_a_mapping_may_allow_more_lines_and_lines_that_look_like_rows(self) -> None:
        sizes = "Sizes\n36,37\n38,39"
        assert bad(read(f'id,about\n1,"{sizes}"\n'))
        [row] = read(f'id,about\n1,"{sizes}"\n', cell_lines=3)
        assert isinstance(row, Row) and row.cells["about"] == sizes
        assert bad(read(f'id,about\n1,"{sizes}"\n', cell_lines=2))

    def test_whatever_the_csv_module_writes_is_read_back(self) -> None:
        rng = random.Random(7)
        pieces = ["word", 'an "inch"', "a, b", "line\nbreak", "caffè", "中文", ";", "''", " "]
        table = [[str(n), *("".join(rng.choices(pieces, k=3)) for _ in range(3))] for n in range(300)]
        file = io.StringIO()
        csv.writer(file, lineterminator="\n").writerows([["id", "a", "b", "c"], *table])
        rows = read(file.getvalue())
        assert [list(row.cells.values()) for row in rows if isinstance(row, Row)] == table


def test_text_after_a_closing_quotation_mark_makes_a_bad_row() -> None:
    rows = read('id,title\n1,"Ace" Ventura\n2,x\n3,"Ace" Ventura')
    assert bad(rows) == [(1, 2, Reason.TEXT_AFTER_QUOTE, ""), (3, 4, Reason.TEXT_AFTER_QUOTE, "")]
    assert good(rows) == [2]


def test_a_row_with_more_or_fewer_cells_is_a_bad_row() -> None:
    rows = read("id,title\n1,one\n2,two,too many\n3\n4,four\n")
    assert bad(rows) == [(2, 3, Reason.CELL_COUNT, ""), (3, 4, Reason.CELL_COUNT, "")]
    assert str(rows[1]) == "row 2 (line 3): 3 cells, but 2 columns"
    assert isinstance(rows[1], BadRow) and rows[1].content == "2,two,too many"
    assert good(rows) == [1, 4]


def test_a_row_of_several_lines_with_too_many_cells_is_one_bad_row() -> None:
    rows = read('id,title\n1,"a\nb\nc",d,e\n2,x\n')
    assert bad(rows) == [(1, 2, Reason.CELL_COUNT, "")]
    assert isinstance(rows[0], BadRow) and rows[0].content == '1,"a\nb\nc",d,e'
    assert good(rows) == [2]


def test_a_long_cell_is_read() -> None:
    [row] = read("id,title\n1," + "word " * 100_000 + "\n")
    assert isinstance(row, Row) and len(row.cells["title"]) == 500_000


def test_blank_lines_are_not_rows_but_count_as_lines() -> None:
    rows = read("\nid,title\n\n1,one\n  \n\n2,two\n")
    assert [(row.number, row.line) for row in rows] == [(1, 4), (2, 7)]


def test_a_file_may_have_no_rows_or_no_lines() -> None:
    assert read("id,title\n") == []
    assert Delimited([], delimiter=",", quoted=True, cell_lines=None).names() == []


def test_a_tsv_has_no_quoting() -> None:
    [row] = read('id\ttitle\n1\t"Ace" Ventura\n', "\t")
    assert isinstance(row, Row) and row.cells["title"] == '"Ace" Ventura'


def test_lines_may_be_skipped_before_the_names() -> None:
    [row] = read("made by somebody\nid\n1\n", skip_lines=1)
    assert (row.number, row.line) == (1, 3)
