"""How many processors a process may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from itemlens_server.hardware import processor_count


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
