"""`itemlens bench`."""

from __future__ import annotations

import platform
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from itemlens_server.errors import FailedPrecondition, InvalidArgument

if TYPE_CHECKING:
    from itemlens_bench.speed.bench import Bench
    from itemlens_bench.speed.target import Target

ALL_PEERS = "all"
WIDTH = 200  # columns of a table in a file


class Scenario(StrEnum):
    """The benchmark scenarios."""

    ENCODE = "encode"
    LATENCY = "latency"
    LENGTHS = "lengths"
    RECOMMEND = "recommend"
    OVERLOAD = "overload"
    MIXED = "mixed"
    OPEN_LOOP = "open-loop"
    SOAK = "soak"
    ALL = "all"


def bench(
    scenarios: Annotated[list[Scenario], typer.Argument(help="what to measure")],
    models: Annotated[Path, typer.Option(help="the model repository", file_okay=False)] = Path("models"),
    space: Annotated[str, typer.Option(help="id or name of the space; default: the last exported")] = "",
    precision: Annotated[
        list[str] | None, typer.Option(help="graph to run; can be repeated: each has its own columns")
    ] = None,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="NAME=VALUE: a setting of our server; can be repeated")
    ] = None,
    texts: Annotated[
        Path | None,
        typer.Option(help="a file with one text per line, instead of generated texts", dir_okay=False),
    ] = None,
    peer: Annotated[
        list[str] | None,
        typer.Option(
            help="encode, latency, open-loop: another server to compare with; can be repeated; all: every peer"
        ),
    ] = None,
    peer_space: Annotated[
        str, typer.Option(help="space whose text encoder the peers run; default: that of --space")
    ] = "",
    rounds: Annotated[int, typer.Option(help="interleaved rounds", min=1)] = 5,
    seconds: Annotated[float, typer.Option(help="approximate length of a turn in a round", min=0.1)] = 6.0,
    processes: Annotated[int, typer.Option(help="load processes per server", min=1)] = 1,
    seed: Annotated[int, typer.Option(help="seed of texts, arrivals and users")] = 7,
    stretch: Annotated[
        float, typer.Option(help="factor for the lengths of overload, mixed and soak", min=0.01)
    ] = 1.0,
    store: Annotated[
        Path | None,
        typer.Option(help="recommend: a server's data folder; it is copied", exists=True, file_okay=False),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="recommend: the fashion data set's folder; default: generated titles",
            exists=True,
            file_okay=False,
        ),
    ] = None,
    collection: Annotated[str, typer.Option(help="recommend: the collection's name")] = "bench",
    out: Annotated[
        Path | None, typer.Option(help="folder for report.json, report.md and the plots", file_okay=False)
    ] = None,
) -> None:
    """Measure speed: start a server, and compare it with plain ONNX Runtime on the same texts."""
    try:
        from itemlens_bench.speed import plots
    except ImportError as error:
        raise FailedPrecondition(
            f"`itemlens bench` needs {error.name}: pip install 'itemlens-server[bench]'"
        ) from error
    from itemlens_bench.speed.bench import Bench, Source, TextSpace
    from itemlens_bench.speed.report import Report, about, table
    from itemlens_bench.speed.scenarios import SCENARIOS
    from itemlens_bench.speed.workload import TEXTS, make_texts, read_texts, workload
    from itemlens_server.engine.manifest import Precision

    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    precisions = precision or ["fp32"]
    settings = dict(_name_and_value(given) for given in setting or ())
    ours = TextSpace.find(models, space, precisions)
    theirs = TextSpace.find(models, peer_space, ["fp32"]) if peer_space else ours
    lines = read_texts(texts) if texts else make_texts(TEXTS, seed)
    with (
        tempfile.TemporaryDirectory(prefix="itemlens-bench-") as folder,
        Progress(console=console) as progress,
    ):
        bench = Bench(
            ours, [Precision(p) for p in precisions], settings,
            workload(lines, ours.directory, ours.preprocessing), Path(folder), progress, rounds, seconds, seed,
            processes, stretch, Source(collection, store, data), _peers(theirs.directory, peer or []),
        )  # fmt: skip
        report = Report(_about(bench), ())
        console.print(about(report))
        for scenario in Scenario:
            if scenario is Scenario.ALL or not {scenario, Scenario.ALL} & {*scenarios}:
                continue
            new = SCENARIOS[scenario](bench)
            console.print(*(table(section) for section in new))
            report = replace(report, sections=(*report.sections, *new))
            if out is not None:
                report.write(out)  # after each scenario, because a run takes long
                plots.write(report, out)


def _peers(space: Path, names: list[str]) -> list[Target]:
    from itemlens_bench.speed.peers import peers

    if not names:
        return []
    known = peers(space)
    chosen = [*known] if names == [ALL_PEERS] else names
    for name in chosen:
        if name not in known:
            raise InvalidArgument(f"there is no peer {name!r}; known peers: {', '.join(known)}", "peer")
    return [known[name] for name in chosen]


def _name_and_value(setting: str) -> tuple[str, str]:
    name, equals, value = setting.partition("=")
    if not equals:
        raise InvalidArgument(f"{setting!r} is not a setting; write --set name=value", "set")
    return name.strip(), value.strip()


def _about(bench: Bench) -> dict[str, str]:
    """The conditions of the run, for its report."""
    import onnxruntime

    from itemlens_server.hardware import processor, processor_count

    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{processor_count()} processors, {processor()}",
        "versions": f"Python {platform.python_version()}, ONNX Runtime {onnxruntime.__version__}",
        "space": f"{bench.space.manifest.space_id} ({bench.space.manifest.name})",
        "settings": ", ".join(f"{name}={value}" for name, value in bench.settings.items()) or "defaults",
        "workload": f"{bench.workload.describe()}, seed {bench.seed}",
    }
