"""Writes that wait at the same time share a commit, a failed one does not affect others, and none waits forever."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from itemlens_server.errors import FailedPrecondition, StorageFull
from itemlens_server.storage.writer import Writer


class Database:
    """A file with one table, and the number of its writer's commits."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.commits = 0
        self._open().execute("CREATE TABLE t (x UNIQUE)")
        self.writer = Writer(self._open_traced)

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)

    def _open_traced(self) -> sqlite3.Connection:
        connection = self._open()
        connection.set_trace_callback(self._trace)
        return connection

    def _trace(self, statement: str) -> None:
        self.commits += statement == "COMMIT"

    def values(self) -> list[object]:
        with sqlite3.connect(self.path) as connection:
            return [x for (x,) in connection.execute("SELECT x FROM t ORDER BY x")]

    def add(self, value: object) -> None:
        self.writer.write(lambda c: c.execute("INSERT INTO t VALUES (?)", (value,)))

    def add_together(self, *runs: Callable[[sqlite3.Connection], object]) -> list[object]:
        """Run writes that are all queued while the writer is blocked. Return each result or error."""
        return self.queue_together(*(partial(self.writer.write, run) for run in runs))

    def queue_together(self, *writes: Callable[[], object]) -> list[object]:
        """Call functions that each queue a write, in their order, while the writer is blocked."""
        entered, go = threading.Event(), threading.Event()

        def hold(_: sqlite3.Connection) -> None:
            entered.set()
            go.wait()

        def attempt(write: Callable[[], object]) -> object:
            try:
                return write()
            except Exception as error:
                return error

        with ThreadPoolExecutor(len(writes) + 1) as threads:
            threads.submit(self.writer.write, hold)
            entered.wait()
            futures = []
            for n, write in enumerate(writes, 1):
                futures.append(threads.submit(attempt, write))
                while self.writer._queue.qsize() < n:
                    threading.Event().wait(0.001)
            go.set()
            return [f.result() for f in futures]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path / "db")
    yield opened
    opened.writer.close()


def insert(value: object) -> Callable[[sqlite3.Connection], object]:
    def run(connection: sqlite3.Connection) -> object:
        connection.execute("INSERT INTO t VALUES (?)", (value,))
        return value

    return run


def test_what_is_acknowledged_is_in_the_file(database: Database) -> None:
    database.add(1)
    assert database.values() == [1]


def test_writes_that_wait_together_share_one_commit(database: Database) -> None:
    assert database.add_together(*(insert(n) for n in range(20))) == list(range(20))
    assert database.values() == list(range(20))
    assert database.commits == 2  # one for the blocking write, and one for the others


def test_a_write_that_fails_leaves_nothing_and_the_others_are_kept(database: Database) -> None:
    def half(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO t VALUES ('half')")
        raise ValueError("mine alone")

    first, failed, duplicate, last = database.add_together(insert(1), half, insert(1), insert(2))
    assert (first, last) == (1, 2)
    assert isinstance(failed, ValueError)
    assert isinstance(duplicate, sqlite3.IntegrityError)
    assert database.values() == [1, 2]


def test_each_write_hears_when_it_was_undone(database: Database) -> None:
    heard: list[str] = []

    def fails(_: sqlite3.Connection) -> None:
        raise ValueError("mine alone")

    def full(_: sqlite3.Connection) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    def write(name: str, run: Callable[[sqlite3.Connection], object]) -> Callable[[], object]:
        return lambda: database.writer.write(run, undone=lambda: heard.append(name))

    database.queue_together(write("first", insert(1)), write("fails", fails), write("last", insert(2)))
    assert heard == ["fails"]
    heard.clear()
    # The whole group is undone, and each write runs again alone.
    database.queue_together(write("third", insert(3)), write("full", full), write("fourth", insert(4)))
    assert heard == ["third", "full", "full"]
    assert database.values() == [1, 2, 3, 4]


def test_a_group_that_does_not_fit_is_tried_one_by_one(database: Database) -> None:
    def fills_the_disk(_: sqlite3.Connection) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    first, failed, last = database.add_together(insert(1), fills_the_disk, insert(2))
    assert (first, last) == (1, 2)
    assert isinstance(failed, StorageFull)
    assert database.values() == [1, 2]


def test_after_runs_once_it_is_on_disk_and_before_the_next_write(database: Database) -> None:
    seen: list[object] = []
    database.writer.write(insert(1), lambda _: seen.append(database.values()))
    database.writer.write(lambda _: seen.append("next"))
    assert seen == [[1], "next"]


def test_writes_of_a_transaction_with_the_same_after_share_one_call_in_their_order(
    database: Database,
) -> None:
    calls: list[list[object]] = []

    def after(results: Sequence[object]) -> None:
        calls.append(list(results))

    def together(value: int, after: Callable[[Sequence[object]], None]) -> Callable[[], object]:
        return lambda: database.writer.submit(insert(value), after).result()

    def own(value: int) -> Callable[[], object]:
        return lambda: database.writer.write(insert(value), lambda result: calls.append([result]))

    writes = [together(1, after), together(2, after), own(3), own(4), together(5, after)]
    assert database.queue_together(*writes) == [1, 2, 3, 4, 5]
    assert calls == [[1, 2], [3], [4], [5]]


def test_an_error_after_writes_that_share_a_call_is_reported_to_each(database: Database) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("after")

    first, other = database.queue_together(
        lambda: database.writer.submit(insert(1), fail).result(),
        lambda: database.writer.submit(insert(2), fail).result(),
    )
    assert isinstance(first, RuntimeError) and isinstance(other, RuntimeError)
    assert database.values() == [1, 2]


def test_an_error_after_the_commit_is_reported_and_the_writer_continues(database: Database) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("after")

    with pytest.raises(RuntimeError, match="after"):
        database.writer.write(insert(1), fail)
    database.add(2)
    assert database.values() == [1, 2]


def test_a_rollback_that_fails_does_not_end_the_writer(database: Database) -> None:
    # The disk is so damaged that even the rollback fails. The next write repeats it.
    def break_it(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO t VALUES ('lost')")
        refuse = [True]

        def authorise(action: int, *_: object) -> int:
            if action == sqlite3.SQLITE_TRANSACTION and _[0] == "ROLLBACK" and refuse:
                refuse.clear()
                return sqlite3.SQLITE_DENY
            return sqlite3.SQLITE_OK

        connection.set_authorizer(authorise)
        raise sqlite3.OperationalError("disk I/O error")

    with pytest.raises(StorageFull):
        database.writer.write(break_it)
    database.add(2)
    assert database.values() == [2]


def test_what_is_queued_at_close_is_written_and_later_writes_are_refused(tmp_path: Path) -> None:
    database = Database(tmp_path / "db")
    with ThreadPoolExecutor(8) as threads:
        done = [threads.submit(database.add, n) for n in range(50)]
        threads.submit(database.writer.close)
    kept = [n for n, f in enumerate(done) if f.exception() is None]
    assert all(isinstance(f.exception(), FailedPrecondition) for n, f in enumerate(done) if n not in kept)
    assert database.values() == kept
    with pytest.raises(FailedPrecondition, match="stopping"):
        database.add("late")
