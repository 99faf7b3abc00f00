"""Fits the channels of a head, and the weights of searches by words and pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from itemlens_server.fusion.channel_data import item_units
from itemlens_server.fusion.comparison import Answers
from itemlens_server.fusion.default_weights import default_questions, search_priors, spreads
from itemlens_server.fusion.head import Head, HeadChannel
from itemlens_server.fusion.imputation import Prediction, refitted, with_predictors
from itemlens_server.fusion.projection import MAX_DIMENSION, equal_widths
from itemlens_server.fusion.projection_fit import Tried, fit_projections
from itemlens_server.fusion.search_fit import SearchFit, fit_search, mixes
from itemlens_server.fusion.weights import ChannelWeights, QuestionWeights, search_question
from itemlens_server.services.fitting.questions import Questions
from itemlens_server.services.fitting.reading import FitData
from itemlens_server.services.fitting.report import Step, Verdict, verdict
from itemlens_server.services.fitting.search_answers import compare

UNUSED_WIDTH = 32
"""Width of a channel that no item has yet: what is added later is found, and costs little until the next fit."""

Progress = Callable[[str], None]


@dataclass(frozen=True)
class ContentFit:
    """Channels in the order of the space, with the weights of searches, and the default weights of other questions."""

    channels: dict[str, HeadChannel]
    searches: dict[str, QuestionWeights]
    defaults: dict[str, QuestionWeights]
    fits: list[SearchFit]
    answers: list[Answers]
    verdicts: list[Verdict]
    steps: list[Step]

    def head(self) -> Head:
        """Return the head without events."""
        return Head(tuple(self.channels.values()), {**self.defaults, **self.searches}, fitted=True)


def fit_content(
    data: FitData,
    search_nats: Mapping[str, float],
    questions: Questions | None,
    now: Head,
    progress: Progress = lambda _: None,
) -> ContentFit:
    """Fit everything that content says. search_nats: of each channel's modality. now: the head that serves."""
    progress("directions and widths")
    most = MAX_DIMENSION - (UNUSED_WIDTH + 2) * (len(data.channels) - len(data.used))
    fitted = questions.fitted if questions else []
    channels, tried = fit_projections(data.used, data.items, fitted, most)
    steps = [_projection_step(t) for t in tried]
    steps += [Step(f"width of {name}", f"{len(c.mean)} to {c.width}") for name, c in channels.items()]
    blocks = {name: item_units(c, data.used[name], data.items) for name, c in channels.items()}
    targets = questions.targets if questions else np.zeros(0, np.int64)
    trial, predictions = with_predictors(channels, blocks, targets)
    steps += [_prediction_step(p) for p in predictions]
    priors = search_priors(search_nats, spreads(trial, blocks))
    scales: dict[str, float] = {}
    fits: list[SearchFit] = []
    answers: list[Answers] = []
    if questions and questions.fitted and questions.checked:
        progress("weights of searches")
        scales, fits = fit_search(trial, questions.fitted, priors)
        tested = _scaled(trial, scales)
        progress("comparing searches")
        answers = compare(tested, _weights(fits), _defaults(trial, priors), now, questions)
    else:
        steps.append(Step("search", "defaults", "too few items have all channels"))
    made = _scaled(refitted(trial, blocks), scales)
    spread = spreads(made, blocks)
    verdicts = [verdict(a) for a in answers]
    taken = {v.question for v in verdicts if v.taken}
    searches = _defaults(made, search_priors(search_nats, spread))
    searches |= {question: w for question, w in _weights(fits).items() if question in taken}
    progress("balance of items with and without a channel")
    defaults = default_questions(made, blocks, spread)
    return ContentFit(
        {name: made.get(name) or _unused(name, data) for name in data.channels},
        searches, defaults, fits, answers, verdicts, steps,
    )  # fmt: skip


def _scaled(channels: Mapping[str, HeadChannel], scales: Mapping[str, float]) -> dict[str, HeadChannel]:
    return {n: replace(c, imputed_scale=scales.get(n, c.imputed_scale)) for n, c in channels.items()}


def _weights(fits: Sequence[SearchFit]) -> dict[str, QuestionWeights]:
    return {fit.question: QuestionWeights(dict(fit.channels)) for fit in fits}


def _defaults(
    channels: Mapping[str, HeadChannel], priors: Mapping[str, ChannelWeights]
) -> dict[str, QuestionWeights]:
    return {
        search_question(dict.fromkeys(mix)): QuestionWeights({name: priors[name] for name in mix})
        for mix in mixes(channels)
    }


def _unused(name: str, data: FitData) -> HeadChannel:
    """Return a channel without content: random orthogonal directions, which keep cosines roughly."""
    dim = data.channels[name].vectors.shape[1]
    width = equal_widths({name: dim}, UNUSED_WIDTH + 2)[name]
    directions = np.linalg.qr(np.random.default_rng(0).standard_normal((dim, width)))[0]
    return HeadChannel(name, np.zeros(dim, np.float32), directions.astype(np.float32))


def _projection_step(tried: Tried) -> Step:
    what = f"directions of {tried.channel}" if tried.channel else "widths"
    gain = f"{tried.difference:+.4f} +- {1.96 * tried.error:.4f}"
    return Step(what, tried.what if tried.taken else f"not {tried.what}", f"discounted gain {gain}")


def _prediction_step(p: Prediction) -> Step:
    brought = f"R@10 {p.hits:.3f} (chance {p.chance:.3f})" if p.tested else "too few others have both"
    kept = "kept" if p.kept else "left out"
    return Step(f"{p.target} predicted from {p.source}", kept, brought, f"{p.tested} items")
