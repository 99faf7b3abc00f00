"""Real servers in their own processes, for the end-to-end tests."""

from __future__ import annotations

import os
import queue
import re
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

import itemlens
from itemlens.v1 import catalog_pb2_grpc, itemlens_pb2_grpc
from itemlens_server.engine.space_list import SpaceList
from support import spaces

START_SECONDS = 120
NO_RETRY = itemlens.Retry(attempts=1)


def sample_items(count: int) -> list[itemlens.Item]:
    """The sample catalogue as a caller gives it."""
    return [
        itemlens.Item(i.item_id, text=i.text, pictures=list(i.pictures), attributes={"title": i.text.title()})
        for i in spaces.sample_items(count)
    ]


class NotServing(Exception):
    """The server exited before it served. The message is its output."""


class Server:
    """`itemlens serve` in its own process. It serves after construction; `log` holds its output so far."""

    def __init__(
        self,
        models: Path,
        data: Path,
        *flags: str,
        python: list[str] | None = None,
        file_size: int | None = None,
        **settings: object,
    ) -> None:
        """`settings` are passed in the environment; `python` are options before `-m`; `file_size` limits every file."""
        command = [
            *(python or [sys.executable, "-m", "itemlens_cli"]),
            "serve", "--listen", "127.0.0.1:0", "--models", str(models), "--data", str(data), *flags,
        ]  # fmt: skip
        environment = {"ITEMLENS_THREADS": "2", "ITEMLENS_SEGMENT_ROWS": "64", "ITEMLENS_DRAIN_SECONDS": "20"}
        # New collections use the fitted tiny space, if it exists: a fitted space is never the default otherwise.
        if any(manifest.name == "fitted" for manifest in SpaceList.read(models).spaces.values()):
            environment["ITEMLENS_SPACE"] = "fitted"
        environment |= {f"ITEMLENS_{name.upper()}": str(value) for name, value in settings.items()}
        self.process = subprocess.Popen(
            command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
            env={**os.environ, **environment, "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        if file_size is not None:
            # From here: code between fork and exec, in a process that has gRPC's threads, can die of them.
            resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (file_size, file_size))
        self.models, self.data = models, data
        self.log: list[str] = []
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()
        self.port = self._wait_for_port()
        self.channel = grpc.insecure_channel(
            self.address,
            options=[
                ("grpc.max_receive_message_length", 64 << 20),
                ("grpc.max_send_message_length", 64 << 20),
            ],
        )
        self.item_lens = itemlens_pb2_grpc.ItemLensStub(self.channel)
        self.catalog = catalog_pb2_grpc.CatalogStub(self.channel)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def client(self, **settings: Any) -> itemlens.Client:
        """A client without retries, so that every answer is the server's first."""
        about: dict[str, Any] = {"retry": NO_RETRY, "timeout": 60.0, **settings}
        return itemlens.Client(self.address, **about)

    def healthy(self) -> bool:
        """Whether the health service reports SERVING."""
        request = health_pb2.HealthCheckRequest()
        reply = health_pb2_grpc.HealthStub(self.channel).Check(request, timeout=30)
        return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)

    def wait_for_log(self, pattern: str) -> str:
        """Wait for a matching line, and return it."""
        for line in self.log:
            if re.search(pattern, line):
                return line
        while (new := self._lines.get(timeout=START_SECONDS)) is not None:
            if re.search(pattern, new):
                return new
        raise AssertionError(f"the server ended without saying {pattern!r}:\n{''.join(self.log)}")

    def terminate(self) -> None:
        """SIGTERM."""
        self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL, as a crash."""
        self.process.kill()
        self.wait()

    def wait(self) -> int:
        """Wait until the server has exited and its log is read. Return the exit status."""
        status = self.process.wait(timeout=60)
        self._reading.join(timeout=60)
        if hasattr(self, "channel"):
            self.channel.close()
        return status

    def stop(self) -> int:
        """Send SIGTERM, if the server still runs, and wait."""
        if self.process.poll() is None:
            self.terminate()
        return self.wait()

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.process.kill()
        self.stop()

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as lines:
            for line in lines:
                self.log.append(line)
                self._lines.put(line)
        self._lines.put(None)

    def _wait_for_port(self) -> int:
        try:
            while (line := self._lines.get(timeout=START_SECONDS)) is not None:
                if match := re.search(r"serving on port (\d+)", line):
                    return int(match[1])
        except queue.Empty:
            self.process.kill()
        self.wait()
        raise NotServing("".join(self.log))
