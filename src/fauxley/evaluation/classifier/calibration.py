"""Reliability of a classifier's probabilities: accuracy, confusion, calibration error, temperature.

The inception score is made of probabilities, not of decisions. A classifier that says 0.6 where it is right in 99 of
100 cases finds every set of sounds worse than it is, and one that says 0.99 to everything finds no fault with noise.

A temperature fitted on few sources fits those sources: on drums it made the calibration of others worse. So it is used
only where it helps on sources that it was not fitted on.

Letters: N clips, K labels.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fauxley.evaluation.classifier.grouping import grouped_folds

Float = NDArray[np.floating[Any]]
Int = NDArray[np.int64]


def accuracy(probabilities: Float, labels: Int) -> float:
    """Share of clips whose likeliest label, of (N, K), is theirs, (N,)."""
    return float((probabilities.argmax(1) == labels).mean())


def confusion(probabilities: Float, labels: Int) -> Int:
    """Confusion matrix (K, K): how often label i, the row, was taken for label j."""
    count = probabilities.shape[1]
    cells = np.bincount(labels * count + probabilities.argmax(1), minlength=count * count)
    return cells.reshape(count, count)


def calibration_error(probabilities: Float, labels: Int, bins: int = 15) -> float:
    """Expected calibration error (Naeini et al. 2015): |accuracy - confidence| by bins of equal width, weighted by
    count.

    0 where a confidence of 0.8 means being right in 80 of 100 cases.
    """
    confidence = probabilities.max(1)
    right = probabilities.argmax(1) == labels
    which = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    gap = np.bincount(which, weights=right - confidence, minlength=bins)
    return float(np.abs(gap).sum() / len(labels))


def helpful_temperature(logits: Float, labels: Int, groups: Int, folds: int = 5) -> float:
    """The temperature fitted on all clips, if one fitted on some sources helps on others; else 1, which is none.

    It helps if, where each of `folds` folds is judged by the temperature that the others give, the labels are likelier
    and the calibration error is no larger than without. No source, (N,), is in two folds. Of fewer sources than
    folds too little can be known, and the temperature is 1: two drum machines agreed on one that did five others harm.
    """
    parts = grouped_folds(groups, folds)
    if len(parts) < folds:
        return 1.0
    divisor = np.ones(len(labels))
    for held in parts:
        divisor[held] = fit_temperature(logits[~held], labels[~held])
    plain, divided = softmax(logits), softmax(logits / divisor[:, None])
    helps = log_loss(divided, labels) < log_loss(plain, labels)
    helps &= calibration_error(divided, labels) <= calibration_error(plain, labels)
    return fit_temperature(logits, labels) if helps else 1.0


def fit_temperature(logits: Float, labels: Int) -> float:
    """The T for which softmax(logits / T) makes the labels likeliest (Guo et al. 2017, section 4.2).

    Of N clips as if one in N + 2 were labelled at random (Platt 1999), or where all of a few answers are right no T
    would be small enough. The loss is convex in 1/T; golden-section search between 1/20 and 20 finds its minimum to 4
    digits.
    """
    doubt = 1 / (len(labels) + 2)
    z = np.asarray(logits, np.float64) - np.max(logits, 1, keepdims=True)
    expected = (1 - doubt) * z[np.arange(len(labels)), labels] + doubt * z.mean(1)

    def loss(inverse: float) -> float:
        return float((np.log(np.exp(z * inverse).sum(1)) - expected * inverse).mean())

    low, high, ratio = 0.05, 20.0, (np.sqrt(5) - 1) / 2
    while high - low > 1e-4 * low:
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if loss(left) < loss(right):
            high = right
        else:
            low = left
    return float(2 / (low + high))


def softmax(logits: Float) -> NDArray[np.float64]:
    """Logits (N, K) to probabilities (N, K)."""
    powers = np.exp(logits - logits.max(1, keepdims=True), dtype=np.float64)
    return np.asarray(powers / powers.sum(1, keepdims=True))


def log_loss(probabilities: Float, labels: Int) -> float:
    """Mean of -ln of the probability, of (N, K), that each clip's label has, (N,)."""
    own = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(own, 1e-300)).mean())
