"""The processors and the memory that this process may use: for defaults, for `itemlens doctor`, and for reports."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Memory:
    """Bytes that this process may use together with the others of a cgroup or of the machine, and that these use."""

    limit: int
    used: int


def memory(root: Path = Path("/")) -> Memory | None:
    """The memory of the machine, or that of a cgroup with a lower limit; None if unknown."""
    found = [own for cgroup in _cgroups(root, "memory") if (own := _memory(cgroup)) is not None]
    try:
        text = (root / "proc/meminfo").read_text(encoding="utf-8")
        total, available = (
            int(text.split(f"{name}:")[1].split()[0]) << 10 for name in ("MemTotal", "MemAvailable")
        )
        found.append(Memory(total, total - available))
    except (OSError, IndexError, ValueError):
        pass
    return min(found, key=lambda own: own.limit, default=None)


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


def _memory(cgroup: Path) -> Memory | None:
    """The memory of one cgroup; None without a limit."""
    for limit, used, inactive in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        try:
            bound = int((cgroup / limit).read_text(encoding="utf-8"))
            total = int((cgroup / used).read_text(encoding="utf-8"))
            statistics = (cgroup / "memory.stat").read_text(encoding="utf-8").split()
        except (OSError, ValueError):  # the limit may be "max"
            continue
        # Pages of files that nobody uses are given back where memory is short.
        rest = int(statistics[statistics.index(inactive) + 1]) if inactive in statistics else 0
        return Memory(bound, max(0, total - rest))
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
