"""A virtual environment for each peer: their packages fight with ours and with each other's."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

READY = "ready"  # the file that is written last, so that half an environment is made again


class EnvironmentFailed(Exception):
    """pip could not install the packages; the message has its last lines."""


@dataclass(frozen=True)
class Environment:
    """The packages of a peer.

    name:                 of its folder, together with a hash of the packages.
    requirements:         pinned to the versions that were seen to work together.
    without_dependencies: packages installed by themselves, for what they carry.
    """

    name: str
    requirements: tuple[str, ...]
    without_dependencies: tuple[str, ...] = ()

    def folder(self, cache: Path) -> Path:
        """Where it is, or will be, below `cache`. Other packages are another folder."""
        packages = "\n".join((*self.requirements, *self.without_dependencies, sys.version))
        return cache / f"{self.name}-{hashlib.sha256(packages.encode()).hexdigest()[:8]}"

    def python(self, cache: Path) -> Path:
        """Its interpreter. Made at the first call, which takes a minute or two and says so; kept for later ones.

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
