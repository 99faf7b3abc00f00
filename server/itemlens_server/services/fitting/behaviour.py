"""Fits what users take: the rules of the tables, and the weights of "next", "anyone", "similar" and "dislike"."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from itemlens_server.fusion.choice_columns import Prober, candidate_columns
from itemlens_server.fusion.choices import HeldOut
from itemlens_server.fusion.comparison import Answers
from itemlens_server.fusion.default_weights import rejecting, restated
from itemlens_server.fusion.dislike_fit import fit_dislike, meetings
from itemlens_server.fusion.event_fit import (
    SHAPE_CHOICES,
    fit_events,
    fit_shape,
    held_out_choices,
)
from itemlens_server.fusion.head import Head
from itemlens_server.fusion.prior_fit import fit_prior
from itemlens_server.fusion.shrinkage_fit import fit_shrinkage
from itemlens_server.fusion.similar_fit import LIKED_DECAY, fit_similar, pairs
from itemlens_server.fusion.table_fit import fit_rules
from itemlens_server.fusion.tables import Tables
from itemlens_server.fusion.weights import ANYONE, DISLIKE, NEXT, SIMILAR, QuestionWeights, TableRules
from itemlens_server.services.fitting import blend_answers
from itemlens_server.services.fitting.blend_answers import Searches
from itemlens_server.services.fitting.choice_answers import (
    Asked,
    compare,
    compare_dislike,
    compare_similar,
    judging,
)
from itemlens_server.services.fitting.reading import FitData
from itemlens_server.services.fitting.report import Step, Verdict, WeightLine, feature_lines, verdict
from itemlens_server.services.fitting.rivals import Rivals

LEAST_CHOICES = 50


@dataclass(frozen=True)
class BehaviourFit:
    """What was fitted to events; nothing if there are too few."""

    questions: dict[str, QuestionWeights] = field(default_factory=dict)
    rules: TableRules | None = None
    weights: list[WeightLine] = field(default_factory=list)
    answers: list[Answers] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)


def fit_behaviour(
    data: FitData,
    head: Head,
    now: Head,
    progress: Callable[[str], None] = lambda _: None,
    searches: Searches | None = None,
) -> BehaviourFit:
    """Fit the questions that events answer.

    head: without events. now: the head that serves. searches: for items, to ask for what users took by.
    """
    held = HeldOut.of(data.log)
    there = set(data.item_ids)
    choices = [c for c in held.choices() if there.intersection(c.chosen)]
    if len(choices) < LEAST_CHOICES:
        few = f"too few baskets of users with earlier events ({len(choices)}, {LEAST_CHOICES} needed)"
        return BehaviourFit(steps=[Step("next", "defaults", few)])
    held_out = held_out_choices(np.asarray([c.user for c in choices]))
    if not held_out.any() or held_out.all():
        return BehaviourFit(steps=[Step("next", "defaults", "too few users have later events")])
    progress("rules of the tables")
    earlier = data.log.take(held.earlier)
    shown = [choice for choice, held_back in zip(choices, held_out, strict=True) if not held_back]
    rules, tried = fit_rules(earlier, shown)
    steps = [
        Step(
            t.rule,
            f"{t.option:g}" if getattr(rules, t.rule) == t.option else f"not {t.option:g}",
            f"{t.value:.4f}",
        )
        for t in tried
    ]
    progress("weights of anyone")
    prior = fit_prior(data.log, shown, data.item_ids)
    rules = replace(rules, trend_days=prior.trend_days)
    steps.append(Step("trend_days", f"{prior.trend_days:g}", f"{prior.recall:.4f}"))
    progress("tables of the earlier events")
    snapshot = data.snapshot(head, Tables.fit(earlier, rules))
    progress("columns of choices")
    step = max(1, len(shown) // SHAPE_CHOICES)
    some = candidate_columns(Prober(snapshot), shown[::step][:SHAPE_CHOICES])
    used = [name for name in data.used if head.channel(name).width]
    shape = fit_shape(some, used, progress)
    steps += [Step(f"transform of {term}", str(g)) for term, g in shape.transforms.items()]
    steps += [Step(f"decay of {term}", f"{decay:g}") for term, decay in shape.decays.items()]
    progress("columns of all choices")
    columns = candidate_columns(Prober(snapshot, {k: (d,) for k, d in shape.decays.items()}), choices)
    progress("weights of all terms")
    fit = fit_events(columns, shape, held_out)
    progress("shrinkage of thin histories")
    shrinkage, likelihoods = fit_shrinkage(snapshot, fit.weights, prior.weights, shown)
    steps += [
        Step("shrinkage", f"{s:g}" if s == shrinkage else f"not {s:g}", f"{nll:.4f}")
        for s, nll in likelihoods.items()
    ]
    fit = replace(fit, weights=replace(fit.weights, shrinkage=shrinkage))
    asked = Asked(earlier, snapshot, choices, held_out, shape, columns, fit, prior.weights)
    progress("comparing with yardsticks")
    rivals = Rivals.of(data, snapshot, earlier, head, now)
    answers = compare(asked, rivals)
    made = BehaviourFit(
        {
            NEXT: fit.weights,
            ANYONE: prior.weights,
            SIMILAR: restated(fit.weights),
            DISLIKE: rejecting(head.weights(DISLIKE), fit.weights),
        },
        rules,
        feature_lines(NEXT, fit.features, fit.fitted),
        [answers],
        [verdict(answers)],
        steps,
    )
    if searches is not None:
        progress("asking users' choices by searches, too")
        fitted = replace(snapshot, head=replace(head, questions={**head.questions, **made.questions}))
        if (blend := blend_answers.compare(fitted, judging(asked), searches)) is not None:
            made.answers.append(blend)
    _fit_dislike(data, asked, held, made, head, progress)
    return _with_similar(data, asked, held, made, head, rivals, progress)


def _fit_dislike(
    data: FitData,
    asked: Asked,
    held: HeldOut,
    made: BehaviourFit,
    head: Head,
    progress: Callable[[str], None],
) -> None:
    """Fit "dislike" to what was rejected later, and put it into `made`; the default stays if there is too little."""
    if not made.verdicts[0].taken:
        return  # what dislikes take away is of one scale with "next"
    found = meetings(held, data.rejected, data.item_ids)
    if len(found) < LEAST_CHOICES:
        few = f"too few users disliked something and later rejected something else ({len(found)})"
        made.steps.append(Step(DISLIKE, "as much as taking would add", few))
        return
    progress("weights of dislike")
    questions = {**head.questions, **made.questions}
    fit = fit_dislike(replace(asked.snapshot, head=replace(head, questions=questions)), found)
    answers = compare_dislike(fit)
    # Alone it is no reason to leave what serves now.
    judged = replace(verdict(answers), than_now="equal")
    made.answers.append(answers)
    made.verdicts.append(judged)
    made.weights.extend(
        WeightLine(DISLIKE, f"factor of {kind}", "", "", factor, fit.errors[kind])
        for kind, factor in fit.factors.items()
    )
    if judged.taken:
        made.questions[DISLIKE] = fit.weights


def _with_similar(
    data: FitData,
    asked: Asked,
    held: HeldOut,
    made: BehaviourFit,
    head: Head,
    rivals: Rivals,
    progress: Callable[[str], None],
) -> BehaviourFit:
    """Return the fit with "similar" fitted to pairs, or restated from "next" where there are too few."""
    there = set(data.item_ids)
    found = [pair for pair in pairs(held) if there.issuperset((*pair.past.item_ids, *pair.chosen))]
    apart = np.unique([c.user for c, held_out in zip(asked.choices, asked.held_out, strict=True) if held_out])
    held_out = np.isin([pair.user for pair in found], apart)
    if len(found) < LEAST_CHOICES or not held_out.any() or held_out.all():
        step = Step("similar", "restated from next", f"too few baskets have several items ({len(found)})")
        made.steps.append(step)
        return made
    progress("weights of similar")
    prober = Prober(asked.snapshot, dict.fromkeys(asked.shape.decays, (LIKED_DECAY,)))
    fit = fit_similar(candidate_columns(prober, found), asked.fit, asked.anyone, held_out)
    answers = compare_similar(asked, rivals, found, held_out, fit.weights, head)
    judged = verdict(answers)
    made.answers.append(answers)
    made.verdicts.append(judged)
    made.weights.extend(feature_lines(SIMILAR, fit.features, fit.fitted))
    if judged.taken:
        made.questions[SIMILAR] = fit.weights
    return made
