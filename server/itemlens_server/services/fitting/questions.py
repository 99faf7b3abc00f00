"""Questions made from the items of a collection: pieces of their texts and pictures, encoded as queries."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from itemlens_server.engine.call_context import CallContext
from itemlens_server.engine.repository import Space
from itemlens_server.fusion.head import Array
from itemlens_server.fusion.held_out import Trial, draw_targets, trials
from itemlens_server.fusion.rows import Ints
from itemlens_server.services.encoding import Content, ContentEncoder, EncodedContent, stored_content
from itemlens_server.services.fitting.reading import FitData
from itemlens_server.storage.reader import Reader
from itemlens_server.storage.records import StoredItem

CHECKED = 3
"""One of this many items asked for is kept back: weights are compared by the questions about it."""
MINIMUM_ITEMS = 8


@dataclass(frozen=True)
class Questions:
    """Questions about items, as trials. fitted: those that weights may be fitted to; checked: the others.

    targets: the different items that are asked for, int64.
    """

    fitted: list[Trial]
    checked: list[Trial]
    targets: Ints


def draw(
    space: Space, data: FitData, reader: Reader, collection: int, encoder: ContentEncoder, seed: int
) -> Questions | None:
    """Draw and encode questions about items that have every channel in use; None if there are too few such items.

    Items that were deleted or written again since their vectors were read are left out.
    """
    used = data.used
    eligible = np.ones(data.items, bool)
    for channel in used.values():
        eligible &= channel.has(data.items)
    if not used or eligible.sum() < MINIMUM_ITEMS:
        return None
    targets = draw_targets(eligible, seed)
    stored = _stored(space, data, reader, collection, np.unique(targets))
    targets = targets[np.isin(targets, list(stored))]
    if len(np.unique(targets)) < MINIMUM_ITEMS:
        return None
    rng = random.Random(seed)
    queries: dict[str, Array] = {}
    readable = np.ones(len(targets), bool)
    for name in used:
        contents = [_piece(space, name, stored[target], rng) for target in targets.tolist()]
        outcomes = encoder.encode(space, contents, "query", CallContext())
        readable &= [isinstance(outcome, EncodedContent) for outcome in outcomes]
        nothing = np.zeros(used[name].vectors.shape[1], np.float32)
        queries[name] = np.stack([o.v if isinstance(o, EncodedContent) else nothing for o in outcomes])
    return of_pieces(data, targets[readable], {n: q[readable] for n, q in queries.items()}, seed)


def pieces(
    space: Space,
    data: FitData,
    reader: Reader,
    collection: int,
    encoder: ContentEncoder,
    channel: str,
    item_ids: Sequence[str],
    seed: int = 0,
) -> list[Array | None]:
    """Return raw query vectors of pieces of items' contents in a channel, float32 [dim] each; None without content."""
    numbers = {item_id: n for n, item_id in enumerate(data.item_ids)}
    has = data.used[channel].has(data.items)
    wanted = np.asarray([numbers[i] for i in item_ids if i in numbers and has[numbers[i]]], np.int64)
    stored = _stored(space, data, reader, collection, np.unique(wanted))
    rng = random.Random(seed)
    there = [n for n, i in enumerate(item_ids) if numbers.get(i) in stored]
    contents = [_piece(space, channel, stored[numbers[item_ids[n]]], rng) for n in there]
    outcomes = encoder.encode(space, contents, "query", CallContext())
    found: list[Array | None] = [None] * len(item_ids)
    for n, outcome in zip(there, outcomes, strict=True):
        found[n] = outcome.v if isinstance(outcome, EncodedContent) else None
    return found


def of_pieces(data: FitData, targets: Ints, queries: Mapping[str, Array], seed: int) -> Questions | None:
    """Return the questions about `targets`, int64 [questions]. queries: raw, by channel, float32 [questions, dim]."""
    if len(np.unique(targets)) < MINIMUM_ITEMS:
        return None
    whole = trials(data.used, data.items, targets, queries, seed)
    checked = np.random.default_rng(seed).permutation(np.unique(targets))[::CHECKED]
    return Questions(_part(whole, checked, False), _part(whole, checked, True), np.unique(targets))


def _part(whole: Sequence[Trial], checked: Ints, wanted: bool) -> list[Trial]:
    parts = []
    for trial in whole:
        kept = np.isin(trial.numbers[trial.targets], checked) == wanted
        queries = {name: q[kept] for name, q in trial.queries.items()}
        parts.append(replace(trial, queries=queries, targets=trial.targets[kept]))
    return [trial for trial in parts if len(trial.targets)]


def _stored(
    space: Space, data: FitData, reader: Reader, collection: int, targets: Ints
) -> dict[int, StoredItem]:
    ids = {data.item_ids[target]: target for target in targets.tolist()}
    items = reader.items(collection, list(ids), space.encoder_digests, data=True)
    return {ids[i]: item for i, item in items.items() if item.label == data.labels[ids[i]]}


def _piece(space: Space, channel: str, item: StoredItem, rng: random.Random) -> Content:
    stored = next(i for i in item.inputs if i.channel == channel)
    content = stored_content(space, item, stored)
    return replace(content, value=space.encoders[channel].modality.sample_query(rng, content.value))
