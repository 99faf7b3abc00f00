"""The size of the tiny checkpoints and the type of their factories, shared by the tests of the exporter."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

POSITIONS = 48
Folder = Callable[..., Path]
