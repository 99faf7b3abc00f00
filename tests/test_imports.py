"""Who may import whom (docs: design, "Layout"): data flows one way, and a test holds it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SERVER = ROOT / "server" / "itemlens_server"
CLIENT = ROOT / "clients" / "python" / "itemlens"

PROTOBUF = ("itemlens", "google", "grpc", "grpc_status", "grpc_health", "grpc_reflection")
EXPORT_ONLY = ("torch", "torchvision", "transformers", "optimum")


def modules(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def package_of(path: Path) -> str:
    """The part of the server that a module belongs to: "domain", "app" ..."""
    first = path.relative_to(SERVER).parts[0]
    return first.removesuffix(".py")


def imported(path: Path) -> Iterator[tuple[str, int]]:
    """Full names of all that a module imports, at the top and inside functions, with the line."""
    anchor = path.parent.relative_to(SERVER.parent if path.is_relative_to(SERVER) else CLIENT.parent)
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


def of(*packages: str) -> tuple[str, ...]:
    return tuple(f"itemlens_server.{p}" for p in packages)


# Who must not import what.
RULES = {
    "domain": (*PROTOBUF, *of("rpc", "app", "cli", "demo")),
    "head": (*PROTOBUF, *of("engine", "catalog", "domain", "rpc", "app", "cli", "demo")),
    "engine": (*PROTOBUF, *of("catalog", "domain", "rpc", "app", "cli", "demo")),
    "catalog": (*PROTOBUF, *of("engine", "domain", "rpc", "app", "cli", "demo")),
    "rpc": of("app", "cli", "demo"),
    "config": of("engine", "catalog", "domain", "rpc", "app", "cli", "demo", "head"),
    "errors": of("engine", "catalog", "domain", "rpc", "app", "cli", "demo", "head"),
    "call": of("engine", "catalog", "domain", "rpc", "app", "cli", "demo", "head"),
}


@pytest.mark.parametrize("package", RULES)
def test_a_package_imports_only_what_lies_below_it(package: str) -> None:
    paths = [p for p in modules(SERVER) if package_of(p) == package]
    assert paths
    assert offences(paths, RULES[package]) == []


def test_nothing_imports_app_but_the_command_line() -> None:
    paths = [p for p in modules(SERVER) if package_of(p) not in ("app", "cli", "demo")]
    assert offences(paths, of("app")) == []


def test_the_client_knows_nothing_of_the_server() -> None:
    assert (
        offences(modules(CLIENT), ("itemlens_server", "itemlens_exporter", *EXPORT_ONLY, "onnxruntime")) == []
    )


def test_the_client_needs_only_what_the_bare_install_has() -> None:
    allowed = {"grpc", "grpc_status", "google", "numpy", "itemlens", *sys.stdlib_module_names}
    found = {name.partition(".")[0] for p in modules(CLIENT) for name, _ in imported(p)}
    assert found - allowed == set()


def test_serving_needs_no_torch() -> None:
    assert offences(modules(SERVER), EXPORT_ONLY) == []
    # The command line offers `export`; the exporter is imported with it and imports torch when it runs.
    serving = [p for p in modules(SERVER) if package_of(p) not in ("cli", "demo")]
    assert offences(serving, ("itemlens_exporter",)) == []


def test_the_rules_would_notice(tmp_path: Path) -> None:
    module = SERVER / "domain" / "encode.py"
    assert any(name == "itemlens_server.errors" for name, _ in imported(module))
    assert offences([module], of("errors")) != []
