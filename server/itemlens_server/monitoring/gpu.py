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
    """The memory of each GPU of the machine, numbered as NVML does; none if NVML cannot be asked."""
    nvml = _nvml()
    if nvml is None:
        return ()
    found = []
    for number in range(_count(nvml)):
        try:
            memory = nvml.nvmlDeviceGetMemoryInfo(nvml.nvmlDeviceGetHandleByIndex(number))
        except nvml.NVMLError as error:
            log.debug("the memory of GPU %d is not known: %s", number, error)
            continue
        found.append(GpuMemory(str(number), memory.used, memory.total))
    return found


def _count(nvml: Any) -> int:
    try:
        return int(nvml.nvmlDeviceGetCount())
    except nvml.NVMLError:
        return 0


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
