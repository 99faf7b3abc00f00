"""`itemlens doctor`."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from itemlens_cli.reach.rows import Row
from itemlens_server.errors import DataLoss, ItemlensError

PACKAGES = (
    "itemlens-server",
    "itemlens",
    "grpcio",
    "protobuf",
    "numpy",
    "scipy",
    "onnxruntime",
    "onnxruntime-gpu",
    "tokenizers",
    "hnswlib",
    "pillow",
)
EXPORT_PACKAGES = ("torch", "transformers", "optimum-onnx")


def doctor(
    models: Annotated[
        Path, typer.Option(envvar="ITEMLENS_MODELS", help="the model repository to check")
    ] = Path("models"),
    data: Annotated[Path, typer.Option(envvar="ITEMLENS_DATA", help="the store to check")] = Path("data"),
    target: Annotated[
        str,
        typer.Option(
            help="check instead why calls from here to this server do not get through, or are slow; it reads the "
            "ITEMLENS_CLIENT_ variables, as all commands that call a server"
        ),
    ] = "",
    timeout: Annotated[
        float, typer.Option(help="with --target: seconds to wait in each step", min=0.1)
    ] = 5.0,
    monitoring: Annotated[
        str,
        typer.Option(
            help="with --target: host:port of the server's setting `monitoring`, to compare the clocks"
        ),
    ] = "",
) -> None:
    """Check packages, ONNX Runtime providers, spaces and the store, or a server, and say how to fix problems."""
    checks: dict[str, Callable[[], Iterable[Row]]] = {
        "versions": _versions,
        "processor": _processor,
        "ONNX Runtime providers": _providers,
        "spaces": lambda: _spaces(models),
        "store": lambda: _store(data),
    }
    if target:
        from itemlens_cli.connection import checked_target
        from itemlens_cli.reach import checks as of_server

        checked_target(target)
        checks = {target: lambda: of_server.checks(target, timeout, monitoring)}
    console = Console()
    table = Table("check", "state", "fix", title=escape(f"itemlens doctor{target and f' --target {target}'}"))
    wrong = 0
    for what, state, fix in [row for name, check in checks.items() for row in _checked(name, check)]:
        wrong += bool(fix)
        table.add_row(escape(what), f"[red]{escape(state)}[/]" if fix else escape(state), escape(fix))
    console.print(table)
    console.print(f"[bold red]problems: {wrong}[/]" if wrong else "[bold green]nothing is wrong[/]")
    raise typer.Exit(1 if wrong else 0)


def _checked(name: str, check: Callable[[], Iterable[Row]]) -> Iterator[Row]:
    """The rows of a check. A check that raises ends in a row with a problem."""
    try:
        yield from check()
    except ImportError as error:
        yield name, f"cannot be checked: {error}", "pip install 'itemlens-server[server]'"
    except DataLoss as error:
        yield name, error.message, "restore a backup: docs/operations.md"
    except Exception as error:
        yield name, f"cannot be checked: {type(error).__name__}: {error}", "fix what the message names"


def _versions() -> list[Row]:
    rows = [("Python", platform.python_version(), "")]
    versions = {}
    for name in (*PACKAGES, *EXPORT_PACKAGES):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = ""
    if versions["onnxruntime"] and versions["onnxruntime-gpu"]:
        rows.append((
            "onnxruntime", "both onnxruntime and onnxruntime-gpu are installed and overwrite each other",
            "pip uninstall onnxruntime onnxruntime-gpu, then "
            "pip install 'itemlens-server[gpu]' or 'itemlens-server[server]'",
        ))  # fmt: skip
    for name, version in versions.items():
        optional = name in EXPORT_PACKAGES or name.startswith("onnxruntime")
        absent = (
            "not installed (only `itemlens export` needs it)" if name in EXPORT_PACKAGES else "not installed"
        )
        rows.append((name, version or absent, "" if version or optional else f"pip install {name}"))
    if not versions["onnxruntime"] and not versions["onnxruntime-gpu"]:
        rows.append(("ONNX Runtime", "not installed", "pip install 'itemlens-server[server]'"))
    return rows


def _processor() -> list[Row]:
    import os

    from itemlens_server.hardware import processor, processor_count

    return [("processor", f"{processor()}, {processor_count()} of {os.cpu_count()} for this process", "")]


def _providers() -> list[Row]:
    import onnxruntime as ort

    from itemlens_server.engine.session import choose_provider, provider_loads

    rows: list[Row] = []
    for provider in ort.get_available_providers():
        if provider not in ("CPUExecutionProvider", "CUDAExecutionProvider"):
            continue
        problem = provider_loads(provider)
        rows.append(
            (
                provider,
                problem or "loads and runs",
                problem and "install the library it names; see docs/deployment.md",
            )
        )
    rows.append(("provider chosen", choose_provider("auto"), ""))
    return rows


def _spaces(models: Path) -> list[Row]:
    from itemlens_server.engine.repository import verify
    from itemlens_server.engine.space_list import SpaceList

    rows: list[Row] = []
    found = SpaceList.read(models)
    for space_id, manifest in found.spaces.items():
        kind = "fitted" if manifest.head else "not fitted"
        try:
            verify(models / space_id)
            rows.append((f"space {space_id}", f"{manifest.name}: hashes match, {kind}", ""))
        except ItemlensError as error:
            rows.append((f"space {space_id}", error.message, "itemlens export"))
    rows += [(f"space {space_id}", damage, "itemlens export") for space_id, damage in found.damaged.items()]
    return rows or [("spaces", f"none in {models}", f"itemlens export --models {models}")]


def _store(data: Path) -> list[Row]:
    from itemlens_server.storage import answers
    from itemlens_server.storage.store import Store

    if not (data / "itemlens.db").is_file():
        return [("store", f"none in {data}; `itemlens serve` creates it", "")]
    reader = Store.read_only(data)
    rows: list[Row] = []
    for problem in reader.problems():
        rows.append(("store", f"damaged: {problem}", "write the item again, or restore a backup"))
    rows = rows or [("store", "whole", "")]
    if damage := answers.problem(data):
        rows.append(("answers", f"damaged: {damage}", f"delete {data / answers.FILE} while no server runs"))
    if data.stat().st_mode & 0o007:
        rows.append(("data folder", f"all users of this machine can read {data}", f"chmod 700 {data}"))
    for row in reader.collections():
        items, events, sequence = reader.counts(row.id)
        rows.append(
            (
                f"collection {row.name}",
                f"{items} items, {events} events, space {row.space_id}, at {sequence}",
                "",
            )
        )
    return rows
