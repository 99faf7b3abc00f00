"""Tables that are computed in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from itemlens_server.fusion import tables_process
from itemlens_server.fusion.counts.recount import Recount
from itemlens_server.fusion.event_log import EventLog
from itemlens_server.fusion.tables import Provenance, Tables
from itemlens_server.fusion.weights import TableRules


@pytest.fixture(autouse=True)
def always_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables_process, "WORTH_A_PROCESS", 0)


def recount() -> Recount:
    taken = sorted(np.random.default_rng(0).integers(0, 30, (600, 2)).tolist())
    events = [(f"u{user}", f"i{item}", 5, float(n)) for n, (user, item) in enumerate(taken)]
    return Recount.of(EventLog.of(events, {5: 1.0}))


def computed() -> Tables:
    return tables_process.compute(30, recount, TableRules(10.0), Provenance(42, 600))


def test_the_tables_are_those_of_this_process() -> None:
    expected, found = Tables.of(recount(), TableRules(10.0), Provenance(42, 600)), computed()
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


def test_a_few_items_start_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables_process, "WORTH_A_PROCESS", 31)
    monkeypatch.setattr(subprocess, "Popen", None)
    assert len(computed().item_ids) == 30


@pytest.mark.parametrize(("urgent", "niceness"), [(False, tables_process.NICENESS), (True, 0)])
def test_the_process_gives_way_to_calls_unless_it_is_urgent(
    monkeypatch: pytest.MonkeyPatch, urgent: bool, niceness: int
) -> None:
    started: list[int] = []

    def start(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        assert command[-1] == str(niceness)
        process = real(command, **options)
        wanted = time.monotonic() + 10
        while psutil.Process(process.pid).nice() != os.nice(0) + niceness and time.monotonic() < wanted:
            time.sleep(0.01)
        started.append(psutil.Process(process.pid).nice() - os.nice(0))
        return process

    real = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", start)
    tables_process.compute(30, recount, TableRules(10.0), Provenance(), urgent=urgent)
    assert started == [niceness]


@pytest.mark.parametrize("program", ["", "import sys; sys.stdin.buffer.read(); print('bro')"])
def test_a_process_that_ends_is_an_error_that_says_how(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    def started(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        return real([sys.executable, "-c", program], **options)

    real = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", started)
    with pytest.raises(RuntimeError, match="ended with 0"):
        computed()


def test_an_error_while_counts_are_copied_ends_the_process() -> None:
    def failing() -> Recount:
        raise MemoryError("no room")

    with pytest.raises(MemoryError, match="no room"):
        tables_process.compute(30, failing, TableRules(10.0), Provenance())


def test_modules_of_the_working_folder_are_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "random.py").write_text("raise SystemExit(7)")
    monkeypatch.chdir(tmp_path)
    assert len(computed().item_ids) == 30


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
