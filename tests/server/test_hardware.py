"""How many processors and how much memory a process may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from itemlens_server.hardware import Memory, memory, processor_count


@pytest.fixture(autouse=True)
def eight_in_the_affinity(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine of more."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


def machine(root: Path, membership: str, files: dict[str, str]) -> Path:
    """A root folder with this /proc/self/cgroup and these files of /sys/fs/cgroup."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(membership)
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root


V1 = "4:memory:/docker/x\n3:cpu,cpuacct:/docker/x\n1:name=systemd:/docker/x\n"


def v1(quota: int, folder: str) -> dict[str, str]:
    return {f"{folder}/cpu.cfs_quota_us": str(quota), f"{folder}/cpu.cfs_period_us": "100000"}


@pytest.mark.parametrize(
    ("membership", "files", "count"),
    [
        ("0::/\n", {"cpu.max": "200000 100000"}, 2),
        ("0::/\n", {"cpu.max": "150000 100000"}, 2),  # rounded up
        ("0::/\n", {"cpu.max": "1000 100000"}, 1),
        ("0::/\n", {"cpu.max": "max 100000"}, 8),
        ("0::/\n", {"cpu.max": "1600000 100000"}, 8),  # more than the affinity
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000", "a/cpu.max": "300000 100000"}, 3),  # the parent's
        ("0::/a/b\n", {"a/b/cpu.max": "200000 100000", "a/cpu.max": "300000 100000"}, 2),
        ("0::/../../x\n", {"cpu.max": "200000 100000"}, 2),
        (V1, v1(250_000, "cpu,cpuacct/docker/x"), 3),
        (V1, v1(250_000, "cpu,cpuacct"), 3),  # in a container, whose own cgroup is at the top
        (V1, v1(250_000, "cpu"), 3),
        (V1, v1(-1, "cpu,cpuacct/docker/x"), 8),
        (V1, v1(100_000, "memory/docker/x"), 8),
        ("0::/\n", {"cpu.max": "damaged"}, 8),
        ("0::/\n", {}, 8),
    ],
)
def test_the_quota_of_the_cgroups_counts(
    tmp_path: Path, membership: str, files: dict[str, str], count: int
) -> None:
    assert processor_count(machine(tmp_path, membership, files)) == count


def test_the_affinity_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5}, raising=False)
    assert processor_count(tmp_path) == 2


def test_without_either_it_is_the_machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    assert processor_count(tmp_path) == 5
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert processor_count(tmp_path) == 1


MEMINFO = "MemTotal:       8388608 kB\nMemFree:        100 kB\nMemAvailable:   6291456 kB\n"


def v2(limit: str, folder: str = "") -> dict[str, str]:
    """1 GiB is used, half of it for pages of files that nobody uses."""
    stat = f"anon {1 << 29}\nfile {1 << 29}\ninactive_file {1 << 29}"
    files = {"memory.max": limit, "memory.current": str(1 << 30), "memory.stat": stat}
    return {f"{folder}{name}": text for name, text in files.items()}


def v1_memory(limit: int, folder: str) -> dict[str, str]:
    stat = f"total_inactive_file {1 << 29}"
    files = {"limit_in_bytes": str(limit), "usage_in_bytes": str(1 << 30), "stat": stat}
    return {f"{folder}/memory.{name}": text for name, text in files.items()}


@pytest.mark.parametrize(
    ("membership", "files", "limit", "used"),
    [
        ("0::/\n", v2(str(4 << 30)), 4, 0.5),
        ("0::/\n", v2("max"), 8, 2),
        ("0::/\n", v2(str(64 << 30)), 8, 2),  # more than the machine has
        ("0::/a/b\n", v2("max", "a/b/") | v2(str(2 << 30), "a/"), 2, 0.5),
        (V1, v1_memory(3 << 30, "memory/docker/x"), 3, 0.5),
        (V1, v1_memory(3 << 30, "memory"), 3, 0.5),
        (V1, v1_memory(2**63 - 4096, "memory"), 8, 2),  # version 1 for no limit
        ("0::/\n", v2("damaged"), 8, 2),
        ("0::/\n", {}, 8, 2),
    ],
)
def test_the_memory_is_that_of_the_cgroups_and_the_machine(
    tmp_path: Path, membership: str, files: dict[str, str], limit: int, used: float
) -> None:
    root = machine(tmp_path, membership, files)
    (root / "proc/meminfo").write_text(MEMINFO)
    assert memory(root) == Memory(limit << 30, int(used * (1 << 30)))


def test_memory_is_unknown_where_nothing_tells_it(tmp_path: Path) -> None:
    assert memory(tmp_path) is None
