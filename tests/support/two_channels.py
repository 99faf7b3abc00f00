"""A made-up catalogue whose items have a text and a picture: the arrays of a head, without encoders."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from itemlens_server.fusion.head import Array, HeadChannel, unit
from itemlens_server.fusion.imputation import predictor

ITEMS, TYPES, WIDTH = 1200, 40, 24
Blocks = dict[str, tuple[Array, np.ndarray]]


def types() -> np.ndarray:
    """The type of each item, one of TYPES."""
    return np.random.default_rng(1).integers(TYPES, size=ITEMS)


def blocks(lack: float = 0.0) -> Blocks:
    """Texts and pictures of the items, partly the same for both; a share lacks the picture."""
    rng, kinds = np.random.default_rng(0), types()
    centres, own = rng.normal(size=(2, TYPES, WIDTH)), rng.normal(size=(ITEMS, WIDTH))
    has = rng.random(ITEMS) >= lack
    made = {}
    for n, name in enumerate(("text", "image")):
        e = unit((centres[n][kinds] + 0.7 * own + 0.7 * rng.normal(size=own.shape)).astype(np.float32))
        there = has if name == "image" else np.ones(ITEMS, bool)
        made[name] = (e * there[:, None], there)
    return made


def channels(of: Blocks, predict: bool) -> dict[str, HeadChannel]:
    """The channels, with or without a prediction of the picture from the text."""
    made = {name: HeadChannel(name, np.zeros(WIDTH, np.float32)) for name in of}
    if predict:
        both = of["text"][1] & of["image"][1]
        w = predictor(of["text"][0][both], of["image"][0][both])
        made["image"] = replace(made["image"], predictors={"text": w}, imputed_scale=0.7)
    return made
