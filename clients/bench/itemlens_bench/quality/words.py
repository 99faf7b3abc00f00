"""Words that match: searches of a collection with `lexical` beside the same items without it, and raw BM25.

The items are the titles of fashion, each with a made-up part number as an attribute, and without pictures. Both
collections are in one space, which is fitted to the one with `lexical`, unless it is asked to leave it out.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from itemlens import Item, Lexical, UserSide
from itemlens_server.words import Indexed, WordTable, question_words

from . import kettles
from .ask import Asking, Question, find, ranked_hits
from .collections import Fit, ensure, fit_and_move, unfit
from .queries import draw, text_of, two_words
from .rows import Floats, ReportRow, mean

K = 10
WITH, WITHOUT = "words", "words-without"
LEXICAL = Lexical(attributes=["sku"])
TIMED = 200


def measure(
    asking: Asking, *, items: Sequence[Item], fit: Fit | None, seed: int, queries: int
) -> list[ReportRow]:
    """All rows. Without `fit` the collections stay in the spaces that they are in."""
    titles = [replace(item, pictures=(), attributes={"sku": part_number(item.item_id)}) for item in items]
    asking.client.create_collection(WITH, allow_existing=True, lexical=LEXICAL)
    for name in (WITH, WITHOUT):
        ensure(asking, name, titles)
    rng = random.Random(seed)
    asked = rng.sample([item for item in titles if len(text_of(item).split()) > 1], queries)
    questions = [Question(item.item_id, UserSide(text=two_words(rng, text_of(item)))) for item in asked]
    unfit(asking, (WITH, WITHOUT))
    rows = _rows(asking, "without a fit", titles, questions, seed)
    if fit is not None:
        fit_and_move(asking, WITH, (WITHOUT,), fit)
        rows += _rows(asking, "fitted", titles, questions, seed)
    return [*rows, *kettles.rows(asking)]


def _rows(
    asking: Asking, what: str, titles: Sequence[Item], questions: Sequence[Question], seed: int
) -> list[ReportRow]:
    (ours,), (dense,) = (find(asking, f"{what}, two words", questions, name) for name in (WITH, WITHOUT))
    raw = raw_bm25(titles, questions)
    rows = [
        mean(f"{what}: two words, R@{K}", ours, seed, yardstick=f"without {dense.mean():.3f}"),
        mean("the same minus without", ours - dense, seed, least=0.03),
        mean("the same minus raw BM25", ours - raw, seed, yardstick=f"raw BM25 {raw.mean():.3f}"),
    ]
    sought = questions[: len(questions) // 3]
    for kind, written in WRITTEN.items():
        rng = random.Random(seed)
        sides = [
            Question(q.target, UserSide(text=written(rng, part_number(q.target), q.side.text or "")))
            for q in sought
        ]
        (first,) = find(asking, f"{what}, part number {kind}", sides, WITH, (1,))
        least = None if "typo" in kind else 0.99
        rows.append(mean(f"{what}: part number {kind}, first", first, seed, least=least))
    return [*rows, *_latency(asking, what, questions)]


def part_number(item_id: str) -> str:
    """A part number such as KX-4711-BA, always the same for an item."""
    rng = random.Random(draw(item_id))
    a, b, c, d = rng.choices("ABCDEFGHJKLMNPQRSTUVWXYZ", k=4)
    return f"{a}{b}-{rng.randrange(1000, 10_000)}-{c}{d}"


def _with_typo(rng: random.Random, number: str, _: str) -> str:
    n = rng.choice([n for n, c in enumerate(number) if c.isdigit()])
    return number[:n] + rng.choice([d for d in "0123456789" if d != number[n]]) + number[n + 1 :]


WRITTEN: dict[str, Callable[[random.Random, str, str], str]] = {
    "as it is": lambda rng, number, words: number,
    "in lower case without dashes": lambda rng, number, words: number.lower().replace("-", ""),
    "with spaces for dashes": lambda rng, number, words: number.replace("-", " "),
    "behind two words": lambda rng, number, words: f"{words} {number}",
    "with a typo": _with_typo,
}
"""How a part number is asked for: from a generator, the number, and two words of the title."""


def raw_bm25(titles: Sequence[Item], questions: Sequence[Question]) -> Floats:
    """The hits of BM25 alone over the titles, ties by expectation, [questions]."""
    table = WordTable(Indexed())
    documents = [table.add(dict(item.texts), {}) for item in titles]
    table.publish()
    table.invert()
    view, rows = table.view(), {item.item_id: n for n, item in enumerate(titles)}
    hits = []
    for question in questions:
        sums = view.matches(question_words([question.side.text or ""])).sums[documents]
        hits.append(ranked_hits(sums[None], [rows[question.target]], K))
    return np.concatenate(hits)


def _latency(asking: Asking, what: str, questions: Sequence[Question]) -> list[ReportRow]:
    """The median time of a search, alone, in turns with and without."""
    seconds: dict[str, list[float]] = {WITH: [], WITHOUT: []}
    for question in questions[:TIMED]:
        for name, own in seconds.items():
            began = time.perf_counter()
            asking.client.recommend(question.side, k=K, collection=name)
            own.append(time.perf_counter() - began)
    ours, dense = (1e3 * float(np.median(own)) for own in seconds.values())
    return [ReportRow(f"{what}: p50 of a search, ms", ours, TIMED, yardstick=f"without {dense:.1f}")]
