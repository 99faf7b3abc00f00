"""What this machine is, for how many threads to run, for `itemlens doctor`, and for every printed figure."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Iterator
from pathlib import Path


def processor() -> str:
    """Model of the processor, with the vector instructions that int8 speed depends on."""
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
    """How many processors this process may use: those of its affinity, at most its cgroups' quota, rounded up.

    root: where /proc and /sys/fs/cgroup are.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([allowed, *(math.ceil(quota) for quota in _quotas(root))]))


def _quotas(root: Path) -> Iterator[float]:
    """Processors that each cgroup of this process and each of their parents allow, where they set a limit."""
    try:
        memberships = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return  # not Linux
    for line in memberships:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        # Version 2 has one tree for all controllers, version 1 a tree for each.
        trees = root / "sys/fs/cgroup"
        top = trees / controllers if (trees / controllers).is_dir() else trees / "cpu"
        own = Path(path.lstrip("/"))
        # In a container the path is often one of the host's, and the container's own cgroup is at the top.
        for folder in [top, *(top / parent for parent in (own, *own.parents) if ".." not in parent.parts)]:
            if (quota := _quota(folder)) is not None:
                yield quota


def _quota(cgroup: Path) -> float | None:
    """Processors that one cgroup allows, such as 1.5; None where it sets no limit."""
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
