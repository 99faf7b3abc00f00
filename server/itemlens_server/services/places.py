"""A score as a sum over the words and picture cells of the item.

With d the user's side of a channel, e_p = P (v_p - mu) / n_p the item's pictures (or its one text), N the length of
their sum and v_p the mean of T_p parts z_pt:

    dot(d, e) = sum_p sum_t  dot(P^T d, z_pt - mu) / (T_p n_p N)

so each word and cell has a part of its own, computed on its own. A imputed block r W^T e / N' is linear in the
words that predict it and goes the same way, with d replaced by r W d / N'.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from itemlens_server.engine.repository import Space
from itemlens_server.engine.texts import Tokens
from itemlens_server.fusion.head import ChannelTerms
from itemlens_server.fusion.rows import Array
from itemlens_server.services.encoding import EncodedContent
from itemlens_server.services.parts import Directions, Kind, Part


@dataclass(frozen=True)
class ItemInput:
    """One text or picture of the item that is explained, encoded with its parts z."""

    channel: str
    encoded: EncodedContent
    text: str = ""


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
    head = space.terms
    own = {name: [i for i in inputs if i.channel == name] for name in head.names}
    sums = []
    for name, side in sides.items():
        channel = head.channel(name)
        d = side.vectors.astype(np.float64)
        if head.present(h, name):
            places, values = _places(space, name, channel, d, own[name], imputed=False)
        elif head.imputed(h, name):
            there = [s for s in channel.predictors if own[s]]
            guess = sum(
                (_mean_unit(head.channel(s), own[s]) @ channel.predictors[s] for s in there),
                np.zeros(channel.width),
            )
            length = max(float(np.linalg.norm(guess)), 1e-12)
            found = [
                _places(
                    space, name, head.channel(s),
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
    space: Space,
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
    for number, one in enumerate(inputs):
        assert one.encoded.z is not None
        z = one.encoded.z.astype(np.float64)
        norm = max(float(np.linalg.norm(_project(channel, one.encoded.v))), 1e-12)
        parts = g @ (z - channel.mean).T / (len(z) * norm * length)
        if one.encoded.tokens is not None:
            words, parts = _words(one.encoded.tokens, one.text, parts)
            places += [replace(w, channel=name, source_channel=one.channel, imputed=imputed) for w in words]
        else:
            about = space.encoders[one.channel].about.picture
            assert about is not None
            places += [
                Part(Kind.CELL, 0.0, name, imputed, source_channel=one.channel, picture_index=number,
                     row=cell // about.grid_width, column=cell % about.grid_width)
                for cell in range(len(z))
            ]  # fmt: skip
        values.append(parts)
    return places, np.concatenate(values, axis=1)


def _words(tokens: Tokens, text: str, values: np.ndarray) -> tuple[list[Part], np.ndarray]:
    """Word pieces joined to words: places, and values float64 [sources, words]. Special tokens are one place."""
    groups: list[tuple[int, int, list[int]]] = []
    special: list[int] = []
    for n, (start, end) in enumerate(tokens.offsets):
        if tokens.special[n] or end <= start:
            special.append(n)
        elif groups and _same_word(text, groups[-1][1], start):
            first, _, members = groups[-1]
            groups[-1] = (first, end, [*members, n])
        else:
            groups.append((start, end, [n]))
    parts = [Part(Kind.TOKEN, 0.0, text=text[a:b], start=a, end=b) for a, b, _ in groups]
    columns = [values[:, members].sum(1) for _, _, members in groups]
    if special:
        parts.append(Part(Kind.SPECIAL, 0.0))
        columns.append(values[:, special].sum(1))
    return parts, np.stack(columns, axis=1)


def _same_word(text: str, end: int, start: int) -> bool:
    """Whether a piece that begins at `start` goes on with the word that ended at `end`: never in Chinese."""
    if start != end or start == 0:
        return False
    before, after = text[start - 1], text[start]
    return before.isalnum() and after.isalnum() and not (_ideograph(before) or _ideograph(after))


def _ideograph(character: str) -> bool:
    return "\u3040" <= character <= "\u9fff" or "\uf900" <= character <= "\ufaff" or character >= "\U00020000"
