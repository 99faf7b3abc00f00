"""Memory of GPUs: NVML is asked, and its absence or failure leaves only the metric out."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from itemlens_server.monitoring import gpu
from itemlens_server.monitoring.gpu import GpuMemory, gpu_memory


class NvmlFailed(Exception):
    """As NVML's own error."""


@pytest.fixture(autouse=True)
def asked_again() -> Iterator[None]:
    gpu._nvml.cache_clear()
    yield
    gpu._nvml.cache_clear()


def nvml(monkeypatch: pytest.MonkeyPatch, *, starts: bool = True, lost: int | None = None) -> None:
    def init() -> None:
        if not starts:
            raise NvmlFailed("no driver")

    def memory(handle: int) -> SimpleNamespace:
        if handle == lost:
            raise NvmlFailed("the GPU is lost")
        return SimpleNamespace(used=handle + 1, total=80 << 30)

    fake = SimpleNamespace(
        NVMLError=NvmlFailed, nvmlInit=init, nvmlDeviceGetCount=lambda: 2,
        nvmlDeviceGetHandleByIndex=lambda number: number, nvmlDeviceGetMemoryInfo=memory,
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "pynvml", fake)


def test_each_gpu_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml(monkeypatch)
    assert list(gpu_memory()) == [GpuMemory("0", 1, 80 << 30), GpuMemory("1", 2, 80 << 30)]


def test_without_a_driver_there_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml(monkeypatch, starts=False)
    assert list(gpu_memory()) == []


def test_a_gpu_that_fails_leaves_its_own_out(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml(monkeypatch, lost=0)
    assert list(gpu_memory()) == [GpuMemory("1", 2, 80 << 30)]


def test_without_the_package_there_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert list(gpu_memory()) == []
