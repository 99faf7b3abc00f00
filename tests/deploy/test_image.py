"""The Dockerfile: what goes into the images, and what does not."""

from __future__ import annotations

import re
import shlex
import tomllib

import pytest

from deploy.dockerfile import ARGUMENTS, IMAGES, STAGES, environment, layers
from deploy.rendering import ROOT, pod, rendered, run, settings, tool
from itemlens_server.config import PREFIX, Settings


def test_hadolint_finds_nothing() -> None:
    done = run(tool("hadolint"), ROOT / "Dockerfile")
    assert done.returncode == 0, done.stdout


def test_the_base_has_a_whole_version() -> None:
    assert re.fullmatch(r"3\.11\.\d+-slim-[a-z]+", ARGUMENTS["PYTHON"])
    assert {stage.base for stage in STAGES.values()} - STAGES.keys() == {"python:${PYTHON}"}


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_has_no_compiler_and_of_this_checkout_only_what_was_installed(image: str) -> None:
    for stage in layers(image):
        assert not re.search(r"apt-get|g\+\+|pip", " ".join(stage.all("RUN")))
    copied = [arguments for stage in layers(image) for arguments in stage.all("COPY")]
    assert copied == [f"--from=build-{image} /venv /venv"]


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_is_installed_with_the_versions_of_ci_without_a_cache(image: str) -> None:
    [command] = STAGES[f"build-{image}"].all("RUN")
    assert "--no-cache-dir" in command and "-c constraints.txt" in command
    [extras] = re.findall(r"\.\[([\w,]+)\]", command)
    known = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "optional-dependencies"
    ]
    assert set(extras.split(",")) == {{"cpu": "server", "cuda": "gpu"}[image], "tracing"} <= known.keys()


def test_the_builder_gets_what_it_copies_and_nothing_else() -> None:
    """Neither tests nor keys that lie in the checkout."""
    copied = {name for arguments in STAGES["build"].all("COPY") for name in shlex.split(arguments)[:-1]}
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == {
        name.removeprefix("./") for name in copied
    }
    assert all((ROOT / name).exists() for name in copied)
    assert "**/__pycache__" in rules


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_serves_as_an_ordinary_user_with_its_own_data(image: str) -> None:
    base = STAGES["base"]
    assert base.all("ENTRYPOINT") == ['["itemlens"]'] and base.all("CMD") == ['["serve"]']
    assert base.all("USER") == ["10001"] and base.all("VOLUME") == ["/data"]
    assert not STAGES[image].all("USER")
    given = settings(environment(image))
    assert (given["models"], given["data"]) == ("/models", "/data")
    assert given["listen"] == f"0.0.0.0:{base.all('EXPOSE')[0]}"
    assert given.get("provider") == ("cuda" if image == "cuda" else None)


def test_the_user_is_that_of_the_pod() -> None:
    assert STAGES["base"].all("USER") == [str(pod(rendered())["securityContext"]["runAsUser"])]


@pytest.mark.parametrize("image", IMAGES)
def test_the_health_check_needs_no_certificate(image: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`itemlens health` asks the port of `monitoring`, if there is one, which is in the container alone."""
    [check] = STAGES["base"].all("HEALTHCHECK")
    assert 'CMD ["itemlens", "health"' in check
    for name, value in environment(image).items():
        if name.startswith(PREFIX):
            monkeypatch.setenv(name, value)
    assert Settings.read().monitoring.startswith("127.0.0.1:")
