"""Tables that are computed in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from itemlens_server.fusion import tables_process
from itemlens_server.fusion.counts.recount import Recount
from itemlens_server.fusion.event_log import EventLog
from itemlens_server.fusion.tables import Provenance, Tables
from itemlens_server.fusion.tables_process import TablesProcess
from itemlens_server.fusion.weights import TableRules


@pytest.fixture(autouse=True)
def always_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables_process, "WORTH_A_PROCESS", 0)


def recount() -> Recount:
    taken = sorted(np.random.default_rng(0).integers(0, 30, (600, 2)).tolist())
    events = [(f"u{user}", f"i{item}", 5, float(n)) for n, (user, item) in enumerate(taken)]
    return Recount.of(EventLog.of(events, {5: 1.0}))


@pytest.fixture
def process() -> Iterator[TablesProcess]:
    process = TablesProcess()
    yield process
    process.close()


def computed(process: TablesProcess) -> Tables:
    return process.compute(30, recount, TableRules(10.0), Provenance(42, 600))


def pid_of(process: TablesProcess) -> int:
    assert process._process is not None
    return process._process.pid


def test_the_tables_are_those_of_this_process(process: TablesProcess) -> None:
    expected, found = Tables.of(recount(), TableRules(10.0), Provenance(42, 600)), computed(process)
    assert (found.item_ids, found.rules, found.provenance) == (
        expected.item_ids,
        expected.rules,
        expected.provenance,
    )
    for name in ("behaviour", "sequence"):
        one, other = getattr(found, name), getattr(expected, name)
        assert one.nnz and one.dtype == other.dtype
        np.testing.assert_array_equal(one.toarray(), other.toarray())
    for name in ("takers", "recent", "trend"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def test_a_few_items_start_no_process(process: TablesProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables_process, "WORTH_A_PROCESS", 31)
    monkeypatch.setattr(subprocess, "Popen", None)
    assert len(computed(process).item_ids) == 30


def test_the_process_stays_for_the_next_tables_which_may_be_of_another_size(process: TablesProcess) -> None:
    computed(process)
    first = pid_of(process)
    nothing = process.compute(0, lambda: Recount.of(EventLog.of([], {})), TableRules(), Provenance())
    assert len(nothing.item_ids) == 0 and len(computed(process).item_ids) == 30
    assert pid_of(process) == first


def test_what_libraries_print_is_not_taken_for_tables(
    process: TablesProcess, capfd: pytest.CaptureFixture[str]
) -> None:
    """LAPACK prints complaints to standard output."""

    class Printing(Provenance):
        def __reduce__(self) -> Any:
            return os.write, (1, b" ** On entry to SPOTRI parameter number 4")

    assert len(process.compute(30, recount, TableRules(10.0), Printing()).item_ids) == 30
    assert "SPOTRI" in capfd.readouterr().err


def test_tables_wait_for_those_of_another_thread(process: TablesProcess) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert {len(tables.item_ids) for tables in pool.map(lambda _: computed(process), range(8))} == {30}


def test_the_process_gives_way_to_calls(process: TablesProcess) -> None:
    computed(process)
    assert psutil.Process(pid_of(process)).nice() == os.nice(0) + tables_process.NICENESS


def test_the_process_ends_when_it_is_closed(process: TablesProcess) -> None:
    computed(process)
    pid = pid_of(process)
    process.close()
    assert not psutil.pid_exists(pid)


def test_tables_that_are_being_computed_are_the_last_after_closing(process: TablesProcess) -> None:
    closed: list[int] = []

    def closing() -> Recount:
        process.close()
        closed.append(pid_of(process))
        return recount()

    assert len(process.compute(30, closing, TableRules(10.0), Provenance()).item_ids) == 30
    assert not psutil.pid_exists(closed[0])


@pytest.mark.parametrize("program", ["", "import sys; sys.stdin.buffer.read(100); print('bro')"])
def test_a_process_that_ends_is_an_error_that_says_how(
    process: TablesProcess, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    def started(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        return real([sys.executable, "-c", program], **options)

    real = subprocess.Popen
    with monkeypatch.context() as patched:
        patched.setattr(subprocess, "Popen", started)
        with pytest.raises(RuntimeError, match="ended with 0"):
            computed(process)
    assert len(computed(process).item_ids) == 30


def test_a_process_that_is_killed_between_tables_is_started_again(process: TablesProcess) -> None:
    computed(process)
    first = pid_of(process)
    psutil.Process(first).kill()
    psutil.wait_procs([psutil.Process(first)], 1)
    assert len(computed(process).item_ids) == 30
    assert pid_of(process) != first


def test_an_error_while_counts_are_copied_is_not_the_end(process: TablesProcess) -> None:
    def failing() -> Recount:
        raise MemoryError("no room")

    with pytest.raises(MemoryError, match="no room"):
        process.compute(30, failing, TableRules(10.0), Provenance())
    assert len(computed(process).item_ids) == 30


def test_modules_of_the_working_folder_are_not_imported(
    process: TablesProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "random.py").write_text("raise SystemExit(7)")
    monkeypatch.chdir(tmp_path)
    assert len(computed(process).item_ids) == 30


def test_the_process_ends_with_the_one_that_started_it() -> None:
    """The process waits for counts that never come, while what started it is killed."""
    starts = (
        "import subprocess, sys; "
        f"p = subprocess.Popen([sys.executable, '-m', '{tables_process.WORKER}', '0'], stdin=subprocess.PIPE); "
        "print(p.pid, flush=True); sys.stdin.read()"
    )
    read, write = os.pipe()
    try:
        with subprocess.Popen([sys.executable, "-c", starts], stdin=read, stdout=subprocess.PIPE) as server:
            assert server.stdout is not None
            pid = int(server.stdout.readline())
            time.sleep(1)
            server.kill()
        for _ in range(200):
            if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                break
            time.sleep(0.1)
        else:
            pytest.fail("the process goes on")
    finally:
        os.close(read)
        os.close(write)
