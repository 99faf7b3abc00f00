"""Fixtures for all tests: the tiny spaces, built once per session."""

from __future__ import annotations

import os

# Before numpy is imported, and for the servers that tests start. Where several processes share the processors, the
# threads of OpenBLAS spin while they wait for each other: a fit then takes eight times as long as in one thread.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import hypothesis
import pytest

from itemlens_server.engine.repository import ModelRepository, Space
from support import spaces
from support.spaces import Tiny

# Hypothesis: the same examples in each run, and no example database.
hypothesis.settings.register_profile(
    "itemlens",
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("itemlens")

# The files that take longest, the longest first. They begin, since at the end one process would wait for the other.
LONG = (
    "exporter/test_presets.py", "cli/test_fit_poor_data.py", "server/services/test_fitting.py",
    "e2e/test_fit_disturbed.py", "e2e/test_fuzz.py", "cli/test_demo.py", "e2e/test_bench.py", "e2e/test_start.py",
    "e2e/test_fit.py", "cli/test_fit.py", "e2e/test_exactly_once.py", "e2e/test_storms.py", "e2e/test_kills.py",
    "e2e/test_counts.py", "e2e/test_memory.py", "e2e/test_durability.py", "e2e/test_readme.py",
    "packaging/test_wheels.py", "e2e/test_kept_answers.py", "e2e/test_stop.py", "e2e/test_concurrency.py",
)  # fmt: skip

# The exporter's tests need packages that a serving install does not have.
NOT_INSTALLED = [package for package in ("torch", "transformers", "optimum") if find_spec(package) is None]
collect_ignore = ["exporter"] if NOT_INSTALLED else []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the files of `LONG` to the front."""
    tests = Path(__file__).parent
    place = {tests / name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: place.get(item.path, len(LONG)))


def pytest_report_header() -> str:
    if not NOT_INSTALLED:
        return "the exporter's tests: all"
    return (
        f"the exporter's tests: NOT RUN without {', '.join(NOT_INSTALLED)}; install itemlens-server[export]"
    )


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """The tiny spaces on disk. Read only: tests that damage a file copy the folder first."""
    models = tmp_path_factory.mktemp("models")
    plain = spaces.build(models)
    fitted = spaces.build_fitted(models, plain)
    other = spaces.build(models, "other", seed=2, created="2025-01-01T00:00:00+00:00")
    return Tiny(models, plain, fitted, other)


@pytest.fixture(scope="session")
def repository(tiny: Tiny) -> Iterator[ModelRepository]:
    """A repository of the tiny spaces."""
    model_repository = spaces.open_repository(tiny.models)
    yield model_repository
    model_repository.close()


@pytest.fixture(scope="session")
def plain_space(repository: ModelRepository, tiny: Tiny) -> Space:
    """The space before `itemlens fit`."""
    return repository.load(tiny.plain)


@pytest.fixture(scope="session")
def fitted_space(repository: ModelRepository, tiny: Tiny) -> Space:
    """The same encoders with a fitted head."""
    return repository.load(tiny.fitted)
