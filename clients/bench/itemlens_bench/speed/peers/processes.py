"""Starts a peer's server and waits until it answers."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sysconfig
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from itemlens_bench.speed.target import Caller, CallFailed, Refused

START_SECONDS = 180.0
PROBE_SECONDS = 30.0


class StartFailed(Exception):
    """The server ended or did not answer in time; the message has the end of its log."""


class ServerProcess(subprocess.Popen[bytes]):
    """A server with the processes that it starts. Signals go to all of them."""

    def send_signal(self, sig: int) -> None:
        """Signal the whole process group, which is the server's own."""
        if self.poll() is None:
            os.killpg(self.pid, sig)


def start(command: Sequence[str], folder: Path, caller: Callable[[], Caller]) -> ServerProcess:
    """Start `command` in `folder`, which is created, and wait until it answers a call of `caller`.

    This must not run inside an event loop.

    Raises:
        StartFailed: see there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "server.log"
    with log.open("wb") as output:
        process = ServerProcess(
            command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            env=_environment(), cwd=folder,
        )  # fmt: skip
    deadline = time.monotonic() + START_SECONDS
    try:
        while not asyncio.run(_answers(caller())):
            if process.poll() is not None or time.monotonic() > deadline:
                end = log.read_text(errors="replace")[-2000:]
                raise StartFailed(f"{' '.join(command)} does not answer:\n{end}")
            time.sleep(0.2)
    except BaseException:
        process.kill()
        process.wait()
        raise
    return process


def _environment() -> dict[str, str]:
    """A server's environment: only the servers' folder of this project, no accelerator, no network."""
    libraries = [sysconfig.get_config_var("LIBDIR"), os.environ.get("LD_LIBRARY_PATH")]
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
        "PYTHONPATH": str(Path(__file__).parent),
        "PYTHONUNBUFFERED": "1",
        # Triton's Python process links to libpython. Without this it takes the system's, which is another release.
        "LD_LIBRARY_PATH": ":".join(filter(None, libraries)),
        "CUDA_VISIBLE_DEVICES": "",
        "HF_HUB_OFFLINE": "1",
        "DO_NOT_TRACK": "1",
    }


async def _answers(caller: Caller) -> bool:
    async with caller:
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                await caller.send(caller.pack(["ready?"]))
        except (CallFailed, Refused, TimeoutError):
            return False
        return True
