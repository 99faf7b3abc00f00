"""Random fusion heads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from itemlens_server.fusion.head import Head, HeadChannel
from itemlens_server.fusion.prior_columns import COLUMNS, NEWNESS
from itemlens_server.fusion.terms import repeat
from itemlens_server.fusion.weights import (
    ANYONE,
    DISLIKE,
    NEXT,
    SIMILAR,
    ChannelWeights,
    ColumnWeights,
    QuestionWeights,
    TableRules,
    Transform,
    search_question,
)

PAST_COLUMNS = ("BEHAVIOUR", "SEQUENCE", "ATTRIBUTE")


def random_weights(rng: np.random.Generator, names: list[str]) -> QuestionWeights:
    """Weights of all channels and columns, of both signs where a fit may give both."""
    presence = [f"{flag}.{n}" for flag in ("PRESENT", "IMPUTED") for n in names]
    columns = {
        n: random_column(rng, n in PAST_COLUMNS) for n in (*PAST_COLUMNS, *COLUMNS, NEWNESS, *presence)
    }
    columns |= {n: ColumnWeights(had=float(rng.normal())) for n in repeat.COLUMNS}
    return QuestionWeights(
        {n: random_channel(rng) for n in names},
        columns,
        {n: float(rng.choice([1.0, 0.9, 0.6])) for n in (*PAST_COLUMNS, "CHANNEL")},
        int(rng.integers(0, 1000)),
    )


def random_channel(rng: np.random.Generator) -> ChannelWeights:
    weight, cold = rng.uniform(0, 10, 2).tolist()
    threshold, imputed = rng.uniform(0, 1, 2).tolist()
    return ChannelWeights(weight, threshold, imputed, cold if rng.random() < 0.5 else None)


def random_column(rng: np.random.Generator, bends: bool) -> ColumnWeights:
    transforms = [Transform(), Transform("sqrt"), Transform("log", float(rng.uniform(0.01, 2)))]
    new, had, cold = rng.normal(size=3).tolist()
    transform = transforms[rng.integers(3)] if bends else Transform()
    return ColumnWeights(new, had, cold, transform, float(rng.uniform(0, 1)))


def random_head(rng: np.random.Generator) -> Head:
    """One to three channels, with or without projection and predictors."""
    dims = {f"c{i}": int(rng.integers(2, 9)) for i in range(rng.integers(1, 4))}
    widths = {n: int(rng.integers(1, d + 1)) if rng.random() < 0.7 else d for n, d in dims.items()}
    channels = []
    for name, dim in dims.items():
        projected = widths[name] < dim
        others = [n for n in dims if n != name and rng.random() < 0.6]
        channels.append(
            HeadChannel(
                name,
                rng.normal(size=dim).astype(np.float32),
                rng.normal(size=(dim, widths[name])).astype(np.float32) if projected else None,
                {n: rng.normal(size=(widths[n], widths[name])).astype(np.float32) for n in others},
                float(rng.uniform(0.2, 1.0)),
            )
        )
    names = list(dims)
    asked = (NEXT, SIMILAR, ANYONE, DISLIKE, search_question({names[0]: 0}))
    return Head(
        tuple(channels),
        {question: replace(random_weights(rng, names), choices=1) for question in asked},
        TableRules(regularisation=3.5),
        fitted=True,
    )
