"""A live catalogue in this process, without gRPC."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from itemlens_server.engine.repository import ModelRepository
from support.live import Live, sample_catalogue
from support.spaces import Tiny


@pytest.fixture
def live(repository: ModelRepository, tiny: Tiny, tmp_path: Path) -> Iterator[Live]:
    """An empty catalogue for one test."""
    empty = Live(repository, tmp_path / "data", tiny.fitted)
    yield empty
    empty.close()


@pytest.fixture(scope="module")
def sample(
    repository: ModelRepository, tiny: Tiny, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Live]:
    """The sample catalogue with behaviour, for reading only."""
    filled = sample_catalogue(repository, tmp_path_factory.mktemp("sample") / "data", tiny.fitted)
    yield filled
    filled.close()
