"""`itemlens bench`."""

from __future__ import annotations

import json
import os
import platform
import tempfile
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from itemlens_server.errors import InvalidInput

if TYPE_CHECKING:
    from itemlens_bench.speed.bench import Bench
    from itemlens_bench.speed.report import Section

WIDTH = 200  # of tables that go to a file


class Scenario(StrEnum):
    """What can be measured."""

    ENCODE = "encode"
    LATENCY = "latency"
    ALL = "all"


def bench(
    scenarios: Annotated[list[Scenario], typer.Argument(help="what to measure")],
    models: Annotated[Path, typer.Option(help="the model repository", file_okay=False)] = Path("models"),
    space: Annotated[str, typer.Option(help="id or name of the space; else the last made")] = "",
    precision: Annotated[
        list[str] | None, typer.Option(help="graph to run; again for a second one, with columns of its own")
    ] = None,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="NAME=VALUE: a setting of our server; again for more")
    ] = None,
    texts: Annotated[
        Path | None, typer.Option(help="a file with a text a line, instead of made ones", dir_okay=False)
    ] = None,
    rounds: Annotated[int, typer.Option(help="interleaved rounds", min=1)] = 5,
    seconds: Annotated[float, typer.Option(help="length of a turn in a round, about", min=0.1)] = 6.0,
    processes: Annotated[int, typer.Option(help="load processes a server", min=1)] = 1,
    seed: Annotated[int, typer.Option(help="of texts and arrivals")] = 7,
    out: Annotated[
        Path | None, typer.Option(help="folder for report.json, report.md and the plots", file_okay=False)
    ] = None,
) -> None:
    """Measure speed: a server of ours, started for it, beside ONNX Runtime by itself on the same texts."""
    from itemlens_bench.speed import scenarios as known
    from itemlens_bench.speed.report import Report, markdown

    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    settings = dict(_name_and_value(one) for one in setting or ())
    with (
        tempfile.TemporaryDirectory(prefix="itemlens-bench-") as folder,
        Progress(console=console) as progress,
    ):
        made = _bench(
            models, space, precision or ["fp32"], settings, texts, rounds, seconds, processes, seed, Path(folder),
            progress,
        )  # fmt: skip
        chosen = [
            s for s in Scenario if s is not Scenario.ALL and (s in scenarios or Scenario.ALL in scenarios)
        ]
        sections: list[Section] = []
        for scenario in chosen:
            sections += known.SCENARIOS[scenario.value](made)
    report = Report(_about(made), sections)
    console.print(report.tables())
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        text = json.dumps(report.plain(), indent=1, ensure_ascii=False)
        (out / "report.json").write_text(text + "\n", encoding="utf-8")
        (out / "report.md").write_text("\n".join(map(markdown, sections)), encoding="utf-8")


def _bench(
    models: Path, space: str, precisions: list[str], settings: dict[str, str], texts: Path | None, rounds: int,
    seconds: float, processes: int, seed: int, folder: Path, progress: Progress,
) -> Bench:  # fmt: skip
    from itemlens_bench.speed.bench import Bench
    from itemlens_bench.speed.workload import TEXTS, make_texts, read_texts, workload
    from itemlens_server.config import Settings
    from itemlens_server.engine.manifest import Manifest, Precision
    from itemlens_server.engine.options import EngineOptions
    from itemlens_server.engine.repository import ModelRepository
    from itemlens_server.engine.session import choose_provider

    server = Settings.read(None, **settings)
    directory = models / ModelRepository(models, EngineOptions()).resolve(space)
    manifest = Manifest.load(directory)
    channels = [c for c in manifest.channels if c.kind == "TEXT"]
    if not channels:
        raise InvalidInput(f"{directory.name} has no channel of texts", "space")
    encoder = manifest.encoders[channels[0].encoder]
    for precision in precisions:
        if precision not in encoder.graphs:
            known = ", ".join(encoder.graphs)
            raise InvalidInput(
                f"{directory.name} has no {precision} graph of texts; it has {known}", "precision"
            )
    assert encoder.text is not None
    found = read_texts(texts) if texts else make_texts(TEXTS, seed)
    return Bench(
        directory.resolve(), manifest, channels[0].name, [Precision(p) for p in precisions], settings,
        choose_provider(server.provider), server.thread_count(), workload(found, directory, encoder.text), rounds,
        seconds, seed, processes, folder, progress,
    )  # fmt: skip


def _name_and_value(setting: str) -> tuple[str, str]:
    name, found, value = setting.partition("=")
    if not found:
        raise InvalidInput(f"{setting!r} is no setting; write --set name=value", "set")
    return name.strip(), value.strip()


def _about(bench: Bench) -> dict[str, str]:
    """What a reader must know of the run."""
    import onnxruntime

    from itemlens_server.hardware import processor

    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{os.cpu_count()} processors, {processor()}",
        "versions": f"Python {platform.python_version()}, ONNX Runtime {onnxruntime.__version__}",
        "space": f"{bench.manifest.space_id} ({bench.manifest.name})",
        "settings": ", ".join(f"{name}={value}" for name, value in bench.settings.items()) or "defaults",
        "workload": f"{bench.workload.describe()}, seed {bench.seed}",
    }
