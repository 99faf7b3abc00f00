"""Conditional logit: the weights in nats of the columns that explain which candidate of each set was chosen.

    P(i | set) = exp(alpha_i - ln q_i) / sum over j in the set of exp(alpha_j - ln q_j),      alpha_i = sum_k w_k x_ik

D. McFadden, "Conditional logit analysis of qualitative choice behavior", 1974. A set may be a sample of the
candidates: if each candidate j enters it independently with probability q_j, and the chosen ones always do, the term
-ln q, the chosen one's own included, makes the weights those of the choice among all (D. McFadden, "Modelling the
choice of residential location", 1978). A constant factor of q cancels out, so expected numbers of draws serve, too.

The fit minimises the negative log-likelihood plus l2 / 2 sum_k ((w_k - prior_k) sd_k)^2, where sd_k is the standard
deviation of a column within sets. So l2 has the same meaning for columns of any unit: a prior of 1 / sqrt(l2) nats per
standard deviation. It also keeps the weights finite if a column separates the chosen ones from all others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

Array = np.ndarray[Any, np.dtype[np.float32]]
Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]

_CHUNK_ROWS = 32_768
_ITERATIONS = 100
_HALVINGS = 30
_TOLERANCE = 1e-7
_CONSTANT = 1e-6
"""A column is constant if its deviation within sets is at most this share of its largest value: float32 has no more."""


@dataclass(frozen=True)
class ChoiceSets:
    """Sets of candidates, one after the other, as rows of a matrix.

    x: float32 [rows, columns]. offsets: int64 [sets + 1]; set s has the rows offsets[s] to offsets[s + 1].
    chosen: float32 [rows], how often (or with what weight) each candidate was chosen. log_q: float32 [rows], ln of the
    probability with which it was sampled, or None if all candidates are there.

    Raises:
        ValueError: a set is empty, the shapes differ, or a number is not finite.
    """

    x: Array
    offsets: Ints
    chosen: Array
    log_q: Array | None = None

    def __post_init__(self) -> None:
        rows = len(self.x)
        if self.offsets[0] != 0 or self.offsets[-1] != rows or (np.diff(self.offsets) < 1).any():
            raise ValueError("offsets must rise from 0 to the number of rows; no set may be empty")
        if self.chosen.shape != (rows,) or (self.log_q is not None and self.log_q.shape != (rows,)):
            raise ValueError("chosen and log_q must have one number for each row")
        given = (self.x, self.chosen) if self.log_q is None else (self.x, self.chosen, self.log_q)
        if not all(np.isfinite(array).all() for array in given):
            raise ValueError("all numbers must be finite")

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def columns(self) -> int:
        """Number of columns of x."""
        return int(self.x.shape[1])

    def choices(self) -> Floats:
        """Return the total weight of the chosen ones of each set, float64 [sets]."""
        return np.asarray(np.add.reduceat(self.chosen.astype(np.float64), self.offsets[:-1]))

    def take(self, sets: np.ndarray[Any, Any]) -> ChoiceSets:
        """Return the sets of a mask, bool [sets], or of numbers, int [n]."""
        numbers = np.arange(len(self))[sets]
        lengths = np.diff(self.offsets)[numbers]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        rows = np.arange(offsets[-1]) + np.repeat(self.offsets[:-1][numbers] - offsets[:-1], lengths)
        log_q = None if self.log_q is None else self.log_q[rows]
        return ChoiceSets(self.x[rows], offsets, self.chosen[rows], log_q)

    def select(self, columns: Sequence[int] | np.ndarray[Any, Any]) -> ChoiceSets:
        """Return the same sets with some of the columns."""
        x = np.ascontiguousarray(self.x[:, np.asarray(columns)])
        return ChoiceSets(x, self.offsets, self.chosen, self.log_q)

    @staticmethod
    def joined(parts: Sequence[ChoiceSets]) -> ChoiceSets:
        """Return the sets of several collections of sets with the same columns."""
        ends = np.cumsum([0, *(len(part.x) for part in parts)])
        offsets = [part.offsets[1:] + end for part, end in zip(parts, ends, strict=False)]
        log_q = [np.zeros(len(p.x), np.float32) if p.log_q is None else p.log_q for p in parts]
        return ChoiceSets(
            np.concatenate([part.x for part in parts]),
            np.concatenate([[0], *offsets]).astype(np.int64),
            np.concatenate([part.chosen for part in parts]),
            np.concatenate(log_q),
        )

    def chunks(self) -> Iterator[tuple[slice, slice]]:
        """Yield the sets and the rows of pieces that fit the processor's cache."""
        start = 0
        while start < len(self):
            most = self.offsets[start] + _CHUNK_ROWS
            stop = max(start + 1, int(np.searchsorted(self.offsets, most, "right")) - 1)
            yield slice(start, stop), slice(int(self.offsets[start]), int(self.offsets[stop]))
            start = stop


@dataclass(frozen=True)
class Fitted:
    """Weights of a conditional logit.

    weights, standard_errors: float64 [columns], nats per unit of the column. The errors are those of the penalised
    likelihood, from the inverse of its Hessian; 0 for weights that the data do not determine (constant columns) or
    that stand at their bound. nll: mean negative log-likelihood of a choice, nats. converged: whether
    the search ended before the limit of its steps.
    """

    weights: Floats
    standard_errors: Floats
    nll: float
    l2: float
    converged: bool


def fit_choices(
    sets: ChoiceSets,
    l2: float = 1.0,
    *,
    prior: Floats | None = None,
    nonnegative: Sequence[bool] | np.ndarray[Any, Any] | None = None,
    start: Floats | None = None,
) -> Fitted:
    """Return the weights with the largest penalised likelihood.

    prior: float64 [columns], the weights that l2 pulls towards; default 0. A column that is constant within all sets
    keeps its prior. nonnegative: bool [columns], the weights that may not be negative. start: float64 [columns],
    weights near the result, with which it is found sooner; default the prior.

    Newton's method with step halving; bounds by projection (D. Bertsekas, "Projected Newton methods", 1982).

    Raises:
        ValueError: l2 is not positive, or nothing was chosen.
    """
    if not l2 > 0:
        raise ValueError("l2 must be positive: without it, weights of separable data are infinite")
    total = float(sets.choices().sum())
    if not total > 0:
        raise ValueError("no candidate was chosen")
    scale = _Scale.of(sets)
    centre = np.zeros(sets.columns) if prior is None else np.asarray(prior, np.float64)
    target = centre * scale.sd
    bounded = np.zeros(sets.columns, bool) if nonnegative is None else np.asarray(nonnegative, bool)

    def evaluate(b: Floats) -> tuple[float, Floats, Floats]:
        value, gradient, hessian = _derivatives(sets, scale, b)
        pull = b - target
        return (
            value + l2 / 2 * float(pull @ pull),
            gradient + l2 * pull,
            hessian + l2 * np.eye(len(b)),
        )

    b = target if start is None else np.where(scale.varies, start * scale.sd, target)
    b = np.where(bounded, np.maximum(b, 0.0), b)
    value, gradient, hessian = evaluate(b)
    converged, free = False, scale.varies
    for _ in range(_ITERATIONS):
        free = scale.varies & ~(bounded & (b <= 0) & (gradient >= 0))
        step = np.zeros_like(b)
        step[free] = -np.linalg.solve(hessian[np.ix_(free, free)], gradient[free])
        if -float(gradient @ step) <= _TOLERANCE * total:
            converged = True
            break
        # The whole step is right nearly always, so its derivatives are computed at once.
        tried = np.where(bounded, np.maximum(b + step, 0.0), b + step)
        whole = evaluate(tried)
        if whole[0] < value:
            b, (value, gradient, hessian) = tried, whole
            continue
        size = 0.5
        for _ in range(_HALVINGS):
            tried = np.where(bounded, np.maximum(b + size * step, 0.0), b + size * step)
            if _penalised(sets, scale, tried, target, l2) < value:
                break
            size /= 2
        else:  # float32 cannot tell the values apart any more
            converged = True
            break
        b = tried
        value, gradient, hessian = evaluate(b)
    errors = np.zeros_like(b)
    errors[free] = np.sqrt(np.diag(np.linalg.inv(hessian[np.ix_(free, free)])))
    weights = np.where(scale.varies, b / scale.sd, np.where(bounded, np.maximum(centre, 0.0), centre))
    return Fitted(
        weights,
        errors / scale.sd,
        float(set_nll(sets, weights).sum() / total),
        l2,
        converged,
    )


def set_nll(sets: ChoiceSets, weights: Floats) -> Floats:
    """Return the negative log-likelihood of each set's choices, nats, float64 [sets]."""
    nll = np.empty(len(sets))
    w = np.asarray(weights, np.float64)
    for numbers, rows in sets.chunks():
        starts = sets.offsets[numbers] - rows.start
        nll[numbers] = _softmax(sets, numbers, rows, starts, sets.x[rows] @ w)[1]
    return nll


@dataclass(frozen=True)
class _Scale:
    """Means of the columns, their deviations within sets (1 if constant), and which ones vary; [columns] each."""

    mean: Array
    sd: Floats
    varies: np.ndarray[Any, np.dtype[np.bool_]]

    @staticmethod
    def of(sets: ChoiceSets) -> _Scale:
        mean = sets.x.mean(0, dtype=np.float64).astype(np.float32)
        squares, largest = np.zeros(sets.columns), np.zeros(sets.columns)
        for numbers, rows in sets.chunks():
            x = sets.x[rows] - mean
            starts, lengths = sets.offsets[numbers] - rows.start, np.diff(sets.offsets)[numbers]
            means = _set_sums(x, 1.0 / np.repeat(lengths, lengths), starts)
            x -= np.repeat(means.astype(np.float32), lengths, axis=0)
            squares += np.einsum("ij,ij->j", x, x)
            largest = np.maximum(largest, np.abs(sets.x[rows]).max(0))
        sd = np.sqrt(squares / len(sets.x))
        varies = sd > _CONSTANT * np.maximum(largest, 1e-30)
        return _Scale(mean, np.where(varies, sd, 1.0), varies)

    def standardised(self, x: Array) -> Array:
        """Return the rows with mean 0 and deviation 1."""
        return np.asarray((x - self.mean) / self.sd.astype(np.float32), np.float32)


def _set_sums(x: Array, weights: Floats, starts: Ints) -> Floats:
    """Return the weighted sum of the rows of each set, float64 [sets, columns]. (reduceat is far slower on rows.)"""
    ends = np.append(starts, len(x))
    sums = csr_matrix((weights.astype(np.float32), np.arange(len(x)), ends), (len(starts), len(x))) @ x
    return np.asarray(sums, np.float64)


def _softmax(
    sets: ChoiceSets, numbers: slice, rows: slice, starts: Ints, alpha: Floats
) -> tuple[Floats, Floats]:
    """Return P of each row within its set, and the negative log-likelihood of each set."""
    if sets.log_q is not None:
        alpha = alpha - sets.log_q[rows]
    lengths = np.diff(sets.offsets)[numbers]
    alpha = alpha - np.repeat(np.maximum.reduceat(alpha, starts), lengths)
    p = np.exp(alpha)
    z = np.add.reduceat(p, starts)
    chosen = sets.chosen[rows].astype(np.float64)
    nll = np.add.reduceat(chosen, starts) * np.log(z) - np.add.reduceat(chosen * alpha, starts)
    return p / np.repeat(z, lengths), nll


def _penalised(sets: ChoiceSets, scale: _Scale, b: Floats, target: Floats, l2: float) -> float:
    value = 0.0
    for numbers, rows in sets.chunks():
        z = scale.standardised(sets.x[rows])
        alpha = (z @ b.astype(np.float32)).astype(np.float64)
        value += float(_softmax(sets, numbers, rows, sets.offsets[numbers] - rows.start, alpha)[1].sum())
    return value + l2 / 2 * float((b - target) @ (b - target))


def _derivatives(sets: ChoiceSets, scale: _Scale, b: Floats) -> tuple[float, Floats, Floats]:
    """Return the negative log-likelihood, its gradient and its Hessian in standardised weights."""
    value, gradient, hessian = 0.0, np.zeros(len(b)), np.zeros((len(b), len(b)))
    for numbers, rows in sets.chunks():
        starts = sets.offsets[numbers] - rows.start
        z = scale.standardised(sets.x[rows])
        alpha = (z @ b.astype(np.float32)).astype(np.float64)
        p, nll = _softmax(sets, numbers, rows, starts, alpha)
        choices = np.add.reduceat(sets.chosen[rows].astype(np.float64), starts)
        means = _set_sums(z, p, starts)
        value += float(nll.sum())
        gradient += choices @ means - sets.chosen[rows] @ z
        # Centred first: the difference of two nearly equal float32 sums could be negative.
        lengths = np.diff(sets.offsets)[numbers]
        z -= np.repeat(means.astype(np.float32), lengths, axis=0)
        p *= np.repeat(choices, lengths)
        hessian += z.T @ (z * p[:, None].astype(np.float32))
    return value, gradient, hessian
