"""Random fusion heads."""

from __future__ import annotations

import numpy as np

from itemlens_server.fusion.head import (
    HISTORY,
    ChannelWeights,
    Head,
    HeadChannel,
    QuestionWeights,
    search_question,
)


def random_weights(rng: np.random.Generator, names: list[str]) -> QuestionWeights:
    return QuestionWeights(
        {n: ChannelWeights(*rng.uniform(0, 3, 3).tolist()) for n in names}, float(rng.random())
    )


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
    kinds = {HISTORY: random_weights(rng, names), search_question({names[0]: 0}): random_weights(rng, names)}
    return Head(tuple(channels), kinds, behaviour_lambda=3.5, fitted=True)
