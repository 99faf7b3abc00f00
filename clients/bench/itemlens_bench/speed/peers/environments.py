"""A virtual environment for each peer: its packages conflict with ours and with those of other peers."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

READY = "ready"  # this file is written last, so that an incomplete environment is made again


class EnvironmentFailed(Exception):
    """pip could not install the packages; the message has its last lines."""


@dataclass(frozen=True)
class Environment:
    """The packages of a peer.

    name:                 first part of the folder's name; a hash of the packages follows.
    requirements:         pinned to versions that work together.
    without_dependencies: packages installed without dependencies, for the files in them.
    """

    name: str
    requirements: tuple[str, ...]
    without_dependencies: tuple[str, ...] = ()

    def folder(self, cache: Path) -> Path:
        """Its folder in `cache`. Different packages have different folders."""
        packages = "\n".join((*self.requirements, *self.without_dependencies, sys.version))
        return cache / f"{self.name}-{hashlib.sha256(packages.encode()).hexdigest()[:8]}"

    def python(self, cache: Path) -> Path:
        """Its interpreter. The first call installs the environment in a minute or two and says so.

        Raises:
            EnvironmentFailed: see there.
        """
        folder = self.folder(cache)
        python = folder / "bin" / "python"
        if (folder / READY).exists():
            return python
        print(f"installing {self.name} into {folder}, once", file=sys.stderr, flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
        self._install(python, self.requirements)
        if self.without_dependencies:
            self._install(python, ("--no-deps", *self.without_dependencies))
        (folder / READY).touch()
        return python

    def _install(self, python: Path, arguments: Sequence[str]) -> None:
        command = [str(python), "-m", "pip", "install", "--quiet", "--progress-bar", "off", *arguments]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        if done.returncode:
            raise EnvironmentFailed(f"{self.name}: pip failed:\n{done.stdout[-2000:]}")
