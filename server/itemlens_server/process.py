"""A server in its own process, for the duration of a block of code."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from itemlens._transport import channel_options
from itemlens_server.config import PREFIX
from itemlens_server.errors import FailedPrecondition

START_SECONDS = 180.0
STOP_SECONDS = 40.0
_ACCESS = tuple(
    f"{PREFIX}{name.upper()}" for name in ("key_file", "tls_certificate", "tls_private_key", "tls_client_ca")
)
_PORT = re.compile(r"serving on port (\d+)")


class LocalServer:
    """`itemlens serve` on a free local port. Leaving the block always stops it."""

    def __init__(
        self, *, models: Path, data: Path, space: str, log: Path, settings: Mapping[str, str] | None = None
    ) -> None:
        """`settings`: other settings by name, unless the environment has them."""
        self._log = log
        own = {f"{PREFIX}{name.upper()}": value for name, value in (settings or {}).items()}
        self._environment = own | open_environment()
        self._command = [
            *(sys.executable, "-m", "itemlens_cli", "serve", "--listen", "127.0.0.1:0"),
            *("--models", str(models), "--data", str(data), "--space", space),
        ]
        self._process: subprocess.Popen[bytes] | None = None
        self.target = ""
        """The address of the started server."""

    def __enter__(self) -> Self:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("wb") as log:
            # Its own session: Ctrl-C reaches only this process, which then stops the server.
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env=self._environment,
            )  # fmt: skip
        try:
            self._wait_until_serving()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    @property
    def running(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def wait(self) -> None:
        """Wait until the server exits."""
        if self._process:
            self._process.wait()

    def died(self) -> FailedPrecondition:
        """The error for a server that has exited, with the end of its log."""
        code = self._process.poll() if self._process else None
        return FailedPrecondition(
            f"the server ended with status {code}; the end of {self._log}:\n{tail(self._log)}"
        )

    def _wait_until_serving(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if not self.running:
                raise self.died()
            if match := _PORT.search(self._log.read_text(encoding="utf-8", errors="replace")):
                self.target = f"127.0.0.1:{match[1]}"
                if healthy(self.target):
                    return
            time.sleep(0.1)
        raise FailedPrecondition(
            f"the server did not start within {START_SECONDS:.0f} s; the end of {self._log}:\n{tail(self._log)}"
        )

    def _stop(self) -> None:
        if self._process is None or not self.running:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except BaseException:  # too slow, or a second Ctrl-C
            self._process.kill()
            self._process.wait()


def open_environment() -> dict[str, str]:
    """The environment without settings of keys and certificates: clients of a server for one's own use have none."""
    return {name: value for name, value in os.environ.items() if name not in _ACCESS}


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log."""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def healthy(target: str) -> bool:
    """Whether a server at `target` answers that it serves."""
    with grpc.insecure_channel(target, options=channel_options(target)) as channel:
        try:
            reply = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=2)
        except grpc.RpcError:
            return False
    return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)
