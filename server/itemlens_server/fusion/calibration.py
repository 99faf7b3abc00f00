"""From the probability of one choice to the probability that an item is among what is taken next.

    ln (P / (1 - P)) = offset + slope ln p

p, the softmax of the score, is the share of an item in the next basket. A basket holds several items, each once, so an
item is in it more often than p says, and not in proportion. Both numbers are fitted to past baskets by logistic
regression (J. Platt, "Probabilistic outputs for support vector machines", 1999). Where every basket has one item, P is
close to p.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from itemlens_server.fusion.choice import ChoiceSets
from itemlens_server.fusion.parts import Floats
from itemlens_server.fusion.weights import Calibration

# The items of each choice with the highest scores, for which the probabilities are to hold.
MOST_LIKELY = 30


def calibrate(sets: ChoiceSets, weights: Floats, choices: Floats | None = None) -> Calibration:
    """Return the calibration that explains best which of the best items were chosen. weights: of the columns.

    choices: number of choices that each set stands for, float64 [sets]; 1 by default
    """
    alpha = sets.x @ weights
    corrected = alpha if sets.log_q is None else alpha - sets.log_q
    starts = sets.offsets[:-1]
    lengths = np.diff(sets.offsets)
    largest = np.maximum.reduceat(corrected, starts)
    z = np.add.reduceat(np.exp(corrected - np.repeat(largest, lengths)), starts)
    ln_p = alpha - np.repeat(largest + np.log(z), lengths)
    owners = np.repeat(np.arange(len(sets)), lengths)
    order = np.lexsort((-ln_p, owners))
    best = order[np.arange(len(order)) - np.repeat(starts, lengths) < MOST_LIKELY]
    x, trials = ln_p[best], np.ones(len(best)) if choices is None else choices[owners[best]]
    chosen = (sets.chosen[best] > 0).astype(np.float64) if choices is None else sets.chosen[best]

    def loss(values: Floats) -> tuple[float, Floats]:
        logit = values[0] + values[1] * x
        p = expit(logit)
        missed = trials * p - chosen
        gradient = np.asarray([missed.sum(), (missed * x).sum()])
        # A weak pull towards P = p keeps the numbers finite where nothing or everything was chosen.
        pull = values - np.asarray([0.0, 1.0])
        total = trials @ np.logaddexp(0, logit) - chosen @ logit + pull @ pull / 2
        return float(total), gradient + pull

    offset, slope = minimize(loss, np.asarray([0.0, 1.0]), jac=True, method="L-BFGS-B").x.tolist()
    return Calibration(offset, max(slope, 0.0))
