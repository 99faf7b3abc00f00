"""Fits the weights of the question "next" to the choices of users."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from itemlens_server.fusion.calibration import calibrate
from itemlens_server.fusion.choice import Fitted, fit_choices
from itemlens_server.fusion.choice_columns import DECAYING, DECAYS, CandidateColumns, at
from itemlens_server.fusion.features import (
    ALL,
    COLD,
    HAD,
    IDENTITY,
    NEW,
    WARM,
    Feature,
    choice_sets,
    mean_of,
)
from itemlens_server.fusion.parts import Floats
from itemlens_server.fusion.prior_columns import NEWNESS
from itemlens_server.fusion.prior_columns import OF_USERS as POPULARITY_COLUMNS
from itemlens_server.fusion.query import CHANNEL
from itemlens_server.fusion.regularisation import fit_by_users
from itemlens_server.fusion.rows import Bools, Ints
from itemlens_server.fusion.terms.repeat import COLUMNS as REPEAT_COLUMNS
from itemlens_server.fusion.weights import ChannelWeights, ColumnWeights, QuestionWeights, State, Transform

BENT = ("BEHAVIOUR", "SEQUENCE", "ATTRIBUTE")
"""Terms with a transform, in the order in which it is chosen."""
TRANSFORMS = (
    Transform("log", 0.03),
    Transform("log", 0.003),
    Transform("log", 0.01),
    Transform("log", 0.1),
    Transform("sqrt"),
    IDENTITY,
)
SHAPE_CHOICES = 400
"""Choices that are enough for `fit_shape`."""
JUDGING_USERS = 0.2
"""Share of the users whose choices judge the fit, and take no part in it."""


@dataclass(frozen=True)
class EventFit:
    """Fitted weights of "next", with the features that they belong to."""

    features: tuple[Feature, ...]
    fitted: Fitted
    weights: QuestionWeights


def fit_events(data: CandidateColumns, shape: Shape, held_out: Bools) -> EventFit:
    """Return the weights with the largest likelihood of the choices in `data`, all terms at once.

    shape: the transforms and decays. held_out: the choices to leave out, bool [choices].
    """
    features = shape.neutral_of(data).features()
    sets = choice_sets(features, data)
    signs = [feature.name.startswith("CHANNEL") for feature in features]
    fitted = fit_by_users(sets.take(~held_out), data.users[~held_out], signs)
    return EventFit(
        tuple(features),
        fitted,
        replace(
            weights_of(features, fitted.weights.tolist(), shape.decays, len(data)),
            calibration=calibrate(sets, fitted.weights),
        ),
    )


def fit_shape(
    data: CandidateColumns, channels: Sequence[str], progress: Callable[[str], None] = lambda _: None
) -> Shape:
    """Return the transforms and decays that explain the choices in `data` best, chosen term by term."""
    shape = Shape(channels, dict.fromkeys(BENT, TRANSFORMS[0]), dict.fromkeys(DECAYING, DECAYS[0]))
    shape, start = shape.neutral_of(data), None
    for term in (*BENT, CHANNEL):
        progress(f"transform and decay of {term}")
        for options_of in (_transforms, _decays):
            fits: list[Fitted] = []
            options = options_of(shape, term)
            if len(options) == 1:
                continue
            for option in options:
                fits.append(_fit(option, data, fits[-1].weights if fits else start))
            best = min(range(len(fits)), key=lambda n: (round(fits[n].nll, 6), n))
            shape, start = options[best].neutral_of(data), fits[best].weights
    return shape


def weights_of(
    features: Sequence[Feature], values: Sequence[float], decays: Mapping[str, float], choices: int
) -> QuestionWeights:
    """Return the weights of a question from those of its features, fitted to a number of choices."""
    columns: dict[str, ColumnWeights] = {}
    channels: dict[str, ChannelWeights] = {}
    for feature, value in zip(features, values, strict=True):
        kind, _, name = feature.name.partition(".")
        if kind == "CHANNEL":
            old = channels.get(name, ChannelWeights(0.0, feature.neutral, 0.0, 0.0))
            channels[name] = (
                replace(old, cold=value) if feature.states == COLD else replace(old, weight=value)
            )
        else:
            old_column = columns.get(feature.name, ColumnWeights())
            changed = {state.name.lower(): value for state in feature.states}
            columns[feature.name] = replace(
                old_column, transform=feature.transform, neutral=feature.neutral, **changed
            )
    return QuestionWeights(channels, columns, dict(decays), choices)


@dataclass(frozen=True)
class Shape:
    """The transforms and decays of a fit, and the neutral points that follow from them."""

    channels: Sequence[str]
    transforms: Mapping[str, Transform]
    decays: Mapping[str, float]
    neutrals: Mapping[str, float] = field(default_factory=dict)

    def features(self) -> list[Feature]:
        """Return the features."""
        features = []
        for term in BENT:
            source, transform = at(term, self.decays[term]), self.transforms[term]
            states_of: tuple[tuple[State, ...], ...] = (NEW, HAD, COLD) if term == "ATTRIBUTE" else (NEW, HAD)
            for states in states_of:
                features.append(
                    Feature(term, source, states, transform, neutral=self.neutrals.get(term, 0.0))
                )
        features += [Feature(name, name, HAD) for name in REPEAT_COLUMNS]
        features += [
            Feature(name, name, states, neutral=self.neutrals.get(name, 0.0))
            for name in POPULARITY_COLUMNS
            for states in (NEW, HAD)
        ]
        features.append(Feature(NEWNESS, NEWNESS, COLD))
        decay = self.decays["CHANNEL"]
        for channel in self.channels:
            for states in (WARM, COLD):
                name = f"CHANNEL.{channel}"
                features.append(
                    Feature(
                        name, at(name, decay), states, less=at(f"PRESENT.{channel}", decay),
                        neutral=self.neutrals.get(name, 0.0),
                    )
                )  # fmt: skip
            features += [
                Feature(name, at(name, decay), ALL) for name in (f"PRESENT.{channel}", f"IMPUTED.{channel}")
            ]
        return features

    def neutral_of(self, data: CandidateColumns) -> Shape:
        """Return the same with the neutral points of these data."""
        neutrals = {}
        for feature in self.features():
            if feature.name in (*BENT, *POPULARITY_COLUMNS) or feature.name.startswith("CHANNEL"):
                neutrals[feature.name] = mean_of(feature, data)
        return replace(self, neutrals=neutrals)


def _transforms(shape: Shape, term: str) -> list[Shape]:
    """Return the shape with each transform of a term; cosines are not bent."""
    bent = TRANSFORMS if term in BENT else ()
    return [replace(shape, transforms={**shape.transforms, term: g}) for g in bent] or [shape]


def _decays(shape: Shape, term: str) -> list[Shape]:
    """Return the shape with each decay of a term."""
    tried = DECAYS if term != CHANNEL or shape.channels else ()
    return [replace(shape, decays={**shape.decays, term: decay}) for decay in tried] or [shape]


def _fit(shape: Shape, data: CandidateColumns, start: Floats | None) -> Fitted:
    """Fit the weights of a shape. All shapes have as many weights, so no choices have to be held out."""
    return fit_choices(choice_sets(shape.features(), data), 1.0, start=start)


def held_out_choices(users: Ints) -> Bools:
    """Return which choices to hold out, bool [choices]: those of a random fifth of the users, int64 [choices]."""
    different = np.unique(users)
    chosen = np.random.default_rng(1).permutation(different)[: round(JUDGING_USERS * len(different))]
    return np.isin(users, chosen)
