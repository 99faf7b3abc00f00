"""The file of answers: bounds, deletions, and files that cannot be used."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from itemlens_server.errors import DataLoss, FailedPrecondition
from itemlens_server.storage.answers import FILE, SUFFIXES, AnswerFile, AnswerRecord, read

HUGE = 1 << 40


def answer(n: int, collection: int = 1, user_id: str = "u", length: int = 10) -> AnswerRecord:
    items = tuple(f"item-{n}-{place}-é" for place in range(length))
    scores = tuple(-float(place) / 4 for place in range(length))
    explored = (1,) if n % 2 else ()
    return AnswerRecord(f"{n:040x}", collection, user_id, "home", 100.0 + n, "sp-1", items, scores, explored)


@pytest.fixture
def file(tmp_path: Path) -> AnswerFile:
    return AnswerFile(tmp_path, "store")


def ids(folder: Path, collection: int = 1) -> list[int]:
    return [int(record.recommendation_id, 16) for record in read(folder, collection)]


def size(folder: Path) -> int:
    """Bytes of the file after it was closed, which ends its log."""
    return (folder / FILE).stat().st_size


def test_answers_are_read_as_they_were_written(file: AnswerFile, tmp_path: Path) -> None:
    answers = [answer(0), answer(1), answer(2, length=0)]
    file.write(answers)
    assert list(read(tmp_path, 1)) == answers
    assert [a.time for a in read(tmp_path, 1, 101.0, 102.0)] == [101.0]
    assert list(read(tmp_path, 2)) == []


def test_without_a_file_there_are_none(tmp_path: Path) -> None:
    assert list(read(tmp_path, 1)) == []


def test_only_its_own_user_can_read_it(file: AnswerFile, tmp_path: Path) -> None:
    file.write([answer(1)])
    assert {(tmp_path / f"{FILE}{suffix}").stat().st_mode & 0o777 for suffix in SUFFIXES} == {0o600}


def test_answers_of_a_user_or_of_a_collection_are_deleted_and_no_others(
    file: AnswerFile, tmp_path: Path
) -> None:
    file.write([answer(n, 1 + n % 3, "uv"[n // 3 % 2]) for n in range(12)])
    file.forget([1, 2], "u")
    assert [ids(tmp_path, c) for c in (1, 2, 3)] == [[3, 9], [4, 10], [2, 5, 8, 11]]
    file.forget([3])
    file.keep_only([2])
    assert [ids(tmp_path, c) for c in (1, 2, 3)] == [[], [4, 10], []]


def test_deletions_are_on_disk_before_they_return_and_answers_need_not_be(file: AnswerFile) -> None:
    def synchronous() -> int:
        return int(file._connection.execute("PRAGMA synchronous").fetchone()[0])

    found: list[int] = []

    def see() -> int:
        found.append(synchronous())
        return 0

    file._connection.create_function("seen", 0, see)
    file.write([answer(1), answer(2)])
    file._connection.execute("CREATE TEMP TRIGGER gone AFTER DELETE ON answers BEGIN SELECT seen(); END")
    file._connection.execute("CREATE TEMP TRIGGER given AFTER UPDATE ON answers BEGIN SELECT seen(); END")
    file.give([1], "u", "v")
    file.forget([1], "v")
    assert found and set(found) == {2}
    assert synchronous() == 1


def test_the_lists_are_counted_in_which_an_item_was_explored(file: AnswerFile, tmp_path: Path) -> None:
    lists = [(1, "abc", (0, 2)), (1, "cab", (0,)), (1, "ab", ()), (2, "a", (0,))]
    file.write([
        replace(answer(n, collection), item_ids=tuple(items), scores=(0.0,) * len(items), explored=explored)
        for n, (collection, items, explored) in enumerate(lists)
    ])  # fmt: skip
    assert file.explored() == {1: {"a": 1, "c": 2}, 2: {"a": 1}}
    file.close()
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        connection.execute("DROP INDEX answers_explored")  # as in a file of an earlier version
    assert AnswerFile(tmp_path, "store").explored() == {1: {"a": 1, "c": 2}, 2: {"a": 1}}


def test_the_oldest_make_room(file: AnswerFile, tmp_path: Path) -> None:
    limit = 400_000
    for start in range(0, 4000, 100):
        file.write([answer(n) for n in range(start, start + 100)])
        while file.shrink(limit, 0.0):
            pass
    kept = ids(tmp_path)
    assert kept == list(range(kept[0], 4000)) and kept[0] > 0
    file.close()
    assert limit / 2 < size(tmp_path) < 1.2 * limit


def test_the_old_are_deleted_by_time(file: AnswerFile, tmp_path: Path) -> None:
    file.write([answer(n) for n in range(1000)])
    while file.shrink(HUGE, 100.0 + 700):
        pass
    assert ids(tmp_path) == list(range(700, 1000))


def test_a_lower_limit_gives_space_back(file: AnswerFile, tmp_path: Path) -> None:
    file.write([answer(n) for n in range(4000)])
    while file.shrink(100_000, 0.0):
        pass
    file.close()
    assert size(tmp_path) < 500_000


class TestOfAFileThatCannotBeUsed:
    @pytest.fixture
    def written(self, file: AnswerFile, tmp_path: Path) -> Path:
        file.write([answer(n) for n in range(50)])
        file.close()
        return tmp_path

    def test_one_of_the_same_store_stays(self, written: Path) -> None:
        AnswerFile(written, "store").close()
        assert len(ids(written)) == 50

    @pytest.mark.parametrize("damage", ["no database", "format", "other store", "no table"])
    def test_it_is_replaced_with_a_warning(
        self, written: Path, damage: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        if damage == "no database":
            (written / FILE).write_bytes(b"not a database at all" * 999)
        elif damage != "other store":
            with sqlite3.connect(written / FILE) as connection:
                connection.execute("PRAGMA user_version=99" if damage == "format" else "DROP TABLE about")
            connection.close()
        again = AnswerFile(written, "other" if damage == "other store" else "store")
        again.write([answer(99)])
        assert ids(written) == [99]
        assert "is dropped, with all answers in it" in caplog.text

    def test_damage_that_is_found_later_replaces_it_and_loses_no_write(
        self, written: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        damage_pages(written / FILE)
        file = AnswerFile(written, "store")
        file.forget([1])
        file.write([answer(99)])
        assert ids(written) == [99]
        assert "is dropped" in caplog.text

    def test_a_reader_says_what_to_do(self, written: Path) -> None:
        with sqlite3.connect(written / FILE) as connection:
            connection.execute("PRAGMA user_version=99")
        connection.close()
        with pytest.raises(FailedPrecondition, match="format 99, not 1"):
            ids(written)
        (written / FILE).write_bytes(b"not a database at all" * 999)
        with pytest.raises(DataLoss, match=r"answers\.db is damaged .* delete it"):
            ids(written)


def damage_pages(path: Path) -> None:
    """Overwrite all pages but the first, which has the schema."""
    data = path.read_bytes()
    page = int.from_bytes(data[16:18], "big")
    path.write_bytes(data[:page] + b"\xa5" * (len(data) - page))
