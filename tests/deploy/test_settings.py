"""Settings and ports that the files give are those of the server, and the same everywhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from deploy.dockerfile import IMAGES, environment
from deploy.rendering import DEPLOY, ROOT, container, manifests, of_kind, rendered, settings, variables
from itemlens_server.config import PREFIX, Settings

FILES = [ROOT / "Dockerfile", *(path for path in sorted(DEPLOY.rglob("*")) if path.is_file())]
SERVER = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]["itemlens"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_each_variable_in_a_file_is_a_setting(file: Path) -> None:
    named = re.findall(rf"\b{PREFIX}([A-Z]\w*)", file.read_text(encoding="utf-8"))
    assert not [name for name in named if name.lower() not in Settings.model_fields]


PLACES = ("the image", "compose", "the manifest", "the chart")


def given_by(place: str) -> dict[str, str]:
    """The environment that a place gives to the image."""
    match place:
        case "compose":
            return dict(SERVER["environment"])
        case "the manifest":
            return variables(manifests((DEPLOY / "kubernetes" / "itemlens.yaml").read_text(encoding="utf-8")))
        case "the chart":
            return variables(rendered("{gpu: 1, tls: {clientCertificates: true}}"))
    return {}


@pytest.mark.parametrize("image", IMAGES)
@pytest.mark.parametrize("place", PLACES)
def test_the_server_takes_what_it_is_given(place: str, image: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = settings(environment(image) | given_by(place))
    for name, value in given.items():
        monkeypatch.setenv(f"{PREFIX}{name.upper()}", value)
    server = Settings.read()
    assert given.keys() >= {"listen", "models", "data", "monitoring", "log"}
    # All are given for a reason. The chart gives some with the server's own value, so that they can be seen.
    same = {name for name in given if getattr(server, name) == Settings.model_fields[name].default}
    assert same <= {"drain_seconds"}
    server.certificate_files()  # raises if TLS has one file of two


def test_all_files_have_the_same_ports() -> None:
    calls = environment("cpu")["ITEMLENS_LISTEN"].rpartition(":")[2]
    assert [port.rpartition(":")[2] for port in SERVER["ports"]] == [calls]
    prometheus = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    [[target]] = [each["targets"] for each in prometheus["scrape_configs"][0]["static_configs"]]
    name, _, metrics = target.partition(":")
    assert name == "itemlens" and settings(SERVER["environment"])["monitoring"] == f"0.0.0.0:{metrics}"
    found = rendered()
    ports = {port["name"]: str(port["containerPort"]) for port in container(found)["ports"]}
    assert ports == {"grpc": calls, "monitoring": metrics}
    assert settings(variables(found))["monitoring"] == f"0.0.0.0:{metrics}"
    marks = of_kind(found, "StatefulSet")["spec"]["template"]["metadata"]["annotations"]
    assert marks == {"prometheus.io/scrape": "true", "prometheus.io/port": metrics}
