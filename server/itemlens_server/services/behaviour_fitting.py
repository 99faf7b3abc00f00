"""Fit lambda of B, w_B and the content weights of histories, measured by the next items in held-out time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from itemlens_server.fusion import ease
from itemlens_server.fusion.head import HISTORY, Array, Head, QuestionWeights
from itemlens_server.fusion.history import CART, PURCHASE, TAKEN, HistoryRules, Interaction
from itemlens_server.fusion.item_to_item import ItemToItem
from itemlens_server.fusion.terms import TERMS, Behaviour, Histories
from itemlens_server.storage.reader import Reader

MINIMUM_EVENTS = 1000
# The last tenth of the events' time, or the last fifth if a tenth has too few questions.
HELD_OUT_TIMES = (0.1, 0.2)
ENOUGH_QUESTIONS = 200
LEAST_QUESTIONS = 50
MINIMUM_HISTORY = 3
MOST_QUERIES = 3000
LAMBDAS = (30.0, 100.0, 300.0, 1000.0, 3000.0)
# Candidates of w_B, relative to content of weight 1.
BEHAVIOUR_WEIGHTS = (0.0, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
CHANNEL_WEIGHTS = (0.25, 0.5, 1.0, 2.0)
K = 20
WANTED = (CART, PURCHASE)


@dataclass(frozen=True)
class ReportLine:
    """A line of a fit's report: the choice, its gain, and the size of the held-out sample."""

    what: str
    chosen: str
    brought: str
    sample: str


@dataclass(frozen=True)
class _Question:
    """A held-out event: the items taken before it, and the item taken."""

    shares: Mapping[str, float]
    seen: frozenset[str]
    answer: str


def fit_behaviour(
    head: Head,
    blocks: Mapping[str, tuple[Array, np.ndarray]],
    item_ids: list[str],
    reader: Reader,
    collection: int,
    rules: HistoryRules,
) -> tuple[Head, list[ReportLine]]:
    """`head` with lambda, w_B and history weights, if there are enough events."""
    events = [e for e in reader.events(collection) if e[2] in TAKEN]
    if len(events) < MINIMUM_EVENTS:
        note = f"too few events ({len(events)}, {MINIMUM_EVENTS} needed)"
        return head, [ReportLine("behaviour (B)", "left out", note, "")]
    for share in HELD_OUT_TIMES:
        cut = float(np.quantile([e[3] for e in events], 1 - share))
        questions = _questions(events, cut, rules)
        if len(questions) >= ENOUGH_QUESTIONS:
            break
    past = [e for e in events if e[3] < cut]
    sample = f"{len(questions)} held-out events"
    if len(questions) < LEAST_QUESTIONS or not past:
        return head, [
            ReportLine("behaviour (B)", "left out", "too few users return in the held-out time", sample)
        ]
    x, _, known = ease.interactions([e[0] for e in past], [e[1] for e in past])
    columns = {i: n for n, i in enumerate(known)}
    histories = Histories([q.shares for q in questions], known, item_ids, blocks)
    tried = {}
    for regularisation in LAMBDAS:
        table = ItemToItem(known, ease.largest(ease.fit(x, regularisation)), regularisation)
        scores = Behaviour.history_scores(replace(histories, table=table), head)
        tried[regularisation] = (_recall(scores, questions, columns), scores)
    best = max(tried, key=lambda r: tried[r][0])
    recall, scores = tried[best]
    popularity = np.tile(np.asarray(x.sum(0), np.float32), (len(questions), 1))
    rows = [
        ReportLine(
            "behaviour (B)",
            f"EASE, λ {best:g}",
            f"R@{K} {recall:.3f} (popularity {_recall(popularity, questions, columns):.3f})",
            sample,
        )
    ]
    head, more = _channel_weights(head, questions, columns, histories, sample)
    rows += more
    content = _content_scores(histories, head)
    weighed = {w: _recall(content + w * scores, questions, columns) for w in BEHAVIOUR_WEIGHTS}
    top = max(weighed.values())
    # The smallest of the weights within the error, because content explains more than behaviour.
    chosen = min(w for w in weighed if weighed[w] >= top - _error(top, len(questions)) / 2)
    history = head.questions[HISTORY]
    if recall > top + _error(recall, len(questions)):
        # Content lowers recall here. It stays as a tie-break, so that items without events are found.
        channels = {n: replace(w, weight=1e-3 * w.weight) for n, w in history.channels.items()}
        history, kept, spoken = QuestionWeights(channels, 1.0), recall, "behaviour, content as tie-break"
    else:
        history, kept = QuestionWeights(dict(history.channels), float(chosen)), weighed[chosen]
        spoken = f"content 1, behaviour {chosen:g}"
    brought = f"R@{K} {kept:.3f} (content alone {weighed[0.0]:.3f}, behaviour alone {recall:.3f})"
    rows.append(ReportLine("history: content against behaviour", spoken, brought, sample))
    fitted = replace(head, questions={**head.questions, HISTORY: history}, behaviour_lambda=best)
    return fitted, rows


def _channel_weights(
    head: Head,
    questions: list[_Question],
    columns: Mapping[str, int],
    histories: Histories,
    sample: str,
) -> tuple[Head, list[ReportLine]]:
    """Change a channel's weight for histories if content alone then finds clearly more."""
    rows = []
    for name in list(histories.channels)[1:]:
        kind = head.questions[HISTORY]
        tried = {}
        for weight in CHANNEL_WEIGHTS:
            channels = {**kind.channels, name: replace(kind.of(name), weight=weight)}
            trial = replace(
                head, questions={**head.questions, HISTORY: QuestionWeights(channels, kind.behaviour)}
            )
            content = _content_scores(histories, trial)
            tried[weight] = (_recall(content, questions, columns), trial)
        best, kept = max(tried, key=lambda w: tried[w][0]), tried[kind.of(name).weight][0]
        if tried[best][0] > kept + _error(kept, len(questions)):
            head = tried[best][1]
            brought = f"R@{K} of content {tried[best][0]:.3f} (at weight 1: {kept:.3f})"
            rows.append(ReportLine(f"history: weight of {name}", f"w {best:g}", brought, sample))
    return head, rows


def _content_scores(histories: Histories, head: Head) -> Array:
    """The scores of all terms except behaviour, float32 [histories, candidates]."""
    return sum(
        (term.history_scores(histories, head) for term in TERMS if term is not Behaviour),
        np.zeros((len(histories.past), len(histories.candidates)), np.float32),
    )


def _error(recall: float, questions: int) -> float:
    """Standard error of a recall."""
    return float(np.sqrt(max(recall * (1 - recall), 1e-6) / questions))


def _questions(
    events: list[tuple[str, str, int, float, int]], cut: float, rules: HistoryRules
) -> list[_Question]:
    """The items taken after `cut`, each asked for before its user's first event with it.

    A purchase follows a view of the same item: asked at the purchase, the item would already be in the history and
    thus excluded.
    """
    questions = []
    for history in _by_user(events):
        first: dict[str, int] = {}
        wanted: set[str] = set()
        earlier = sum(when < cut for _, when in history)
        for n, (past, when) in enumerate(history):
            start = first.setdefault(past.item_id, n)
            asked = past.type in WANTED and past.item_id not in wanted
            if asked and when >= cut and history[start][1] >= cut and earlier >= MINIMUM_HISTORY:
                wanted.add(past.item_id)
                before = [p for p, _ in history[:start]]
                seen = frozenset(p.item_id for p in before)
                questions.append(_Question(rules.shares(before), seen, past.item_id))
    if len(questions) > MOST_QUERIES:
        rng = np.random.default_rng(0)
        questions = [questions[n] for n in sorted(rng.choice(len(questions), MOST_QUERIES, replace=False))]
    return questions


def _by_user(events: list[tuple[str, str, int, float, int]]) -> Iterator[list[tuple[Interaction, float]]]:
    """Each user's events, ordered by time. `events` are ordered by user."""
    for _, own in groupby(events, key=lambda e: e[0]):
        yield [(Interaction(item_id, kind), when) for _, item_id, kind, when, _ in own]


def _recall(scores: Array, questions: list[_Question], columns: Mapping[str, int]) -> float:
    hits = 0
    for row, q in zip(scores, questions, strict=True):
        if q.answer not in columns:
            continue
        masked = row.copy()
        masked[[columns[i] for i in q.seen if i in columns]] = -np.inf
        hits += int((masked > masked[columns[q.answer]]).sum() < K)
    return hits / len(questions)
