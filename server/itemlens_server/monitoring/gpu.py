"""Memory of the GPUs, asked of NVIDIA's management library (NVML)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class GpuMemory:
    """Bytes of one GPU: used by all processes, and in all."""

    gpu: str
    used: int
    total: int


def gpu_memory() -> Sequence[GpuMemory]:
    """The memory of each GPU that this process sees; none if NVML cannot be asked."""
    nvml = _nvml()
    if nvml is None:
        return ()
    found = []
    try:
        for number in range(nvml.nvmlDeviceGetCount()):
            memory = nvml.nvmlDeviceGetMemoryInfo(nvml.nvmlDeviceGetHandleByIndex(number))
            found.append(GpuMemory(str(number), memory.used, memory.total))
    except nvml.NVMLError as error:
        log.debug("the memory of the GPUs is not known: %s", error)
    return found


@cache
def _nvml() -> Any:
    """The library, started; None if there is none or no driver."""
    try:
        import pynvml
    except ModuleNotFoundError:  # only the extra `gpu` installs it
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    return pynvml
