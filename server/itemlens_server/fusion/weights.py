"""The weights of the score, in nats: what each term adds to the log-odds that an item is the one chosen.

    evidence = sum over columns k of  w_k (g_k(S_k) - theta_k)

A column is one number that a term knows of an item, such as the strength with which past items point to it. Items that
the user had, items that are new to the user and items without events have weights of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any, Literal

import numpy as np
from scipy.special import expit

Array = np.ndarray[Any, np.dtype[np.float32]]
Floats = np.ndarray[Any, np.dtype[np.float64]]
States = np.ndarray[Any, np.dtype[np.int8]]

NEXT = "next"
"""What a user takes next, from what they took."""
ANYONE = "anyone"
"""What anybody takes: the prior where nothing is known of the user."""
SIMILAR = "similar"
"""What goes with items that the caller likes."""
DISLIKE = "dislike"
"""What is like an item that the user rejects."""
SEARCH = "search"
"""What fits words and pictures; followed by the channels, as in `search:image+text`."""


class State(IntEnum):
    """What an item is to a user: new to them, taken before, or new to everybody (no events)."""

    NEW = 0
    HAD = 1
    COLD = 2


@dataclass(frozen=True)
class Transform:
    """g: identity, square root, or log(1 + S / scale). The last two take S below 0 as 0."""

    kind: Literal["identity", "sqrt", "log"] = "identity"
    scale: float = 1.0

    def __call__(self, sums: Array) -> Array:
        """Return g(S), float32 of the same shape."""
        if self.kind == "identity":
            return np.asarray(sums, np.float32)
        positive = np.maximum(sums, 0)
        bent = np.sqrt(positive) if self.kind == "sqrt" else np.log1p(positive / self.scale)
        return np.asarray(bent, np.float32)

    @property
    def linear(self) -> bool:
        """Whether parts of g(S) are what their removal takes away."""
        return self.kind == "identity"

    def __str__(self) -> str:
        return f"log(1 + S / {self.scale:g})" if self.kind == "log" else self.kind


@dataclass(frozen=True)
class ColumnWeights:
    """Weights of a column by `State`, nats per unit of g(S); and theta, the mean of g(S) over the catalogue."""

    new: float = 0.0
    had: float = 0.0
    cold: float = 0.0
    transform: Transform = Transform()
    neutral: float = 0.0

    @property
    def by_state(self) -> Array:
        """The weights in the order of `State`, float32 [3]."""
        return np.asarray([self.new, self.had, self.cold], np.float32)

    @property
    def used(self) -> bool:
        """Whether the column counts for any item."""
        return bool(self.new or self.had or self.cold)

    def times(self, factor: float) -> ColumnWeights:
        """Return the weights multiplied by a factor."""
        return replace(self, new=self.new * factor, had=self.had * factor, cold=self.cold * factor)


@dataclass(frozen=True)
class ChannelWeights:
    """Weights of a channel: w, theta and theta' of u (see `head`). `cold`: w of items without events; None: w."""

    weight: float = 1.0
    threshold: float = 0.5
    imputed_threshold: float = 0.4
    cold: float | None = None

    def of(self, cold: bool) -> float:
        """Return w of items with or without events."""
        return self.weight if self.cold is None or not cold else self.cold

    def times(self, factor: float) -> ChannelWeights:
        """Return the weights multiplied by a factor. The thresholds stay."""
        cold = None if self.cold is None else self.cold * factor
        return replace(self, weight=self.weight * factor, cold=cold)


@dataclass(frozen=True)
class Calibration:
    """From the probability of one choice to that of being among what is taken next (see `calibration`)."""

    offset: float
    slope: float

    def __call__(self, probability: Floats) -> Floats:
        """Return the calibrated probabilities, float64 of the same shape."""
        logit = self.offset + self.slope * np.log(np.maximum(probability, 1e-300))
        return np.asarray(expit(logit))


@dataclass(frozen=True)
class QuestionWeights:
    """All weights of one question. `channels` are by channel, `columns` by name, such as "BEHAVIOUR".

    decays:  what an age of one basket more takes away, by kind of term; for items that a user took
    choices: number of users' choices that the weights were fitted to; 0: to none
    calibration: of the probabilities of these choices
    shrinkage: of "next": how strong a history must be to count by half (see `shrinkage`)
    """

    channels: Mapping[str, ChannelWeights] = field(default_factory=dict)
    columns: Mapping[str, ColumnWeights] = field(default_factory=dict)
    decays: Mapping[str, float] = field(default_factory=dict)
    choices: int = 0
    calibration: Calibration | None = None
    shrinkage: float = 0.0

    def of(self, channel: str) -> ChannelWeights:
        """Return the weights of a channel."""
        return self.channels.get(channel, ChannelWeights())

    def column(self, name: str) -> ColumnWeights:
        """Return the weights of a column; 0 if it has none."""
        return self.columns.get(name, ColumnWeights())

    def decay(self, term: str) -> float:
        """Return the decay of a term."""
        return self.decays.get(term, 1.0)

    def scaled(self, columns: Sequence[str], factor: float) -> QuestionWeights:
        """Return the same with the weights of some columns multiplied."""
        changed = {n: w.times(factor) if n in columns else w for n, w in self.columns.items()}
        return replace(self, columns=changed)

    def times(self, factor: float) -> QuestionWeights:
        """Return the same with all weights multiplied."""
        channels = {n: w.times(factor) for n, w in self.channels.items()}
        return replace(self.scaled(tuple(self.columns), factor), channels=channels)

    def to_json(self) -> dict[str, Any]:
        """Return the weights as JSON values."""
        return {
            "channels": {
                n: [w.weight, w.threshold, w.imputed_threshold, w.cold] for n, w in self.channels.items()
            },
            "columns": {
                n: [w.new, w.had, w.cold, w.transform.kind, w.transform.scale, w.neutral]
                for n, w in self.columns.items()
            },
            "decays": dict(self.decays),
            "choices": self.choices,
            "calibration": [self.calibration.offset, self.calibration.slope] if self.calibration else None,
            "shrinkage": self.shrinkage,
        }

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> QuestionWeights:
        """Return the weights of `to_json`."""
        return QuestionWeights(
            {n: ChannelWeights(*numbers) for n, numbers in value["channels"].items()},
            {
                n: ColumnWeights(new, had, cold, Transform(kind, scale), neutral)
                for n, (new, had, cold, kind, scale, neutral) in value["columns"].items()
            },
            dict(value["decays"]),
            value["choices"],
            Calibration(*value["calibration"]) if value.get("calibration") else None,
            value.get("shrinkage", 0.0),
        )


@dataclass(frozen=True)
class TableRules:
    """How tables are computed from events (see `tables`).

    regularisation: lambda of EASE. step: weight of each further basket in SEQUENCE. recent_days: how long a taker
    counts as recent, measured from the last event. trend_days: the same where nothing is known of the user.
    of_pairs: whether there are BEHAVIOUR and SEQUENCE; else popularity alone is counted, at a fraction of the cost
    """

    regularisation: float = 300.0
    step: float = 0.6
    recent_days: float = 56.0
    trend_days: float = 7.0
    of_pairs: bool = True


def search_question(channels: Mapping[str, object]) -> str:
    """Return the question of a query with these channels, such as `search:image+text`."""
    return f"{SEARCH}:{'+'.join(sorted(channels))}"
