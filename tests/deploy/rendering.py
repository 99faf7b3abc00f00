"""The deployment's files, read and rendered for the tests beside this file."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from itemlens_server.config import PREFIX

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "helm" / "itemlens"

# Where pip installs the tools of the extra `dev`, and then where the system has them.
TOOLS = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])

Manifest = dict[str, Any]


def tool(name: str, source: str = "pip install '.[dev]'") -> str:
    """The path of a command. The test is skipped where there is none."""
    found = shutil.which(name, path=TOOLS)
    if found is None:
        pytest.skip(f"NOT RUN: there is no {name} ({source})")
    return found


def run(*command: object, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command with `given` as its standard input."""
    return subprocess.run(
        [str(part) for part in command], input=given, capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "PATH": TOOLS},
    )  # fmt: skip


def rendered(values: str = "", release: str = "itemlens") -> list[Manifest]:
    """The chart's manifests with these values."""
    done = _template(values, release)
    assert done.returncode == 0, done.stderr
    return manifests(done.stdout)


def refusal(values: str = "", release: str = "itemlens") -> str:
    """Why the chart does not render with these values."""
    done = _template(values, release)
    assert done.returncode != 0, f"it renders with {values}"
    return done.stderr


@cache
def _template(values: str, release: str) -> subprocess.CompletedProcess[str]:
    return run(tool("helm"), "template", release, CHART, "--values", "-", given=values)


def manifests(text: str) -> list[Manifest]:
    """The documents of a YAML file."""
    return [document for document in yaml.safe_load_all(text) if document]


def of_kind(found: Sequence[Manifest], kind: str) -> Manifest:
    """The only manifest of a kind."""
    [manifest] = [one for one in found if one["kind"] == kind]
    return manifest


def pod(found: Sequence[Manifest]) -> Manifest:
    """The specification of the server's pod."""
    specification: Manifest = of_kind(found, "StatefulSet")["spec"]["template"]["spec"]
    return specification


def container(found: Sequence[Manifest]) -> Manifest:
    """The server's container."""
    [one] = pod(found)["containers"]
    assert isinstance(one, dict)
    return one


def variables(found: Sequence[Manifest]) -> dict[str, str]:
    """The environment of the server's container."""
    return {one["name"]: one["value"] for one in container(found)["env"]}


def live_settings(found: Sequence[Manifest]) -> str:
    """The file of settings that the server follows."""
    text: str = of_kind(found, "ConfigMap")["data"]["settings.yaml"]
    return text


def settings(environment: Mapping[str, str]) -> dict[str, str]:
    """The settings in an environment, by name."""
    return {
        name.removeprefix(PREFIX).lower(): value
        for name, value in environment.items()
        if name.startswith(PREFIX)
    }
