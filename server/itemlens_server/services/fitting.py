"""`itemlens fit`: fit the head of a space to a collection's stored vectors and events.

Every choice is made on held-out items or events. Parts without a gain are left out. The report lists the choices and
their gains.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from itemlens_server.engine.call_context import CallContext
from itemlens_server.engine.modalities import MODALITIES
from itemlens_server.engine.repository import Space
from itemlens_server.errors import FailedPrecondition
from itemlens_server.fusion import fit as closed
from itemlens_server.fusion import select
from itemlens_server.fusion.fit import ChannelData
from itemlens_server.fusion.head import (
    DISLIKE,
    HISTORY,
    Array,
    ChannelWeights,
    Head,
    HeadChannel,
    QuestionWeights,
    search_question,
    unit,
)
from itemlens_server.fusion.history import HistoryRules
from itemlens_server.services.behaviour_fitting import ReportLine, fit_behaviour
from itemlens_server.services.encoding import Content, ContentEncoder, EncodedContent, stored_content
from itemlens_server.storage.reader import Reader
from itemlens_server.storage.records import StoredItem

QUERIES = 500
HELD_OUT = 0.2
SCALES = (0.5, 1.0)
MINIMUM_ITEMS = 50
# A predictor must find the right held-out item this many times as often as chance.
MINIMUM_LIFT = 3.0
SEED = 7


@dataclass(frozen=True)
class _Data:
    """All stored vectors of a collection."""

    item_ids: list[str]
    labels: list[int]
    channels: dict[str, ChannelData]


Progress = Callable[[str], None]


def fit(
    space: Space,
    reader: Reader,
    collection: int,
    encoder: ContentEncoder,
    rules: HistoryRules,
    progress: Progress,
    seed: int = SEED,
) -> tuple[Head, list[ReportLine]]:
    """The fitted head of `collection`, and the report.

    Raises:
        FailedPrecondition: the collection has no items.
    """
    progress("reading stored vectors")
    data = _read(space, reader, collection)
    if not data.item_ids:
        raise FailedPrecondition("the collection is empty; index items first")
    fitting = _Fitting(space, data, encoder, progress, seed)
    fitting.projections()
    fitting.predictors()
    fitting.search(reader, collection)
    fitting.history()
    fitting.dislike()
    progress("behaviour")
    head, rows = fit_behaviour(fitting.head(), fitting.blocks(), data.item_ids, reader, collection, rules)
    return head, [*fitting.report, *rows]


def _read(space: Space, reader: Reader, collection: int) -> _Data:
    digests = space.encoder_digests
    item_ids: list[str] = []
    labels: list[int] = []
    vectors: dict[str, list[Array]] = {name: [] for name in digests}
    owners: dict[str, list[int]] = {name: [] for name in digests}
    for item in reader.raw_vectors(collection, digests):
        if not item.whole:  # the server repairs it at its next start
            continue
        for name, vs in item.vectors.items():
            vectors[name] += vs
            owners[name] += [len(item_ids)] * len(vs)
        item_ids.append(item.item_id)
        labels.append(item.label)
    channels = {
        name: ChannelData(
            np.stack(vs) if vs else np.zeros((0, space.encoders[name].spec.dim), np.float32),
            np.asarray(owners[name], np.int64),
        )
        for name, vs in vectors.items()
    }
    return _Data(item_ids, labels, channels)


class _Fitting:
    """The steps of a fit. Each adds to the channels' arrays, the questions' weights and the report."""

    def __init__(
        self, space: Space, data: _Data, encoder: ContentEncoder, progress: Progress, seed: int
    ) -> None:
        self._space, self._data, self._encoder, self._progress = space, data, encoder, progress
        self._random = random.Random(seed)
        self._rng = np.random.default_rng(seed)
        self._n = len(data.item_ids)
        self._held_out = self._rng.random(self._n) < HELD_OUT
        self._channels: dict[str, HeadChannel] = {}
        self._units: dict[str, Array] = {}
        self._has: dict[str, np.ndarray] = {}
        # Predictors fitted without the held-out items, for the choices, by (source, target).
        self._trial: dict[tuple[str, str], Array] = {}
        self._questions: dict[str, QuestionWeights] = {}
        self.report: list[ReportLine] = []

    def head(self) -> Head:
        """The head, as fitted so far."""
        channels = tuple(self._channels[name] for name in self._space.encoders)
        return Head(channels, self._questions, fitted=True)

    def blocks(self) -> dict[str, tuple[Array, np.ndarray]]:
        """e_c and presence of all items, by channel."""
        return {name: (self._units[name], self._has[name]) for name in self._channels}

    def projections(self) -> None:
        """Fit mu and P of every channel."""
        dims = {name: e.spec.dim for name, e in self._space.encoders.items()}
        for name, width in closed.widths(dims).items():
            self._progress(f"principal directions of {name}")
            data = self._data.channels[name]
            channel, kept = closed.project(name, data, self._n, width)
            self._channels[name] = channel
            self._units[name], self._has[name] = closed.item_units(channel, data, self._n)
            what = f"{len(channel.mean)} → {channel.width}"
            self.report.append(
                ReportLine(
                    f"{name}: projection",
                    what,
                    f"{kept:.1%} of the variance kept",
                    f"{len(data.vectors)} vectors",
                )
            )

    def predictors(self) -> None:
        """Fit W of every pair of channels, and keep it if it finds held-out items."""
        for target in self._channels:
            for source in self._channels:
                if source != target:
                    self._progress(f"predicting {target} from {source}")
                    self._predictor(source, target)

    def _predictor(self, source: str, target: str) -> None:
        both = self._has[source] & self._has[target]
        train, test = np.flatnonzero(both & ~self._held_out), np.flatnonzero(both & self._held_out)
        what = f"{target} predicted from {source}"
        if len(train) < closed.MINIMUM_PAIRS:
            self.report.append(
                ReportLine(what, "left out", f"too few items have both ({int(both.sum())})", "")
            )
            return
        test = test[:2000]
        w = closed.predictor(self._units[source][train], self._units[target][train])
        scores = self._units[target][test] @ unit(self._units[source][test] @ w).T
        hit_rate, chance = (
            float(closed.recall(scores, np.arange(len(test)), 10).mean()),
            min(1.0, 10 / len(test)),
        )
        brought = f"R@10 {hit_rate:.3f} among {len(test)} (chance {chance:.3f})"
        if hit_rate < MINIMUM_LIFT * chance:
            self.report.append(ReportLine(what, "left out", brought, f"{len(test)} held-out items"))
            return
        self._trial[source, target] = w
        final = closed.predictor(self._units[source][both], self._units[target][both])
        channel = self._channels[target]
        self._channels[target] = replace(channel, predictors={**channel.predictors, source: final})
        self.report.append(ReportLine(what, "kept", brought, f"{len(test)} held-out items"))

    def search(self, reader: Reader, collection: int) -> None:
        """Fit the weights of searches by text, picture, or both. The queries are pieces of held-out items."""
        if self._n < MINIMUM_ITEMS:
            self.report.append(
                ReportLine(
                    "search weights", "defaults", f"too few items ({self._n}, {MINIMUM_ITEMS} needed)", ""
                )
            )
            return
        targets, queries = self._queries(reader, collection)
        if len(targets) < 20:
            self.report.append(
                ReportLine("search weights", "defaults", "too few held-out items have a text or picture", "")
            )
            return
        for name in self._channels:
            self._scale(name, targets, queries)
        for names in select.search_names(queries):
            self._progress(f"weights of searches by {' and '.join(names)}")
            self._search_question(names, targets, queries)

    def _queries(self, reader: Reader, collection: int) -> tuple[np.ndarray, dict[str, Array]]:
        """Held-out items that have every channel in use, and unit query blocks by channel, float32 [targets, width]."""
        used = [name for name in self._channels if self._has[name].any()]
        whole = self._held_out.copy()
        for name in used:
            whole &= self._has[name]
        targets = self._rng.permutation(np.flatnonzero(whole))[:QUERIES]
        self._progress(f"encoding {len(targets)} held-out queries")
        ids = [self._data.item_ids[t] for t in targets]
        items = reader.items(collection, ids, self._space.encoder_digests, data=True)
        queries: dict[str, Array] = {}
        # Items deleted or written again since their vectors were read are left out.
        labels = [self._data.labels[t] for t in targets]
        kept = [n for n, i in enumerate(ids) if i in items and items[i].label == labels[n]]
        for name in used if kept else ():
            contents = [self._sample_query(name, items[ids[n]]) for n in kept]
            outcomes = self._encoder.encode(self._space, contents, "query", CallContext())
            v = np.stack(
                [
                    o.v if isinstance(o, EncodedContent) else np.zeros_like(self._channels[name].mean)
                    for o in outcomes
                ]
            )
            queries[name] = unit(self._channels[name].project(v))
        return targets[kept], queries

    def _sample_query(self, channel: str, item: StoredItem) -> Content:
        """A held-out query: a piece of the item's content in the channel."""
        stored = next(i for i in item.inputs if i.channel == channel)
        content = stored_content(self._space, item, stored)
        query = self._space.encoders[channel].modality.sample_query(self._random, content.value)
        return replace(content, value=query)

    def _similarities(self, name: str, q: Array, hidden: np.ndarray) -> select.Similarities:
        sources = [s for s, t in self._trial if t == name]
        imputed = None
        if sources:
            total = sum(
                (self._units[s] @ self._trial[s, name] for s in sources), np.zeros_like(self._units[name])
            )
            imputed = q @ unit(total).T
        return select.Similarities(q @ self._units[name].T, imputed, hidden)

    def _hide(self, name: str, targets: np.ndarray) -> np.ndarray:
        """Mask of items to treat as without the channel: those without it, half of the targets, and others up to half
        of all."""
        hidden = ~self._has[name]
        hidden[targets[: len(targets) // 2]] = True
        missing = len(hidden) // 2 - int(hidden.sum())
        if missing > 0:
            others = np.setdiff1d(np.flatnonzero(~hidden), targets)
            hidden[self._rng.permutation(others)[:missing]] = True
        return hidden

    def _scale(self, name: str, targets: np.ndarray, queries: Mapping[str, Array]) -> None:
        """Choose r of an imputed channel: the value with the best result for queries with all channels."""
        if not self._channels[name].predictors or name not in queries:
            return
        others = [n for n in queries if n != name]
        base = sum(
            (queries[n] @ self._units[n].T for n in others), np.zeros((len(targets), self._n), np.float32)
        )
        similarities = self._similarities(name, queries[name], self._hide(name, targets))
        tried = {r: select.choose(base, similarities, targets, r) for r in SCALES}
        best = max(tried, key=lambda r: tried[r].shown + tried[r].hidden)
        self._channels[name] = replace(self._channels[name], imputed_scale=best)

    def _search_question(
        self, names: Sequence[str], targets: np.ndarray, queries: Mapping[str, Array]
    ) -> None:
        chosen: dict[str, ChannelWeights] = {}
        base: Array | None = None
        # The first channel of a pair has weight 1; the others are weighed against it.
        kinds = list(MODALITIES)
        order = sorted(names, key=lambda n: kinds.index(self._space.encoders[n].modality.kind))
        notes = []
        for n, name in enumerate(order):
            similarities = self._similarities(name, queries[name], self._hide(name, targets))
            rest = base
            if n == 0 and len(order) > 1:
                rest = sum(
                    (queries[o] @ self._units[o].T for o in order[1:]), np.zeros_like(similarities.own)
                )
            choice = select.choose(
                rest, similarities, targets, self._channels[name].imputed_scale, 1.0 if n == 0 else None
            )
            chosen[name] = choice.weights
            notes.append(f"{name} there {choice.shown:.3f}, hidden {choice.hidden:.3f}")
            own = choice.weights.weight * similarities.own
            base = own if base is None else base + own
        assert base is not None
        hit_rate = float(closed.recall(base, targets, 10).mean())
        self._questions[search_question(dict.fromkeys(names))] = QuestionWeights(chosen)
        self.report.append(
            ReportLine(
                f"search by {' + '.join(order)}",
                _spoken(chosen),
                f"R@10 {hit_rate:.3f}; with half hidden: {'; '.join(notes)}",
                f"{len(targets)} held-out queries",
            )
        )

    def history(self) -> None:
        """Fit theta of histories, so that items without a channel are neither favoured nor disadvantaged."""
        used = [name for name in self._channels if self._has[name].any()]
        chosen = {}
        for name in used:
            self._progress(f"balance of histories in {name}")
            chosen[name], note = self._balance(name, [o for o in used if o != name])
            self.report.append(ReportLine(f"history: {name}", _spoken({name: chosen[name]}), note, ""))
        self._questions[HISTORY] = QuestionWeights(chosen)

    def _balance(self, name: str, others: Sequence[str]) -> tuple[ChannelWeights, str]:
        if not others or self._n < MINIMUM_ITEMS:
            return ChannelWeights(1.0, 0.0, 0.0), "no other channel to weigh it against"
        lead = others[0]
        anchors = self._rng.permutation(np.flatnonzero(self._has[lead]))[:150]
        hidden = self._hide(name, anchors[:0])
        bases, similarities = [], []
        neighbours = np.argsort(-(self._units[lead][anchors] @ self._units[lead].T), axis=1)[:, :30]
        for length in (1, 10, 30):
            past = neighbours[:, :length]
            base = np.zeros((len(anchors), self._n), np.float32)
            for other in others:
                base += unit(self._units[other][past].sum(1)) @ self._units[other].T
            q = unit((self._units[name][past] * ~hidden[past][..., None]).sum(1))
            similarity = self._similarities(name, q, hidden)
            # The history's items are excluded from the list, as in Recommend.
            np.put_along_axis(base, past, -1e6, axis=1)
            bases.append(base)
            similarities.append(similarity)
        scale, guess = self._channels[name].imputed_scale, similarities[-1].imputed
        neutral = (
            float((scale * np.take_along_axis(guess, neighbours[:, :10], 1)).mean())
            if guess is not None
            else 0.0
        )
        weights, error = select.balance_history(bases, similarities, scale, neutral)
        return (
            weights,
            f"share of items without {name} in the top 10 is within {error:.2f} of their share of all",
        )

    def dislike(self) -> None:
        """Fit theta of dislikes: the mean cosine, so that items unlike the disliked one gain nothing."""
        chosen = {}
        for name, (e, has) in self.blocks().items():
            own = select.mean_cosine(e[has])
            scale = self._channels[name].imputed_scale
            total = sum(
                (self._units[s] @ w for s, w in self._channels[name].predictors.items()), np.zeros_like(e)
            )
            guess = scale * select.mean_cosine(unit(total)) if self._channels[name].predictors else 0.0
            chosen[name] = ChannelWeights(1.0, round(own, 4), round(guess, 4))
        self._questions[DISLIKE] = QuestionWeights(chosen)


def _spoken(chosen: Mapping[str, ChannelWeights]) -> str:
    return ", ".join(
        f"{n}: w {w.weight:g} θ {w.threshold:.2f} θ′ {w.imputed_threshold:.2f}" for n, w in chosen.items()
    )
