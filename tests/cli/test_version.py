"""`itemlens --version`."""

from __future__ import annotations

import importlib.metadata
import platform

import pytest

from itemlens_cli import version
from support.command import Run


def test_it_prints_the_versions_that_a_bug_report_needs(run: Run) -> None:
    done = run("--version")
    assert done.status == 0 and done.err == ""
    lines = done.out.splitlines()
    assert f"Python {platform.python_version()}" in lines
    assert any(line.startswith("onnxruntime") for line in lines)
    assert f"itemlens {importlib.metadata.version('itemlens')}" in lines


def test_packages_that_are_not_installed_are_left_out(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(version, "PACKAGES", ("itemlens", "no-such-package"))
    assert [line.split()[0] for line in run("--version").out.splitlines()] == ["itemlens", "Python"]
