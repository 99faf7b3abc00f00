"""A score as a sum over the places of the item's contents: words, picture cells.

With d the user's side of a channel, e_p = P (v_p - mu) / n_p the item's contents there, N the length of their sum and
v_p the mean of the T_p rows of its z:

    dot(d, e) = sum_p sum_t  dot(P^T d, z_pt - mu) / (T_p n_p N)

so each place has a part of its own, computed on its own. An imputed block r W^T e / N' is linear in the
places that predict it and goes the same way, with d replaced by r W d / N'.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from itemlens_server.engine.repository import Space
from itemlens_server.fusion.head import ChannelTerms
from itemlens_server.fusion.rows import Array
from itemlens_server.services.encoding import EncodedContent
from itemlens_server.services.parts import Directions, Part


@dataclass(frozen=True)
class ItemInput:
    """One content of the item that is explained, encoded with its z."""

    channel: str
    encoded: EncodedContent


@dataclass(frozen=True)
class ChannelSum:
    """A channel's whole sum: values float64 [sources, places], with its margin over the sources in `places`."""

    channel: str
    imputed: bool
    sources: tuple[str, ...]
    places: tuple[Part, ...]
    values: np.ndarray[tuple[int, int], np.dtype[np.float64]]


def channel_sums(
    space: Space, sides: dict[str, Directions], h: Array, inputs: Sequence[ItemInput]
) -> list[ChannelSum]:
    """The whole sum of each channel that the user's side has and the item has or predicts."""
    head = space.head
    own = {name: [i for i in inputs if i.channel == name] for name in head.names}
    sums = []
    for name, side in sides.items():
        channel = head.channel(name)
        d = side.vectors.astype(np.float64)
        if head.present(h, name):
            places, values = _places(name, channel, d, own[name], imputed=False)
        elif head.imputed(h, name):
            there = [s for s in channel.predictors if own[s]]
            guess = sum(
                (_mean_unit(head.channel(s), own[s]) @ channel.predictors[s] for s in there),
                np.zeros(channel.width),
            )
            length = max(float(np.linalg.norm(guess)), 1e-12)
            found = [
                _places(
                    name, head.channel(s),
                    channel.imputed_scale / length * (d @ channel.predictors[s].T.astype(np.float64)),
                    own[s], imputed=True,
                )
                for s in there
            ]  # fmt: skip
            places = [p for ps, _ in found for p in ps]
            values = np.concatenate([v for _, v in found], axis=1)
        else:
            continue
        margin = values.sum(0)
        labelled = tuple(replace(p, value=float(v)) for p, v in zip(places, margin, strict=True))
        sums.append(ChannelSum(name, bool(head.imputed(h, name)), side.names, labelled, values))
    return sums


def _mean_unit(channel: ChannelTerms, inputs: Sequence[ItemInput]) -> np.ndarray:
    total = _units(channel, inputs).sum(0)
    return np.asarray(total / max(float(np.linalg.norm(total)), 1e-12))


def _units(channel: ChannelTerms, inputs: Sequence[ItemInput]) -> np.ndarray:
    e = np.stack([_project(channel, i.encoded.v) for i in inputs])
    return np.asarray(e / np.maximum(np.linalg.norm(e, axis=1, keepdims=True), 1e-12))


def _project(channel: ChannelTerms, v: Array) -> np.ndarray:
    centred = v.astype(np.float64) - channel.mean
    return (
        centred if channel.projection is None else np.asarray(centred @ channel.projection.astype(np.float64))
    )


def _places(
    name: str,
    channel: ChannelTerms,
    d: np.ndarray,
    inputs: Sequence[ItemInput],
    *,
    imputed: bool,
) -> tuple[list[Part], np.ndarray]:
    """Places of all inputs of `channel`, and values float64 [sources, places]."""
    g = d if channel.projection is None else d @ channel.projection.T.astype(np.float64)
    length = max(float(np.linalg.norm(_units(channel, inputs).sum(0))), 1e-12)
    places: list[Part] = []
    values = []
    for number, item_input in enumerate(inputs):
        encoded = item_input.encoded
        assert encoded.z is not None and encoded.layout is not None
        z = encoded.z.astype(np.float64)
        norm = max(float(np.linalg.norm(_project(channel, encoded.v))), 1e-12)
        own, parts = encoded.layout.places(g @ (z - channel.mean).T / (len(z) * norm * length))
        places += [
            Part(
                p.kind, 0.0, name, imputed, source_channel=item_input.channel, picture_index=number,
                text=p.text, start=p.start, end=p.end, row=p.row, column=p.column,
            )
            for p in own
        ]  # fmt: skip
        values.append(parts)
    return places, np.concatenate(values, axis=1)
