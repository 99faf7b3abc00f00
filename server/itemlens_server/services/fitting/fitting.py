"""Fits the head of a space to a collection, and decides which weights to take."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from itemlens_server.engine.repository import Space
from itemlens_server.errors import FailedPrecondition
from itemlens_server.fusion.default_weights import ONLY_POPULARITY, restated
from itemlens_server.fusion.head import Head
from itemlens_server.fusion.weights import ANYONE, DISLIKE, NEXT, SIMILAR, ChannelWeights, QuestionWeights
from itemlens_server.services.encoding import ContentEncoder
from itemlens_server.services.fitting import questions
from itemlens_server.services.fitting.behaviour import fit_behaviour
from itemlens_server.services.fitting.blend_answers import Searches
from itemlens_server.services.fitting.content import fit_content
from itemlens_server.services.fitting.questions import Questions
from itemlens_server.services.fitting.reading import FitData, read
from itemlens_server.services.fitting.report import FitReport, figures, search_lines
from itemlens_server.storage.reader import Reader

SEED = 7
SILENT = ChannelWeights(0.0, 0.0, 0.0)

Progress = Callable[[str], None]


def fit(
    space: Space,
    reader: Reader,
    collection: int,
    encoder: ContentEncoder,
    type_weights: Mapping[int, float],
    progress: Progress = lambda _: None,
    seed: int = SEED,
) -> tuple[Head, FitReport]:
    """Return the fitted head of `collection`, and the report. type_weights: weight of each type of event.

    Questions whose fitted weights are not better than the defaults have the defaults.

    Raises:
        FailedPrecondition: the collection has no items.
    """
    progress("reading vectors, attributes and events")
    data = read(space, reader, collection, type_weights)
    if not data.items:
        raise FailedPrecondition("the collection is empty; index items first")
    progress("encoding questions")
    asked = questions.draw(space, data, reader, collection, encoder, seed)
    nats = {name: own.modality.search_nats for name, own in space.encoders.items()}
    channel = next(iter(data.used), None)
    searches = None
    if channel is not None:
        searches = Searches(
            channel, partial(questions.pieces, space, data, reader, collection, encoder, channel)
        )
    return fit_data(data, nats, asked, space.head, progress, searches)


def fit_data(
    data: FitData,
    search_nats: Mapping[str, float],
    asked: Questions | None,
    now: Head,
    progress: Progress = lambda _: None,
    searches: Searches | None = None,
) -> tuple[Head, FitReport]:
    """Return the same from data that was read.

    search_nats: of each channel's modality. now: the head that serves. searches: to ask users' choices by, too.
    """
    content = fit_content(data, search_nats, asked, now, progress)
    head = content.head()
    behaviour = fit_behaviour(data, head, now, progress, searches)
    taken = {verdict.question for verdict in behaviour.verdicts if verdict.taken}
    fitted = dict(head.questions)
    if NEXT in taken:
        fitted |= {question: behaviour.questions[question] for question in (NEXT, ANYONE, DISLIKE)}
        fitted[SIMILAR] = restated(behaviour.questions[NEXT])
    if SIMILAR in taken:
        fitted[SIMILAR] = behaviour.questions[SIMILAR]
    rules = behaviour.rules if taken & {NEXT, SIMILAR} else ONLY_POPULARITY
    if rules is not None and NEXT not in taken:
        # ANYONE has its default, whose trend has a length of its own.
        rules = replace(rules, trend_days=ONLY_POPULARITY.trend_days)
    answers = [*content.answers, *behaviour.answers]
    report = FitReport(
        (*content.steps, *behaviour.steps),
        tuple(figure for some in answers for figure in figures(some)),
        (*behaviour.weights, *search_lines(content.fits)),
        (*content.verdicts, *behaviour.verdicts),
    )
    complete = {question: _complete(weights, head.names) for question, weights in fitted.items()}
    return Head(head.channels, complete, rules, fitted=True), report


def _complete(weights: QuestionWeights, channels: Sequence[str]) -> QuestionWeights:
    """Return the same where channels without content during the fit say nothing."""
    return replace(weights, channels={name: weights.channels.get(name, SILENT) for name in channels})
