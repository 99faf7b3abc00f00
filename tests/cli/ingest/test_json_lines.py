"""A growing file as a stream: whole lines only, from any position, and nothing of another file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemlens_cli.ingest import json_lines
from itemlens_cli.ingest.json_lines import JsonLines
from itemlens_server.errors import FailedPrecondition

FIRST = b'{"n": 1}\n'


def opened(path: Path, position: str = "", follow: bool = True) -> JsonLines:
    source = JsonLines(path, follow, lambda seconds: None)
    source.seek(position)
    return source


def lines(source: JsonLines, most: int = 100) -> list[bytes]:
    portion = source.read(most)
    assert portion is not None
    return [entry.content for entry in portion.entries]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "events.jsonl"
    file.write_bytes(FIRST)
    return file


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def test_a_line_is_read_when_its_end_is_there(path: Path) -> None:
    source = opened(path)
    append(path, b'{"n"')
    assert lines(source) == [b'{"n": 1}']
    assert lines(source) == [] and source.unfinished_bytes == 4
    append(path, b": 2}\n")
    assert lines(source) == [b'{"n": 2}'] and source.unfinished_bytes == 0


def test_without_following_it_ends_before_a_line_without_end(path: Path) -> None:
    append(path, b'{"n"')
    source = opened(path, follow=False)
    assert lines(source) == [b'{"n": 1}']
    while (portion := source.read(10)) is not None:
        assert not portion.entries
    assert source.unfinished_bytes == 4


def test_whole_lines_that_were_not_taken_yet_are_not_unfinished(path: Path) -> None:
    append(path, b'{"n": 2}\n{"n": 3}\n{"n"')
    source = opened(path, follow=False)
    assert source.read(1) is not None
    assert source.unfinished_bytes == 4


def test_an_entry_knows_its_byte_and_the_lag_is_what_is_left(path: Path) -> None:
    append(path, b"\n  \n" + b'{"n": 2}\n' + b'{"n": 3}\n')
    portion = opened(path).read(2)
    assert portion is not None
    assert [entry.place for entry in portion.entries] == ["0", str(len(FIRST) + 4)]
    assert portion.lag == len(FIRST)


def test_a_line_that_is_too_long_is_one_entry_and_never_held(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_lines, "CHUNK_BYTES", 64)
    monkeypatch.setattr(json_lines, "MAX_LINE_BYTES", 100)
    monkeypatch.setattr(json_lines, "HEAD_BYTES", 10)
    append(path, b"x" * 1000)
    source = opened(path)
    assert lines(source) == [b'{"n": 1}']
    for _ in range(40):
        portion = source.read(10)
        assert portion is not None and not portion.entries
        assert portion.position.startswith(f"{len(FIRST)}@")  # it is passed as a whole, or not
        assert len(source._buffer) <= 200
    append(path, b'\n{"n": 2}\n')
    portion = source.read(10)
    assert portion is not None
    long, after = portion.entries
    assert (long.content, long.place) == (b"x" * 10, str(len(FIRST)))
    assert long.problem == "a line of 1,000 bytes; a line may have 100"
    assert after.content == b'{"n": 2}'


class TestAnotherFile:
    """A position of one file is not used in another."""

    def test_cut(self, path: Path) -> None:
        source = opened(path)
        lines(source)
        path.write_bytes(b"")
        with pytest.raises(
            FailedPrecondition, match=r"up to byte 9, but has 0 bytes now: .* another --stream"
        ):
            lines(source)

    def test_written_anew_with_more(self, path: Path) -> None:
        source = opened(path)
        lines(source)
        path.write_bytes(b'{"another": 1}\n' * 5)
        with pytest.raises(FailedPrecondition, match="begins with other bytes now"):
            lines(source)

    def test_replaced_after_the_old_one_was_read_to_its_end(self, path: Path) -> None:
        source = opened(path)
        lines(source)
        append(path, b'{"n": 2}\n')
        path.rename(path.with_suffix(".1"))
        assert lines(source) == [b'{"n": 2}']
        assert lines(source) == []
        path.write_bytes(b'{"n": 3}\n')
        with pytest.raises(FailedPrecondition, match=r"replaced by another file.* under its new name"):
            lines(source)

    def test_between_two_runs(self, path: Path) -> None:
        portion = opened(path).read(10)
        assert portion is not None
        moved = path.with_suffix(".1")
        path.rename(moved)
        path.write_bytes(b'{"another": 1}\n')
        with pytest.raises(FailedPrecondition, match="begins with other bytes now"):
            opened(path, portion.position)
        append(moved, b'{"n": 2}\n')
        assert lines(opened(moved, portion.position)) == [b'{"n": 2}']

    def test_a_position_of_something_else(self, path: Path) -> None:
        with pytest.raises(FailedPrecondition, match="not a position in a file"):
            opened(path, "1700-0 5")

    def test_a_folder_or_a_pipe(self, tmp_path: Path) -> None:
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        writer = os.open(pipe, os.O_RDWR)  # else opening it waits for one
        for path in (tmp_path, pipe):
            with pytest.raises(FailedPrecondition, match="not a regular file"):
                JsonLines(path, True, lambda seconds: None)
        os.close(writer)

    def test_none(self, tmp_path: Path) -> None:
        with pytest.raises(FailedPrecondition, match="cannot be read"):
            JsonLines(tmp_path / "nothing", True, lambda seconds: None)


@given(
    st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\n", b"")), max_size=30),
    st.lists(st.tuples(st.integers(1, 5), st.booleans()), min_size=1),
)
def test_any_reading_with_restarts_gives_each_line_once(
    written: list[bytes], reads: list[tuple[int, bool]]
) -> None:
    """Reads of some lines, after some of which the reader starts again at the last position."""
    path = Path(f"/dev/shm/itemlens-{os.getpid()}.jsonl")
    path.write_bytes(b"".join(line + b"\n" for line in written))
    try:
        source, found, position, turn = opened(path, follow=False), list[bytes](), "", 0
        while True:
            most, restart = reads[turn % len(reads)]
            turn += 1
            portion = source.read(most)
            if portion is None:
                break
            assert len(portion.entries) <= most
            found += [entry.content for entry in portion.entries]
            position = portion.position
            if restart:
                source.close()
                source = opened(path, position, follow=False)
        source.close()
        assert found == [line for line in written if line.strip()]
    finally:
        path.unlink()
