"""The processors and the memory that this process may use: for defaults, for `itemlens doctor`, and for reports."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Iterator
from pathlib import Path


def processor() -> str:
    """Model of the processor, with the vector instructions that decide the speed of int8."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    fields = dict(line.split(":", 1) for line in text.split("\n\n")[0].splitlines() if ":" in line)
    named = {key.strip(): value.strip() for key, value in fields.items()}
    flags = named.get("flags", "").split()
    wanted = [f for f in ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8") if f in flags]
    return f"{named.get('model name', platform.machine())} ({', '.join(wanted) or 'no AVX'})"


def processor_count(root: Path = Path("/")) -> int:
    """Number of processors that this process may use: its affinity, limited by its cgroups' quota, rounded up.

    root: the folder of /proc and /sys/fs/cgroup.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = (_quota(cgroup) for cgroup in _cgroups(root, "cpu"))
    return max(1, min([allowed, *(math.ceil(quota) for quota in quotas if quota is not None)]))


def memory_limit(root: Path = Path("/")) -> int | None:
    """Bytes that this process may use: the machine's memory, limited by its cgroups; None if unknown."""
    limits = [limit for cgroup in _cgroups(root, "memory") if (limit := _memory(cgroup)) is not None]
    try:
        text = (root / "proc/meminfo").read_text(encoding="utf-8")
        limits.append(int(text.split("MemTotal:")[1].split()[0]) << 10)
    except (OSError, IndexError, ValueError):
        pass
    return min(limits, default=None)


def _cgroups(root: Path, controller: str) -> Iterator[Path]:
    """The cgroups of this process for a controller, with their parents."""
    try:
        memberships = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return  # not Linux
    for line in memberships:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        # Version 2 has one tree for all controllers, version 1 a tree for each.
        trees = root / "sys/fs/cgroup"
        top = trees / controllers if (trees / controllers).is_dir() else trees / controller
        own = Path(path.lstrip("/"))
        # In a container, the path is often a path on the host, and the container's own cgroup is the root.
        yield top
        yield from (top / parent for parent in (own, *own.parents) if ".." not in parent.parts)


def _memory(cgroup: Path) -> int | None:
    """The limit of one cgroup in bytes; None without one."""
    for name in ("memory.max", "memory.limit_in_bytes"):
        try:
            text = (cgroup / name).read_text(encoding="utf-8").strip()
            return None if text == "max" else int(text)
        except (OSError, ValueError):
            continue
    return None


def _quota(cgroup: Path) -> float | None:
    """The quota of one cgroup in processors, such as 1.5; None without a limit."""
    try:
        if (cgroup / "cpu.max").exists():
            quota, period = (cgroup / "cpu.max").read_text(encoding="utf-8").split()
        else:
            quota, period = (
                (cgroup / f"cpu.cfs_{name}_us").read_text(encoding="utf-8").strip()
                for name in ("quota", "period")
            )
        return None if quota in ("max", "-1") else int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None
