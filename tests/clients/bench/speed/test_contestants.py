"""A measured server runs while its block runs. If it polls, it is stopped outside its turns."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import NoReturn

import psutil
import pytest

from itemlens_bench.speed.contestants import running
from itemlens_bench.speed.target import Target


def sleeper(port: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)


def never(address: str) -> NoReturn:
    raise AssertionError("nothing is called")


def becomes(process: psutil.Process, stopped: bool) -> bool:
    """Signals arrive a moment after they are sent."""
    for _ in range(3000):
        if (process.status() == psutil.STATUS_STOPPED) is stopped:
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("polls", [False, True])
def test_a_server_that_polls_is_stopped_outside_its_turns(polls: bool) -> None:
    with running(Target("sleeper", sleeper, never, polls)) as server:
        process = psutil.Process(server.pid)
        assert becomes(process, stopped=polls)
        with server.awake():
            assert becomes(process, stopped=False)
        assert becomes(process, stopped=polls)
    assert not process.is_running()
