"""Scores computed from a classifier's probabilities: how sure it is of each clip, and how varied its answers are.

    IS  = exp( E_x KL( p(y|x) ‖ p(y) ) )                        Salimans et al. 2016; the paper's section 5.1
    mIS = exp( E_x E_x' KL( p(y|x) ‖ p(y|x') ) )                 Gurumurthy et al. 2017: also variety within a label
    AM  = KL( q(y) ‖ p(y) ) + E_x H( p(y|x) )                    Zhou et al. 2018; q: labels of the training data

p(y) is the mean of p(y|x) over the clips. IS lies between 1 and K, and more is better; mIS has no upper bound, and more
is better; AM is 0 at best. None of them depends on how a clip sounds as long as the classifier is sure of it, and IS
does not notice if every "yes" is the same "yes".

Letters: N clips, K labels, p probabilities (N, K).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fauxley.errors import UsageError
from fauxley.evaluation.metrics.validation import check_probabilities, check_values

Float = NDArray[np.floating[Any]]

_TINY = 1e-16  # makes 0 ln 0 equal to 0


def inception_score(probabilities: Float, splits: int = 10) -> tuple[float, float]:
    """The mean and population standard deviation of the score over `splits` consecutive groups, as in the official
    code.

    The clips must be in random order, because groups are consecutive: group i holds rows i N // splits up to
    (i + 1) N // splits.

    Raises:
        UsageError: there are fewer clips than groups.
    """
    p = check_probabilities(probabilities)
    if not 1 <= splits <= len(p):
        raise UsageError(f"{len(p)} clips cannot be divided into {splits} groups")
    scores = []
    for index in range(splits):
        group = p[index * len(p) // splits : (index + 1) * len(p) // splits]
        divergence = (group * (_log(group) - _log(group.mean(0)))).sum(1)
        scores.append(np.exp(divergence.mean()))
    return float(np.mean(scores)), float(np.std(scores))


def modified_inception_score(probabilities: Float) -> float:
    """mIS. The double mean over pairs equals E_x Σ p ln p - Σ E_x[p] · E_x'[ln p].

    Probabilities below 1e-16 are raised to it, because a single certain clip would make the score infinite.
    """
    p = check_probabilities(probabilities)
    return float(np.exp((p * _log(p)).sum(1).mean() - (p.mean(0) * _log(p).mean(0)).sum()))


def am_score(probabilities: Float, training_shares: Float) -> float:
    """AM, in nats. `training_shares`, (K,), are the shares of the labels in the training data."""
    p = check_probabilities(probabilities)
    q = np.asarray(training_shares, np.float64)
    check_values(2, shares=q)
    if q.shape != p.shape[1:]:
        raise UsageError(f"there are {p.shape[1]} labels and {len(q)} shares of labels")
    divergence = (q * (_log(q) - _log(p.mean(0)))).sum()
    return float(divergence - (p * _log(p)).sum(1).mean())


def label_shares(probabilities: Float) -> Float:
    """The share of clips for which each label is the likeliest: (K,)."""
    p = check_probabilities(probabilities)
    return np.bincount(p.argmax(1), minlength=p.shape[1]) / len(p)


def _log(p: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log(np.maximum(p, _TINY))
