"""compose.yaml: a server with Prometheus and Grafana, for one machine alone."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from deploy.rendering import DEPLOY, ROOT, settings
from itemlens_server.config import Settings

FILE = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = FILE["services"]
SERVER = SERVICES["itemlens"]


def seconds(duration: str) -> int:
    [number] = re.findall(r"^(\d+)s$", duration)
    return int(number)


def test_it_has_three_services_with_their_volumes() -> None:
    assert FILE.keys() == {"services", "volumes"} and SERVICES.keys() == {"itemlens", "prometheus", "grafana"}
    mounted = {volume.split(":")[0] for service in SERVICES.values() for volume in service["volumes"]}
    named = {source for source in mounted if "/" not in source}
    assert named == FILE["volumes"].keys() == {"data", "metrics"}


def test_folders_of_the_checkout_that_it_mounts_are_there() -> None:
    made = {"../models", "./secrets"}  # by `itemlens export` and by the first line of the file
    mounted = {volume.split(":")[0] for service in SERVICES.values() for volume in service["volumes"]}
    folders = {source for source in mounted if "/" in source}
    assert made < folders
    assert all((DEPLOY / folder).is_dir() for folder in folders - made)
    # Keys must not get into the repository.
    assert "/secrets/" in (DEPLOY / ".gitignore").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("name", SERVICES)
def test_nothing_is_published_to_other_machines(name: str) -> None:
    for port in SERVICES[name]["ports"]:
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port), port


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_of_others_has_a_whole_version(name: str) -> None:
    image = SERVICES[name].get("image")
    if image is None:
        build = SERVICES[name]["build"]
        assert (DEPLOY / build["context"]).resolve() == ROOT and build["target"] == "cpu"
    else:
        assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+", image), image


def test_the_server_has_as_few_rights_as_in_kubernetes() -> None:
    assert SERVER["read_only"] is True and SERVER["cap_drop"] == ["ALL"]
    assert SERVER["security_opt"] == ["no-new-privileges:true"] and SERVER["tmpfs"] == ["/tmp"]


def test_the_server_needs_keys_from_a_folder_that_it_cannot_write() -> None:
    key_file = settings(SERVER["environment"])["key_file"]
    assert f"./secrets:{key_file.rpartition('/')[0]}:ro" in SERVER["volumes"]
    assert "allow_unauthenticated" not in settings(SERVER["environment"])


def test_a_stop_waits_for_the_lame_duck_and_the_drain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SERVER["environment"].items():
        monkeypatch.setenv(name, value)
    server = Settings.read()
    assert seconds(SERVER["stop_grace_period"]) >= server.lame_duck_seconds + server.drain_seconds + 20


def test_another_file_gives_the_server_a_gpu_with_the_image_for_it() -> None:
    added = yaml.safe_load((DEPLOY / "compose.cuda.yaml").read_text(encoding="utf-8"))
    assert added.keys() == {"services"} and added["services"].keys() == {"itemlens"}
    server = added["services"]["itemlens"]
    assert server["build"] == {"target": "cuda"} and server.keys() == {"build", "deploy"}
    [device] = server["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}


def test_nobody_can_log_in_to_grafana() -> None:
    environment = SERVICES["grafana"]["environment"]
    assert environment["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert environment["GF_AUTH_BASIC_ENABLED"] == "false"
    assert environment["GF_AUTH_DISABLE_LOGIN_FORM"] == "true"
