"""The wheels of both distributions: their files and requirements, and that they start once installed."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Iterator
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import itemlens
from support.serving import Server, sample_items
from support.spaces import Tiny

ROOT = Path(__file__).parents[2]
CLIENT = (ROOT / "clients" / "python" / "itemlens",)
SERVER = tuple(
    ROOT / folder
    for folder in (
        "clients/bench/itemlens_bench",
        "clients/datasets/itemlens_datasets",
        "exporter/itemlens_exporter",
        "server/itemlens_cli",
        "server/itemlens_demo",
        "server/itemlens_server",
    )
)
RUNTIMES = {"onnxruntime", "onnxruntime-gpu"}


class Wheel:
    """A wheel's files and metadata."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with zipfile.ZipFile(path) as archive:
            self.names = set(archive.namelist())
        [folder] = {name.partition("/")[0] for name in self.names if ".dist-info/" in name}
        self.metadata = PathDistribution(zipfile.Path(path, f"{folder}/"))
        self.modules = {name for name in self.names if not name.startswith(f"{folder}/")}
        self.about = {name.removeprefix(f"{folder}/") for name in self.names - self.modules}

    @property
    def extras(self) -> list[str]:
        return self.metadata.metadata.get_all("Provides-Extra") or []

    def needs(self, extra: str = "") -> dict[str, Requirement]:
        """The requirements of an install with or without an extra, by name. Our own extras are followed."""
        needed: dict[str, Requirement] = {}
        for requirement in map(Requirement, self.metadata.requires or []):
            if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
                continue
            if requirement.name == self.metadata.name:
                for inner in requirement.extras:
                    needed |= self.needs(inner)
            else:
                needed[requirement.name] = requirement
        return needed


class Environment:
    """An empty virtual environment, without pip."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        venv.create(folder, with_pip=False)
        self.packages = next(folder.glob("lib/python*/site-packages"))

    def install(self, *arguments: object) -> None:
        pip("--python", self.bin / "python", "install", *arguments)

    def run(self, command: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run a command of this environment outside the checkout."""
        return run(self.bin / command, *arguments, cwd=self.bin)

    def answer(self, command: str, *arguments: object) -> str:
        """The standard output of a command, which must succeed."""
        done = self.run(command, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def run(*command: object, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    # Only installed packages can be imported.
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [str(part) for part in command], cwd=cwd, env=clean, capture_output=True, text=True, timeout=250, check=False
    )  # fmt: skip


def pip(*arguments: object) -> None:
    done = run(sys.executable, "-m", "pip", "--quiet", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> tuple[Wheel, Wheel]:
    """Client and server, built with the installed backend, which needs no network."""
    folder = tmp_path_factory.mktemp("wheels")
    pip(
        "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ROOT / "clients" / "python", ROOT
    )
    client, server = sorted(folder.iterdir())
    return Wheel(client), Wheel(server)


@pytest.fixture(scope="module")
def server(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server from the test's environment. Its default collection has items."""
    with Server(tiny.models, tmp_path_factory.mktemp("data")) as running:
        with running.client() as client:
            client.upsert(sample_items(20)).raise_for_errors()
        yield running


@pytest.fixture(scope="module")
def light(wheels: tuple[Wheel, Wheel], tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Both wheels without an extra.

    To save time, their dependencies are those of the test's environment, with ONNX Runtime hidden.
    `make serving-check` installs everything from scratch.
    """
    environment = Environment(tmp_path_factory.mktemp("light"))
    environment.install("--no-deps", *(wheel.path for wheel in wheels))
    (environment.packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    hidden = 'raise ModuleNotFoundError("hidden by a test", name="onnxruntime")\n'
    (environment.packages / "onnxruntime.py").write_text(hidden)
    return environment


def files(packages: tuple[Path, ...]) -> set[str]:
    return {
        path.relative_to(package.parent).as_posix()
        for package in packages
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_clients_wheel_has_only_the_client(wheels: tuple[Wheel, Wheel]) -> None:
    client, _ = wheels
    assert client.modules == files(CLIENT)
    assert {"itemlens/py.typed", "itemlens/v1/itemlens_pb2.pyi"} <= client.modules
    assert client.about == {"METADATA", "RECORD", "WHEEL", "licenses/LICENSE"}


def test_the_servers_wheel_has_its_six_packages_with_their_data(wheels: tuple[Wheel, Wheel]) -> None:
    _, server = wheels
    assert server.modules == files(SERVER)
    assert {f"{package.name}/py.typed" for package in SERVER} <= server.modules
    assert {"itemlens_demo/page.html", "itemlens_demo/page.css"} <= server.modules
    assert {
        "itemlens_datasets/bundled/catalogue.jsonl",
        "itemlens_datasets/mappings/ml-100k.yaml",
    } <= server.modules
    assert sum(name.endswith(".webp") for name in server.modules) > 100
    assert server.about == {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}


def test_both_have_one_version_and_the_server_pins_the_client(wheels: tuple[Wheel, Wheel]) -> None:
    client, server = wheels
    assert client.metadata.version == server.metadata.version == itemlens.__version__
    assert str(server.needs()["itemlens"]) == f"itemlens=={itemlens.__version__}"


def test_the_client_needs_only_grpc_and_numpy(wheels: tuple[Wheel, Wheel]) -> None:
    client, _ = wheels
    assert client.needs().keys() == {"grpcio", "grpcio-status", "protobuf", "numpy"}
    assert client.extras == []


def test_onnx_runtime_is_an_extra_and_no_extra_has_both(wheels: tuple[Wheel, Wheel]) -> None:
    _, server = wheels
    runtimes = {extra: server.needs(extra).keys() & RUNTIMES for extra in ("", *server.extras)}
    assert runtimes == {
        "": set(),
        "server": {"onnxruntime"},
        "gpu": {"onnxruntime-gpu"},
        "tracing": set(),
        "export": {"onnxruntime"},
        "bench": {"onnxruntime"},
        "docs": set(),
        "ingest": set(),
        "dev": {"onnxruntime"},
    }
    # The extras differ only in ONNX Runtime, and in what asks GPUs for their memory.
    assert server.needs("server").keys() ^ server.needs("gpu").keys() == RUNTIMES | {"nvidia-ml-py"}
    assert server.needs().keys() == server.needs("server").keys() - RUNTIMES - {"prometheus-client"}


def test_the_client_starts_in_an_empty_environment(
    wheels: tuple[Wheel, Wheel], server: Server, tmp_path: Path
) -> None:
    client, _ = wheels
    environment = Environment(tmp_path)
    environment.install(client.path)
    code = f"""
import sys, itemlens
with itemlens.Client({server.address!r}) as client:
    answer = client.recommend(text="red shoe", k=3)
print(itemlens.__version__, len(answer), itemlens.__file__)
"""
    version, count, place = environment.answer("python", "-c", code).split()
    assert (version, count) == (itemlens.__version__, "3")
    assert Path(place).is_relative_to(environment.packages)


def test_the_command_asks_and_uploads_without_onnx_runtime(
    light: Environment, server: Server, tmp_path: Path
) -> None:
    (tmp_path / "shop.yaml").write_text('items: {file: items.csv, id: "{id}", texts: {text: "{title}"}}\n')
    (tmp_path / "items.csv").write_text("id,title\na,red shoe\nb,blue kettle\n")
    at = ("--collection", "wheels", "--target", server.address)
    assert "recommend" in light.answer("itemlens", "--help")
    assert "2 items" in light.answer("itemlens", "index", tmp_path / "shop.yaml", *at)
    assert "red shoe" in light.answer("itemlens", "query", "shoe", *at)
    assert "SERVING" in light.answer("itemlens", "health", "--target", server.address)


def test_bundled_data_is_found_in_the_installed_package(light: Environment) -> None:
    code = "from itemlens_datasets import bundled; print(bundled.__file__, len(bundled.items()))"
    place, count = light.answer("python", "-c", code).split()
    assert Path(place).is_relative_to(light.packages) and int(count) > 100
    assert "bundled are fashion, grocery" in light.run("itemlens", "index", "none").stderr


def test_serving_without_onnx_runtime_says_what_to_install(light: Environment) -> None:
    done = light.run("itemlens", "serve")
    assert done.returncode == 1
    assert (
        done.stderr.startswith("error: this command needs ONNX Runtime")
        and "itemlens-server[server]" in done.stderr
    )
