"""A score taken apart by channel and by source, from stored vectors alone. Each list adds up to the score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from itemlens_server.contract import PartKind
from itemlens_server.fusion.head import Array, Head
from itemlens_server.fusion.rows import View
from itemlens_server.services.query import Floats, Interest, Source, source_rows


@dataclass(frozen=True)
class Part:
    """One term of a score; see the contract's Part."""

    kind: PartKind
    value: float
    channel: str = ""
    imputed: bool = False
    past_item_id: str = ""
    source_channel: str = ""
    text: str = ""
    start: int = 0
    end: int = 0
    picture_index: int = 0
    row: int = 0
    column: int = 0


@dataclass(frozen=True)
class Directions:
    """The rows of one channel's whole sum: names ("" for the query's own content), and vectors [rows, width]
    whose dot products with the item's block are the rows' shares. In float64: where past items nearly cancel each
    other out, their shares are far larger than the sum."""

    names: tuple[str, ...]
    vectors: Floats


def named_items(view: View, interest: Interest) -> list[str]:
    """Ids of all items that parts of this interest's scores can name."""
    held = [view.item_ids[p] for source in interest.sources for p in source.positions]
    return list(dict.fromkeys([*interest.past, *held]))


def directions(head: Head, view: View, interest: Interest) -> dict[str, Directions]:
    """The user's side by channel, source by source, with weights and norms multiplied in. Rows add up to u's block."""
    names: dict[str, list[str]] = {}
    vectors: dict[str, list[Floats]] = {}
    for source in interest.sources:
        for channel, (ids, rows) in _source_directions(head, view, source).items():
            names.setdefault(channel, []).extend(ids)
            vectors.setdefault(channel, []).append(rows)
    return {c: Directions(tuple(names[c]), np.concatenate(vectors[c])) for c in names}


def _source_directions(head: Head, view: View, source: Source) -> dict[str, tuple[list[str], Floats]]:
    if source.u is not None:
        blocks = {name: source.u[head.block(name)].astype(np.float64) for name in head.names}
        return {name: ([""], source.sign * b[None]) for name, b in blocks.items() if b.any()}
    if source.q:
        return {
            name: ([""], source.sign * source.weights.of(name).weight * q[None].astype(np.float64))
            for name, q in source.q.items()
        }
    ids = [view.item_ids[p] for p in source.positions]
    return {
        name: (ids, source.sign * source.weights.of(name).weight / float(np.linalg.norm(rows.sum(0))) * rows)
        for name, rows in source_rows(head, view, source).items()
    }


def baselines(head: Head, interest: Interest, h: Array) -> list[Part]:
    """What the presence of each channel costs: u's threshold entries times the item's flags."""
    parts = []
    for name in head.names:
        stop = head.block(name).stop
        for flag, imputed in ((stop, False), (stop + 1, True)):
            if h[flag] and interest.u[flag]:
                parts.append(Part(PartKind.BASELINE, float(interest.u[flag] * h[flag]), name, imputed))
    return parts


def behaviour_parts(interest: Interest, item_id: str) -> list[Part]:
    """w_B a_j B_ji of each past item."""
    neighbours = interest.neighbours
    if neighbours is None or not interest.behaviour or item_id not in neighbours.index:
        return []
    column = neighbours.index[item_id]
    parts = []
    for past, a in interest.past.items():
        if past in neighbours.index:
            value = interest.behaviour * a * float(neighbours.entry(neighbours.index[past], column))
            if value:
                parts.append(Part(PartKind.BEHAVIOUR, value, past_item_id=past))
    return parts


def by_channel(head: Head, sides: Mapping[str, Directions], h: Array) -> list[Part]:
    """w_c cos_c of each channel that the item has or that is imputed."""
    return [
        Part(PartKind.CHANNEL, float((side.vectors @ h[head.block(c)]).sum()), c, bool(head.imputed(h, c)))
        for c, side in sides.items()
        if head.present(h, c) or head.imputed(h, c)
    ]


def by_source(head: Head, sides: Mapping[str, Directions], h: Array) -> list[Part]:
    """The share of each past item, and of the query's own content, in each channel."""
    parts = []
    for c, side in sides.items():
        if not (head.present(h, c) or head.imputed(h, c)):
            continue
        imputed = bool(head.imputed(h, c))
        for name, value in zip(side.names, (side.vectors @ h[head.block(c)]).tolist(), strict=True):
            parts.append(Part(PartKind.PAST_ITEM if name else PartKind.QUERY, value, c, imputed, name))
    return parts
