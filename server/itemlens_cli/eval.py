"""`itemlens eval`."""

from __future__ import annotations

import json
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

if TYPE_CHECKING:
    from itemlens import Client, Item
    from itemlens_bench.quality.grocery import Grocery
    from itemlens_bench.quality.rows import ReportRow
    from itemlens_datasets.mapping import Dataset

# Photos of grocery as queries, which are not part of the catalogue.
_PHOTOS: dict[str, Any] = {
    "items": {
        "file": "photos.jsonl",
        "id": "{photo_id}",
        "pictures": {"image": {"path": "{image}"}},
        "attributes": {"product": "item_id"},
    }
}


class DataSet(StrEnum):
    """The data sets with measurements."""

    GROCERY = "grocery"
    FASHION = "fashion"
    MOVIES = "ml-100k"
    JOURNEY = "journey"
    JOURNEY_WHOLE = "journey-whole"
    TAFENG = "tafeng"
    BEAUTY = "Beauty"
    TOYS = "Toys_and_Games"
    LASTFM = "LastFM"
    RESAMPLES = "resamples"
    WORDS = "words"


def evaluate(
    dataset: Annotated[DataSet, typer.Argument(help="what to measure on")],
    data: Annotated[
        Path,
        typer.Option(
            help="the folder of the data set's files; words: fashion's; resamples: the one with grocery and fashion",
            exists=True,
            file_okay=False,
        ),
    ],
    target: Annotated[str, typer.Option(help="the running server")] = "localhost:50051",
    models: Annotated[Path, typer.Option(help="the server's model repository, for the fit")] = Path("models"),
    store: Annotated[Path, typer.Option(help="the server's store, for the fit")] = Path("data"),
    precision: Annotated[
        str | None, typer.Option(help="the server's precision, for the fit; default: fp32")
    ] = None,
    seed: Annotated[int, typer.Option(help="seed of queries and intervals")] = 7,
    queries: Annotated[
        int, typer.Option(help="most queries per row; a third of them where lists are compared", min=30)
    ] = 3000,
    skip_fit: Annotated[bool, typer.Option("--skip-fit", help="measure with the existing fit")] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="also write the figures here", dir_okay=False)
    ] = None,
) -> None:
    """Measure a running server on real data, and print baselines from the same data beside each figure.

    Uploads the collections of the data set first if they do not exist, and fits the space to them once.
    """
    from itemlens import Retry
    from itemlens_bench.quality.ask import Asking
    from itemlens_bench.quality.rows import Report
    from itemlens_cli import files
    from itemlens_cli.connection import connected
    from itemlens_cli.fit import fit
    from itemlens_server.errors import FailedPrecondition
    from itemlens_server.hardware import processor

    def fit_one(collection: str) -> None:
        fit(collection, models=models, data=store, name="", precision=precision, target=target)

    console = Console()
    try:
        measure = _measure(dataset, data)
    except (
        FileNotFoundError,
        ImportError,
    ) as error:  # the message says what is missing and where it comes from
        raise FailedPrecondition(str(error)) from error
    with connected(target) as client:
        client.space()  # says at once if no server answers
    # A measurement waits for a server that is busy.
    patient = Retry(attempts=100)
    with connected(target, timeout=600, retry=patient) as client:
        asking = Asking(client, console, retry=patient)
        rows = measure(asking, fit=None if skip_fit else fit_one, seed=seed, queries=queries)
        space = _space(client, dataset)
    report = Report(dataset.value, seed, processor(), space, tuple(rows))
    console.print(report.table())
    if json_file is not None:
        files.write(json_file, json.dumps(report.plain(), indent=1, ensure_ascii=False) + "\n")
    missed = sum(not row.holds for row in rows)
    console.print(f"[bold red]{missed} out of bounds[/]" if missed else "[bold green]all within bounds[/]")
    raise typer.Exit(1 if missed else 0)


def _space(client: Client, dataset: DataSet) -> str:
    """The space of the figures. Resamples are fitted one by one, from the server's default space."""
    if dataset is DataSet.RESAMPLES:
        return f"{client.space().space_id}, fitted to each"
    return client.get_collection(dataset.value.lower()).space_id


def _measure(dataset: DataSet, folder: Path) -> Callable[..., list[ReportRow]]:
    """The function that measures all rows of a data set. Reads the data set's files."""
    from itemlens_bench.quality import fashion, grocery, resamples, words

    match dataset:
        case DataSet.GROCERY:
            return partial(grocery.measure, data=read_grocery(folder))
        case DataSet.FASHION:
            return partial(fashion.measure, data=fashion.Fashion(_read_fashion(folder)))
        case DataSet.WORDS:
            return partial(words.measure, items=_read_fashion(folder))
        case DataSet.RESAMPLES:
            data = read_grocery(folder / "grocery")
            photos = _photos(folder / "grocery")
            return partial(
                resamples.measure,
                products=data.items,
                photos=photos,
                fashion=_read_fashion(folder / "fashion"),
            )
        case _:
            return _behaviour(dataset, folder)


def _behaviour(dataset: DataSet, folder: Path) -> Callable[..., list[ReportRow]]:
    """The measurement of what users take next."""
    from itemlens_bench.quality.behaviour import (
        beyond,
        calibration,
        coverage,
        films,
        journey,
        rejected,
        sequences,
        served,
        tafeng,
        thin_histories,
        two_words,
        unknown_users,
    )

    recall = {"R@10": lambda places: places.recall(10), "R@20": lambda places: places.recall(20)}
    more: list[served.More] = []
    match dataset:
        case DataSet.MOVIES:
            rated = films.read_films(folder)
            splits = {"next film": rated.split}
            more = [
                partial(coverage.measure, films=rated),
                partial(rejected.measure, films=rated),
                partial(unknown_users.measure, split=rated.split),
                partial(thin_histories.measure, split=rated.split),
            ]
        case DataSet.JOURNEY:
            basket = journey.read(folder)
            splits = {"next basket": basket, "products new to the household": basket.new_only()}
            more = [
                partial(two_words.measure, split=basket),
                partial(calibration.measure, split=basket, most=0.12),
                partial(unknown_users.measure, split=basket),
                partial(thin_histories.measure, split=basket),
            ]
        case DataSet.JOURNEY_WHOLE:
            basket = journey.read_whole(folder)
            splits, more = {"next basket": basket}, [partial(beyond.measure, split=basket)]
        case DataSet.TAFENG:
            splits = {"next basket": tafeng.read(folder)}
        case _:
            split = sequences.read(folder, dataset.value)
            splits = {"next item": split}
            recall = {"HR@10": lambda places: places.recall(10), "NDCG@10": lambda places: places.ndcg(10)}
            if dataset is DataSet.LASTFM:
                more = [partial(calibration.measure, split=split, most=0.25)]
    return partial(served.measure, splits=splits, figures=recall, tuned_for=list(recall)[-1], more=more)


def read_grocery(folder: Path) -> Grocery:
    """Grocery from its files."""
    from itemlens_bench.quality.grocery import Grocery

    return Grocery(
        list(_mapping("grocery").read_items(folder)),
        list(_mapping("grocery-photos").read_items(folder)),
        _photos(folder, {"split": "val"}),
    )


def _photos(folder: Path, where: dict[str, str] | None = None) -> list[Item]:
    """Photos of grocery as items of their own; `product` names what each shows."""
    from itemlens_datasets.mapping import Dataset

    items = {**_PHOTOS["items"], "where": where or {}}
    return list(Dataset.model_validate({"items": items}).read_items(folder))


def _read_fashion(folder: Path) -> list[Item]:
    return list(_mapping("fashion").read_items(folder))


def _mapping(name: str) -> Dataset:
    """A bundled mapping of `itemlens index`."""
    from itemlens_datasets.mapping import Dataset, bundled_mapping

    return Dataset.read(bundled_mapping(name))
