"""Allowed imports (docs/architecture.md): dependencies go one way, between packages and inside the server."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {
    "itemlens": ROOT / "clients" / "python" / "itemlens",
    "itemlens_datasets": ROOT / "clients" / "datasets" / "itemlens_datasets",
    "itemlens_bench": ROOT / "clients" / "bench" / "itemlens_bench",
    "itemlens_server": ROOT / "server" / "itemlens_server",
    "itemlens_demo": ROOT / "server" / "itemlens_demo",
    "itemlens_cli": ROOT / "server" / "itemlens_cli",
    "itemlens_exporter": ROOT / "exporter" / "itemlens_exporter",
}
# The packages that each package may import: the arrows of docs/architecture.md.
ARROWS: dict[str, set[str]] = {
    "itemlens": set(),
    "itemlens_datasets": {"itemlens"},
    "itemlens_server": {"itemlens"},
    "itemlens_exporter": {"itemlens_server"},
    "itemlens_bench": {"itemlens", "itemlens_datasets", "itemlens_server", "itemlens_exporter"},
    "itemlens_demo": {"itemlens", "itemlens_datasets", "itemlens_server", "itemlens_exporter"},
    "itemlens_cli": {
        "itemlens", "itemlens_datasets", "itemlens_server", "itemlens_exporter", "itemlens_bench", "itemlens_demo",
    },
}  # fmt: skip

SERVER = PACKAGES["itemlens_server"]
PROTOBUF = ("itemlens", "google", "grpc", "grpc_status", "grpc_health", "grpc_reflection")
EXPORT_ONLY = ("torch", "torchvision", "transformers", "optimum")


def modules(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def layer_of(path: Path) -> str:
    """The part of the server that a module belongs to: "services", "app" ..."""
    return path.relative_to(SERVER).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[tuple[str, int]]:
    """Full names of all that a module imports, at the top and inside functions, with the line."""
    package = next(folder for folder in PACKAGES.values() if path.is_relative_to(folder))
    anchor = path.parent.relative_to(package.parent)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = anchor.parts[: len(anchor.parts) - node.level + 1]
                base = ".".join([*parents, *([base] if base else [])])
            yield base, node.lineno
            # `from itemlens_server import app` imports the module app.
            yield from ((f"{base}.{alias.name}", node.lineno) for alias in node.names)


def offences(paths: list[Path], forbidden: tuple[str, ...]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in paths
        for name, line in imported(path)
        if any(name == f or name.startswith(f + ".") for f in forbidden)
    ]


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_the_packages_that_it_may(package: str) -> None:
    forbidden = tuple(PACKAGES.keys() - ARROWS[package] - {package})
    assert offences(modules(PACKAGES[package]), forbidden) == []


def test_the_arrows_between_packages_have_no_cycle() -> None:
    TopologicalSorter(ARROWS).prepare()
    with pytest.raises(CycleError):
        TopologicalSorter({**ARROWS, "itemlens_server": {"itemlens_cli"}}).prepare()


def of(*layers: str) -> tuple[str, ...]:
    return tuple(f"itemlens_server.{layer}" for layer in layers)


# The imports that each layer of the server must not have.
LAYERS = {
    # rpc knows the use cases by the names that `services` itself offers, and nothing below them.
    "rpc": of(
        "engine",
        "storage",
        "index",
        "fusion",
        "attributes",
        "app",
        "process",
        "durable",
        "hardware",
        "observer",
    ),
    "services": (*PROTOBUF, *of("rpc", "app", "process")),
    "engine": (*PROTOBUF, *of("storage", "index", "services", "rpc", "app", "process")),
    "index": (*PROTOBUF, *of("engine", "storage", "services", "rpc", "app", "process")),
    "storage": (*PROTOBUF, *of("engine", "fusion", "index", "services", "rpc", "app", "process")),
    "fusion": (*PROTOBUF, *of("engine", "storage", "index", "services", "rpc", "app", "process")),
    "attributes": (
        *PROTOBUF,
        *of("engine", "storage", "index", "fusion", "words", "services", "rpc", "app", "process", "config"),
    ),
    "words": (
        *PROTOBUF,
        *of(
            "engine",
            "storage",
            "index",
            "fusion",
            "attributes",
            "services",
            "rpc",
            "app",
            "process",
            "config",
            "errors",
        ),
    ),
    "config": of("engine", "storage", "index", "fusion", "services", "rpc", "app", "process"),
    "errors": of("engine", "storage", "index", "fusion", "services", "rpc", "app", "process"),
    "address": of("engine", "storage", "index", "fusion", "services", "rpc", "app", "process"),
    "settings_file": of("engine", "storage", "index", "fusion", "services", "rpc", "app", "process"),
    "hardware": of("engine", "storage", "index", "fusion", "services", "rpc", "app", "process"),
    "access": (
        *PROTOBUF,
        *of(
            "engine",
            "storage",
            "index",
            "fusion",
            "services",
            "rpc",
            "monitoring",
            "app",
            "process",
            "config",
        ),
    ),
    "monitoring": of("storage", "index", "fusion", "rpc", "access", "app", "process"),
    "followed": of("engine", "storage", "index", "fusion", "services", "rpc", "app", "process", "config"),
    "live_settings": of(
        "engine", "storage", "index", "fusion", "services", "rpc", "access", "app", "process"
    ),
    "stages": of("engine", "storage", "index", "fusion", "services", "rpc", "app", "process", "config"),
    "observer": (*PROTOBUF, *of("engine", "storage", "index", "fusion", "services", "rpc", "app", "process")),
}


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_imports_only_what_lies_below_it(layer: str) -> None:
    paths = [p for p in modules(SERVER) if layer_of(p) == layer]
    assert paths
    assert offences(paths, LAYERS[layer]) == []


def test_rpc_takes_the_services_from_their_front_door() -> None:
    modules_of_services = tuple(f"itemlens_server.services.{p.stem}" for p in modules(SERVER / "services"))
    assert offences(modules(SERVER / "rpc"), modules_of_services) == []


def test_fusion_runs_on_numpy_and_scipy_alone() -> None:
    allowed = {"numpy", "scipy", "onnx", "itemlens_server", *sys.stdlib_module_names}
    packages = {name.partition(".")[0] for p in modules(SERVER / "fusion") for name, _ in imported(p)}
    assert packages - allowed == set()  # onnx only describes the head's graph


def test_sql_is_in_storage_alone() -> None:
    elsewhere = [p for p in modules(SERVER) if layer_of(p) != "storage"]
    offenders = [p.name for p in elsewhere if ".execute(" in p.read_text(encoding="utf-8")]
    assert offenders == []


def test_nothing_in_the_server_imports_app() -> None:
    assert offences([p for p in modules(SERVER) if layer_of(p) != "app"], of("app")) == []


def test_the_client_needs_only_what_its_own_distribution_has() -> None:
    allowed = {"grpc", "grpc_status", "google", "numpy", "itemlens", *sys.stdlib_module_names}
    packages = {name.partition(".")[0] for p in modules(PACKAGES["itemlens"]) for name, _ in imported(p)}
    assert packages - allowed == set()


def test_serving_needs_no_torch() -> None:
    serving = [
        p for name in ("itemlens_server", "itemlens_cli", "itemlens_demo") for p in modules(PACKAGES[name])
    ]
    assert offences(serving, EXPORT_ONLY) == []


def test_the_rules_would_notice() -> None:
    module = SERVER / "engine" / "encoder.py"
    assert any(name == "itemlens_server.engine.queue" for name, _ in imported(module))
    assert offences([module], of("engine")) != []
