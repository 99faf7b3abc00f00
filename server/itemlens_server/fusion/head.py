"""The arrays of a fusion head and the arithmetic of scores.

    e_c   = unit(P_c (v_c - mu_c))
    h     = for each channel c   present    [ e_c      , 1, 0 ]
                                 imputed    [ r_c e'_c , 0, 1 ]      e'_c = unit(sum over the present s of W_sc e_s)
                                 absent     zeros
    u     = for each channel c   [ w_c q_c , -w_c theta_c , -w_c theta'_c ]

The evidence of the channels is dot(h, u). All weights are in u, so that a change of weights needs no new index.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from itemlens_server.errors import FailedPrecondition
from itemlens_server.fusion.weights import DISLIKE, SEARCH, ChannelWeights, QuestionWeights, TableRules

Array = np.ndarray[Any, np.dtype[np.float32]]


# Weights before any fit, for raw vectors: a cosine that is .1 higher makes an item three times as likely. Unrelated
# contents have cosines of .1 to .5. What is like a disliked item has more than .6. 12 lies between what fits to the
# bundled catalogue found for past items (1 to 5) and for words and pictures (19 and 48).
UNFITTED = ChannelWeights(12.0, 0.3, 0.3)
UNFITTED_DISLIKE = ChannelWeights(12.0, 0.6, 0.6)


def unit(x: Array) -> Array:
    """Return the rows of `x` scaled to length 1. Rows of zeros stay."""
    norms = np.linalg.norm(x, axis=-1, keepdims=True)
    return np.asarray(x / np.maximum(norms, 1e-12), np.float32)


@dataclass(frozen=True)
class HeadChannel:
    """One channel's arrays of a head.

    mean: mu, float32 [dim]. projection: P, float32 [dim, width], or None for the identity.
    predictors: W by source channel, float32 [source width, width]. imputed_scale: r.
    """

    name: str
    mean: Array
    projection: Array | None = None
    predictors: Mapping[str, Array] = field(default_factory=dict)
    imputed_scale: float = 0.5

    @property
    def width(self) -> int:
        """Length of e_c."""
        return len(self.mean) if self.projection is None else self.projection.shape[1]

    def project(self, v: Array) -> Array:
        """Return P (v - mu), not scaled to unit length: v float32 [..., dim] -> float32 [..., width]."""
        centred = v - self.mean
        return centred if self.projection is None else np.asarray(centred @ self.projection, np.float32)


@dataclass(frozen=True)
class Head:
    """A fusion head. `channels` are in the order of the blocks of h.

    table_rules: how to compute tables from events; None if the score does not use events.
    """

    channels: tuple[HeadChannel, ...]
    questions: Mapping[str, QuestionWeights] = field(default_factory=dict)
    table_rules: TableRules | None = None
    fitted: bool = False

    @staticmethod
    def identity(dims: Mapping[str, int]) -> Head:
        """Return a head of unchanged vectors and default weights, with nothing imputed."""
        return Head(tuple(HeadChannel(name, np.zeros(dim, np.float32)) for name, dim in dims.items()))

    @property
    def dimension(self) -> int:
        """Length of h and u."""
        return sum(c.width + 2 for c in self.channels)

    @property
    def names(self) -> list[str]:
        """Channel names in block order."""
        return [c.name for c in self.channels]

    def uses(self, column: str) -> bool:
        """Return whether a column counts in any question."""
        return any(weights.column(column).used for weights in self.questions.values())

    def channel(self, name: str) -> HeadChannel:
        """Return the arrays of channel `name`."""
        return next(c for c in self.channels if c.name == name)

    def block(self, name: str) -> slice:
        """Return the position of e_c of channel `name` in h. The two numbers after it are its presence flags."""
        start = 0
        for c in self.channels:
            if c.name == name:
                return slice(start, start + c.width)
            start += c.width + 2
        raise KeyError(name)

    def present(self, h: Array, name: str) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return whether the item has content in channel `name`: h [..., dimension] -> bool [...]."""
        return np.asarray(h[..., self.block(name).stop] > 0.5)

    def imputed(self, h: Array, name: str) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return whether channel `name` is imputed: h [..., dimension] -> bool [...]."""
        return np.asarray(h[..., self.block(name).stop + 1] > 0.5)

    def weights(self, question: str) -> QuestionWeights:
        """Return the weights of `question`. A mix of channels that was not fitted uses their search weights.

        A question that was not fitted has the same weights for all channels, and no columns.
        """
        if question in self.questions:
            return self.questions[question]
        names = question.partition(":")[2].split("+")
        alone = {n: self.questions[f"{SEARCH}:{n}"].of(n) for n in names if f"{SEARCH}:{n}" in self.questions}
        unfitted = UNFITTED_DISLIKE if question == DISLIKE else UNFITTED
        return QuestionWeights(alone or dict.fromkeys(self.names, unfitted))

    def query_vector(
        self,
        q: Mapping[str, Array],
        weights: QuestionWeights,
        source_weight: float = 1.0,
        *,
        cold: bool = False,
    ) -> Array:
        """Return u of one source: unit q_c by channel, float32 [width] each -> float32 [dimension].

        cold: with the weights of items without events.
        """
        u = np.zeros(self.dimension, np.float32)
        for name, vector in q.items():
            block, w = self.block(name), weights.of(name)
            weight = source_weight * w.of(cold)
            u[block] = weight * vector
            u[block.stop] = -weight * w.threshold
            u[block.stop + 1] = -weight * w.imputed_threshold
        return u

    def score(self, h: Array, u: Array) -> Array:
        """Return alpha: h [n, dimension], u [dimension] -> float32 [n]."""
        alpha: Array = self.scores(h, u[None])[0]
        return alpha

    def scores(self, h: Array, u: Array) -> Array:
        """Return alpha: h [n, dimension], u [m, dimension] -> float32 [m, n].

        einsum sums each product separately, so that an item's score depends neither on the other rows nor on the other
        queries.
        """
        return np.asarray(np.einsum("ij,kj->ki", h, u), np.float32)

    def save(self, path: Path) -> None:
        """Write the arrays and weights to `path` (.npz)."""
        arrays: dict[str, Any] = {}
        about: dict[str, Any] = {
            "channels": [],
            "table_rules": None if self.table_rules is None else vars(self.table_rules),
            "fitted": self.fitted,
        }
        for i, c in enumerate(self.channels):
            arrays[f"mean_{i}"] = c.mean
            if c.projection is not None:
                arrays[f"projection_{i}"] = c.projection
            for source, w in c.predictors.items():
                arrays[f"predictor_{i}_{self.names.index(source)}"] = w
            about["channels"].append({"name": c.name, "imputed_scale": c.imputed_scale})
        about["questions"] = {question: weights.to_json() for question, weights in self.questions.items()}
        arrays["about"] = np.frombuffer(json.dumps(about, sort_keys=True).encode(), np.uint8)
        np.savez(path, **arrays)

    @staticmethod
    def outdated(path: Path) -> bool:
        """Return whether the file was fitted by an earlier version, whose weights mean something else."""
        with np.load(path, allow_pickle=False) as file:
            return "kinds" in json.loads(bytes(file["about"]))

    @staticmethod
    def load(path: Path) -> Head:
        """Read a head written by `save`.

        Raises:
            FailedPrecondition: it was fitted by an earlier version, whose weights mean something else.
        """
        with np.load(path, allow_pickle=False) as file:
            about = json.loads(bytes(file["about"]))
            if "kinds" in about:
                raise FailedPrecondition(f"{path} was fitted by an earlier version; run `itemlens fit` again")
            names = [c["name"] for c in about["channels"]]
            channels = tuple(
                HeadChannel(
                    name,
                    file[f"mean_{i}"],
                    file.get(f"projection_{i}"),
                    {
                        s: file[f"predictor_{i}_{j}"]
                        for j, s in enumerate(names)
                        if f"predictor_{i}_{j}" in file
                    },
                    about["channels"][i]["imputed_scale"],
                )
                for i, name in enumerate(names)
            )
        questions = {question: QuestionWeights.from_json(w) for question, w in about["questions"].items()}
        rules = about["table_rules"]
        return Head(channels, questions, TableRules(**rules) if rules else None, about["fitted"])
