"""Features of the conditional logit: columns of terms, bent by a transform, for items in one or more states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from itemlens_server.fusion.choice import ChoiceSets
from itemlens_server.fusion.choice_columns import CandidateColumns
from itemlens_server.fusion.head import Array
from itemlens_server.fusion.weights import State, States, Transform

NEW, HAD, COLD = (State.NEW,), (State.HAD,), (State.COLD,)
WARM, ALL = (State.NEW, State.HAD), (State.NEW, State.HAD, State.COLD)
IDENTITY = Transform()


@dataclass(frozen=True)
class Feature:
    """g(S) - theta of items in some states, 0 for the others.

    name: of the column in the weights, such as "BEHAVIOUR". source: of the column in the data, such as
    "BEHAVIOUR@0.9". neutral: theta. less: a column of the items that theta counts for; "": all.
    """

    name: str
    source: str
    states: tuple[State, ...] = ALL
    transform: Transform = IDENTITY
    less: str = ""
    neutral: float = 0.0

    def values(self, columns: Mapping[str, Array], states: States) -> Array:
        """Return the feature, float32 [rows]; 0 if the data do not have the column."""
        if self.source not in columns:
            return np.zeros(len(states), np.float32)
        less = columns[self.less] if self.less else np.float32(1)
        bent = self.transform(columns[self.source]) - np.float32(self.neutral) * less
        return (
            bent
            if len(self.states) == len(ALL)
            else np.where(np.isin(states, self.states), bent, np.float32(0))
        )


def design(features: Sequence[Feature], columns: Mapping[str, Array], states: States) -> Array:
    """Return the features as a matrix, float32 [rows, features]."""
    x = np.empty((len(states), len(features)), np.float32)
    for n, feature in enumerate(features):
        x[:, n] = feature.values(columns, states)
    return x


def choice_sets(features: Sequence[Feature], data: CandidateColumns) -> ChoiceSets:
    """Return the choices with these features."""
    return ChoiceSets(design(features, data.columns, data.states), data.offsets, data.chosen, data.log_q)


def mean_of(feature: Feature, data: CandidateColumns) -> float:
    """Return the mean of g(S) over the catalogue: over the candidates, each weighed by 1 / q."""
    values = (
        feature.transform(data.columns[feature.source]) if feature.source in data.columns else np.zeros(1)
    )
    weights = np.exp(-data.log_q.astype(np.float64)) if feature.source in data.columns else np.ones(1)
    return float(values @ weights / weights.sum())
