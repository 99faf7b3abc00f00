"""The yardsticks of a data set as a table: `python -m itemlens_bench.quality.behaviour journey --data FOLDER`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from ..rows import Floats, ReportRow, mean
from . import films, journey, sequences, tafeng
from .compare import Measured, measure
from .metrics import Places, places
from .split import Split


class Device(StrEnum):
    """Where torch trains."""

    CPU = "cpu"
    CUDA = "cuda"


class DataSet(StrEnum):
    """The questions with yardsticks; those of `journey-new` are about products new to the household."""

    JOURNEY = "journey"
    JOURNEY_NEW = "journey-new"
    TAFENG = "tafeng"
    BEAUTY = "Beauty"
    TOYS = "Toys_and_Games"
    LASTFM = "LastFM"
    FILMS = "ml-100k"


FIGURES: Mapping[str, Callable[[Places], Floats]] = {
    "R@10": lambda places: places.recall(10),
    "R@20": lambda places: places.recall(20),
    "NDCG@10": lambda places: places.ndcg(10),
}
"""Of one answer, recall is the hit rate."""


def read(dataset: DataSet, folder: Path) -> Split:
    """The data set from its files."""
    match dataset:
        case DataSet.JOURNEY:
            return journey.read(folder)
        case DataSet.JOURNEY_NEW:
            return journey.read(folder).new_only()
        case DataSet.TAFENG:
            return tafeng.read(folder)
        case DataSet.FILMS:
            return films.read(folder)
    return sequences.read(folder, dataset.value)


def main(
    dataset: DataSet,
    data: Annotated[Path, typer.Option(help="the folder of the data set's files", file_okay=False)],
    arrays: Annotated[
        Path | None,
        typer.Option(help="also write the figures of every question here, as .npz", dir_okay=False),
    ] = None,
    tuning_questions: Annotated[int, typer.Option(help="most questions to tune on", min=1)] = 2000,
    seed: Annotated[int, typer.Option(help="seed of the questions to tune on and of intervals")] = 7,
    sasrec: Annotated[
        Device | None, typer.Option(help="also train SASRec here, with the settings found for the data set")
    ] = None,
    search_seconds: Annotated[
        float, typer.Option(help="look for SASRec's settings anew for this long (0: use those found)", min=0)
    ] = 0.0,
) -> None:
    """Tune and measure all yardsticks of a data set, without a server."""
    console, split = Console(width=160), read(dataset, data)
    users = [split.users[question.user] for question in split.questions]
    tuned_for = FIGURES["NDCG@10" if dataset in sequences.NAMES else "R@20"]
    table = Table("yardstick", *FIGURES, "parameters", title=f"{dataset}: {len(users):,} questions")
    saved: dict[str, Floats] = {}
    found = measure(split, tuned_for, most=tuning_questions, seed=seed)
    if sasrec is not None:
        found = chain(found, _sasrec(dataset, split, sasrec, search_seconds, tuning_questions))
    for measured in found:
        figures = {name: figure(measured.places) for name, figure in FIGURES.items()}
        cells = [_cell(mean(name, values, seed, groups=users)) for name, values in figures.items()]
        console.log(measured.name, *cells, str(measured.yardstick))
        table.add_row(measured.name, *cells, str(measured.yardstick))
        saved |= {f"{measured.name} {name}": values for name, values in figures.items()}
        if arrays is not None:
            np.savez_compressed(arrays, allow_pickle=False, users=np.asarray(users), **saved)
    console.print(table)


def _sasrec(
    dataset: DataSet, split: Split, device: Device, search_seconds: float, most: int
) -> Iterator[Measured]:
    from .sasrec_lists import CHOSEN, search

    if search_seconds:
        yardstick = search(split, seconds=search_seconds, device=device, most=most)
    elif dataset in CHOSEN:
        yardstick = replace(CHOSEN[dataset], device=device)
    else:
        raise typer.BadParameter(f"no settings of SASRec are known for {dataset}: give --search-seconds")
    yield Measured("SASRec", yardstick, places(yardstick.fit(split), split))


def _cell(row: ReportRow) -> str:
    assert row.interval is not None
    return f"{row.figure:.4f} ({row.interval[0]:.4f} to {row.interval[1]:.4f})"


if __name__ == "__main__":
    typer.run(main)
