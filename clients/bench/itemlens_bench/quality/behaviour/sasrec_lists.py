"""The neural yardstick of sequences as a `Yardstick`, with the search for its settings.

The search trains on `Split.earlier` and stops each run by NDCG@10 of its questions; what was best is trained again on
all that may be known, for as many epochs. `CHOSEN` is what a search of some 90 runs on a GPU found.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .metrics import Scores, places
from .sasrec import Ids, SASRec, Settings, epochs, score
from .split import Question, Split

SPACE: Mapping[str, Sequence[Any]] = {
    "width": (64, 128, 256),
    "layers": (1, 2, 3),
    "heads": (1, 2, 4),
    "dropout": (0.2, 0.3, 0.4, 0.5, 0.6, 0.7),
    "learning_rate": (3e-4, 5e-4, 1e-3, 2e-3),
    "weight_decay": (0.0, 0.01, 0.1, 0.5, 1.0),
    "smoothing": (0.0, 0.05, 0.1, 0.2),
    "length": (32, 56, 128),
    "norm_first": (False, True),
    "from_end": (False, True),
}
PATIENCE = 12
"""Epochs without a better figure after which a run stops."""
EXPLORED = 0.3
"""The share of the time in which settings are drawn at random; later ones change some of the best so far."""


@dataclass(frozen=True)
class SasRec:
    """SASRec with its settings, trained for a number of epochs on `device`, "cpu" or "cuda"."""

    settings: Settings
    epochs: int
    seed: int = 0
    device: str = "cpu"

    def fit(self, split: Split) -> Scores:
        """See `Yardstick`."""
        training = _training(split, self.settings, self.seed, self.device)
        *_, (model, _) = itertools.islice(training, self.epochs)
        return _scores(model, split, self.device)


CHOSEN = {
    "Beauty": SasRec(
        Settings(
            128, 3, 4, 0.4, learning_rate=2e-3, weight_decay=1.0, smoothing=0.1, length=56, from_end=False
        ),
        epochs=43,
    ),
    "Toys_and_Games": SasRec(
        Settings(
            256, 2, 4, 0.5, learning_rate=1e-3, weight_decay=1.0, smoothing=0.1, length=56, from_end=False
        ),
        epochs=52,
    ),
    "LastFM": SasRec(
        Settings(256, 2, 4, 0.5, learning_rate=5e-4, weight_decay=0.5, length=128, from_end=False), epochs=62
    ),
}


def search(split: Split, *, seconds: float, device: str = "cpu", most: int = 2000, seed: int = 0) -> SasRec:
    """The settings and the number of epochs with the best NDCG@10 on at most `most` questions of `split.earlier`."""
    tuning, rng = split.earlier.sample(most, seed), random.Random(seed)
    started = time.monotonic()
    found: list[tuple[float, SasRec]] = []
    while not found or time.monotonic() - started < seconds:
        settings = _drawn(rng)
        if found and time.monotonic() - started > EXPLORED * seconds:
            best = sorted(found, key=lambda pair: -pair[0])[:5]
            settings = _changed(rng, rng.choice(best)[1].settings, settings)
        value, epoch = _early_stopped(tuning, settings, device, started + seconds)
        found.append((value, SasRec(settings, epoch, device=device)))
    return max(found, key=lambda pair: pair[0])[1]


def _drawn(rng: random.Random) -> Settings:
    return Settings(**{name: rng.choice(values) for name, values in SPACE.items()})


def _changed(rng: random.Random, best: Settings, drawn: Settings) -> Settings:
    """One to three of the best's settings replaced by those drawn."""
    names = rng.sample(sorted(SPACE), rng.choice((1, 2, 3)))
    return replace(best, **{name: value for name, value in asdict(drawn).items() if name in names})


def _early_stopped(tuning: Split, settings: Settings, device: str, end: float) -> tuple[float, int]:
    """The best NDCG@10 and the number of its epoch; `end` is a time of the monotonic clock."""
    best, best_epoch = -1.0, 0
    for model, epoch in _training(tuning, settings, 0, device):
        value = float(places(_scores(model, tuning, device), tuning).ndcg(10).mean())
        if value > best:
            best, best_epoch = value, epoch
        if epoch - best_epoch >= PATIENCE or time.monotonic() > end:
            break
    return best, best_epoch


def _training(split: Split, settings: Settings, seed: int, device: str) -> Iterator[tuple[SASRec, int]]:
    """The model after each epoch, with the number of epochs."""
    torch.manual_seed(seed)
    model = SASRec(len(split.items), settings).to(device)
    sequences = [items for items in split.events.sequences(len(split.users)) if len(items) > 1]
    for done in epochs(model, sequences, seed=seed, device=device):
        yield model, done


def _scores(model: SASRec, split: Split, device: str) -> Scores:
    def scores(questions: Sequence[Question]) -> NDArray[np.float32]:
        return score(model, [_history(split, question) for question in questions], device)

    return scores


def _history(split: Split, question: Question) -> Ids:
    return np.concatenate([split.events.of(question.user).item, question.since.item])
