"""What the tests of the exporter share: the size of the tiny checkpoints, and the type of what makes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

POSITIONS = 48
Folder = Callable[..., Path]
