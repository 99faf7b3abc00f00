"""The spaces of made-up catalogues, and what a fit makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from itemlens_bench.speed import random_space
from itemlens_bench.speed.sizing.catalogues import VERSION, Catalogue
from itemlens_server.engine import fitted
from itemlens_server.engine.manifest import Channel, EncoderSpec, ExternalVectors, Manifest
from itemlens_server.fusion.head import Head, HeadChannel
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
)


def write(models: Path, of: Catalogue) -> str:
    """Write the space of a catalogue into a model repository. Return its id."""
    models.mkdir(parents=True, exist_ok=True)
    if of.has_texts:
        return random_space.write(models)
    encoders = {
        f"c{n}": EncoderSpec(kind="EXTERNAL", dim=dim, external=ExternalVectors(version=VERSION))
        for n, dim in enumerate(of.dims)
    }
    channels = tuple(Channel(name=name, kind=own.kind, encoder=name) for name, own in encoders.items())
    created = "2026-01-01T00:00:00+00:00"
    manifest = Manifest(space_id="", name="sized", created=created, encoders=encoders, channels=channels)
    manifest = manifest.identified()
    (models / manifest.space_id).mkdir()
    manifest.save(models / manifest.space_id)
    return manifest.space_id


def write_fitted(models: Path, space_id: str, number: int) -> str:
    """Write the space again with weights of everything that events say, as a fit does. Return its id.

    number: of the fit; each chooses another regularisation, so that tables are computed anew
    """
    manifest = Manifest.load(models / space_id)
    dims = {channel.name: manifest.encoders[channel.encoder].dim for channel in manifest.channels}
    head = Head(
        tuple(
            HeadChannel(name, np.zeros(dim, np.float32), None, _predictors(name, dims))
            for name, dim in dims.items()
        ),
        _questions(list(dims)),
        TableRules(regularisation=100.0 * number),
        fitted=True,
    )
    return fitted.write(models, manifest, head, f"sized, fit {number}").space_id


def _predictors(name: str, dims: Mapping[str, int]) -> dict[str, np.ndarray]:
    """Return random predictors of a channel from the others."""
    rng = np.random.default_rng(1)
    return {
        other: rng.normal(size=(dim, dims[name])).astype(np.float32)
        for other, dim in dims.items()
        if other != name
    }


def _questions(channels: list[str]) -> dict[str, QuestionWeights]:
    weights = dict.fromkeys(channels, ChannelWeights(5.0, 0.3, 0.1))
    prior = {
        "POPULARITY.all": ColumnWeights(0.3, 0.1, neutral=1.2),
        "POPULARITY.recent": ColumnWeights(0.2, 0.05, neutral=0.7),
    }
    evidence = {
        "BEHAVIOUR": ColumnWeights(0.8, 0.3, transform=Transform("log", 0.02), neutral=0.3),
        "SEQUENCE": ColumnWeights(1.5, 0.5, transform=Transform("sqrt"), neutral=0.1),
        "ATTRIBUTE": ColumnWeights(0.9, 0.2, 1.4, neutral=0.1),
    }
    decays = {"CHANNEL": 0.9, "BEHAVIOUR": 0.9, "SEQUENCE": 0.6}
    return {
        NEXT: QuestionWeights(weights, {**evidence, **prior}, decays, choices=500),
        ANYONE: QuestionWeights(columns=prior, choices=500),
        SIMILAR: QuestionWeights(weights),
        DISLIKE: QuestionWeights(weights),
    }
